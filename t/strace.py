"""Reads strace's output: what became visible, what was synced, when."""

import os
import re

CALLS = ("openat,open,creat,write,writev,pwrite64,pwritev,sendto,sendmsg,"
         "sendfile,fsync,fdatasync,sync,syncfs,link,linkat,rename,renameat,"
         "renameat2,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,rmdir,"
         "copy_file_range,ftruncate")

LINE = re.compile(r"^(\d+)\s+(.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\)\s+=\s+(-?\d+|\?)(.*)$", re.S)


class Event:
    """One system call that succeeded; begin and end are line numbers."""

    def __init__(self, pid, name, args, result, begin, end):
        self.pid, self.name, self.args = pid, name, args
        self.result, self.begin, self.end = result, begin, end

    def __repr__(self):
        return "%d-%d [%d] %s(%s) = %s" % (
            self.begin, self.end, self.pid, self.name, self.args[:200],
            self.result)


def events(path):
    pending, out = {}, []
    with open(path, encoding="utf-8", errors="replace") as f:
        for number, line in enumerate(f):
            m = LINE.match(line.rstrip("\n"))
            if m is None:
                continue
            pid, text = int(m.group(1)), m.group(2)
            begin = number
            if text.endswith("<unfinished ...>"):
                pending[pid] = (number, text[:-len("<unfinished ...>")])
                continue
            r = RESUMED.match(text)
            if r:
                if pid not in pending:
                    continue
                begin, head = pending.pop(pid)
                text = head + r.group(2)
            c = CALL.match(text)
            if c is None or c.group(3) in ("-1", "?"):
                continue
            out.append(Event(pid, c.group(1), c.group(2), c.group(4),
                             begin, number))
    return sorted(out, key=lambda e: e.end)


FD = re.compile(r"^(?:\d+|AT_FDCWD)<([^>]*)>")
NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')


def fd_path(args):
    m = FD.match(args)
    return m.group(1).replace(" (deleted)", "") if m else None


def names(event):
    """The absolute paths among the arguments of a call on names."""
    found = []
    for m in re.finditer(r'(?:(?:\d+|AT_FDCWD)<([^>]*)>, )?'
                         r'"((?:[^"\\]|\\.)*)"', event.args):
        base, name = m.group(1), m.group(2)
        found.append(os.path.normpath(
            name if name.startswith("/") else
            os.path.join(base, name) if base else name))
    return found


class Trace:
    """The state of names and files on the disk at every moment."""

    def __init__(self, path, store):
        self.store = store
        self.events = events(path)

    def inside(self, path):
        return path is not None and path.startswith(self.store + "/")

    @staticmethod
    def visible(rel):
        """Names whose loss would break a promise."""
        return rel.split("/")[0] in ("repositories", "blobs", "format")

    def responses(self):
        """(event, status) of each HTTP answer."""
        found = []
        for e in self.events:
            if e.name in ("write", "writev", "sendto", "sendmsg"):
                m = re.search(r'"HTTP/1\.1 (\d+)', e.args)
                if m:
                    found.append((e, int(m.group(1))))
        return found

    def problems(self, answer):
        """What is not on the disk when this answer begins to be sent."""
        dirty_dirs, dirty_files = {}, {}
        for e in self.events:
            if e.end >= answer.begin:
                break
            if e.name in ("fsync", "fdatasync"):
                path = fd_path(e.args)
                for table in (dirty_dirs, dirty_files):
                    if path in table and table[path][0].end < e.begin:
                        del table[path]
                continue
            if e.name in ("write", "writev", "pwrite64", "pwritev",
                          "ftruncate", "copy_file_range"):
                path = fd_path(e.args)
                if self.inside(path):
                    dirty_files[path] = (e, path)
                continue
            made = []
            if e.name.startswith(("link", "rename")):
                src, dst = names(e)[:2]
                made = [dst]
                if src in dirty_files:
                    if e.name.startswith("rename"):
                        dirty_files[dst] = dirty_files.pop(src)
                    else:
                        dirty_files[dst] = dirty_files[src]
                if e.name.startswith("rename"):
                    for p in list(dirty_dirs):
                        if p == src:
                            dirty_dirs[dst] = dirty_dirs.pop(p)
            elif e.name.startswith("symlink"):
                # the first string is the target
                made = [names(e)[-1]]
            elif e.name.startswith(("mkdir", "unlink")):
                made = [names(e)[-1]]
                if "AT_REMOVEDIR" in e.args:
                    made = self.removed(made[0], dirty_dirs)
            elif e.name == "rmdir":
                made = self.removed(names(e)[-1], dirty_dirs)
            elif e.name in ("openat", "creat", "open"):
                if "O_CREAT" in e.args:
                    made = [names(e)[-1]]
            for path in made:
                if not self.inside(path):
                    continue
                rel = path[len(self.store) + 1:]
                if not self.visible(rel) or rel.endswith("/_lock"):
                    continue
                dirty_dirs[os.path.dirname(path)] = (e, path)
        out = ["folder not synced: %s after %r" % (k, v[0])
               for k, v in dirty_dirs.items()]
        for path, (e, _) in dirty_files.items():
            if self.inside(path) and self.visible(
                    path[len(self.store) + 1:]):
                out.append("content not synced: %s after %r" % (path, e))
        return out

    @staticmethod
    def removed(path, dirty_dirs):
        """An empty folder may come back, but not with what was in it."""
        return [path] if dirty_dirs.pop(path, None) else []

    def unsynced_links(self):
        """Content that became visible before its own fsync."""
        dirty, out = {}, []
        for e in self.events:
            if e.name in ("write", "writev", "pwrite64", "pwritev"):
                path = fd_path(e.args)
                if self.inside(path):
                    dirty[path] = e
            elif e.name in ("fsync", "fdatasync"):
                path = fd_path(e.args)
                if path in dirty and dirty[path].end < e.begin:
                    del dirty[path]
            elif e.name.startswith(("link", "rename")):
                src, dst = names(e)[:2]
                if self.inside(dst) and src in dirty and self.visible(
                        dst[len(self.store) + 1:]):
                    out.append("visible before its fsync: %s -> %s"
                               % (src, dst))
        return out
