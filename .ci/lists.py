"""Writes the lists of headers and sources in `config` anew from the tree.

usage: lists.py ROOT
"""

import os
import re
import sys


def entries(root, kind):
    """The files of every room: $oci_ROOM/FILE, sorted by path."""
    out = []
    src = os.path.join(root, "src")
    for room in sorted(os.listdir(src)):
        for name in sorted(os.listdir(os.path.join(src, room))):
            if name.endswith(kind):
                out.append("$oci_%s/%s" % (room, name))
    return out


def main():
    root = sys.argv[1]
    path = os.path.join(root, "config")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for key, kind in ("deps", ".h"), ("srcs", ".c"):
        listed = " \\\n    ".join(entries(root, kind))
        text, n = re.subn(
            r'^ngx_module_%s="(?:[^"\\]|\\.|\\\n)*"$' % key,
            lambda m, k=key, v=listed:
            'ngx_module_%s=" \\\n    %s"' % (k, v), text, flags=re.M)
        if n != 1:
            sys.exit("lists: config has no ngx_module_%s" % key)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
