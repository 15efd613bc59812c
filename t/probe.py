"""Fetches by themselves: an nginx whose location /probe asks an upstream."""

import atexit
import glob
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse

from edge import fresh
from nginx import ROOT

FOLDERS = ("src/core", "src/event", "src/event/modules", "src/os/unix",
           "objs", "src/http", "src/http/modules", "src/http/v2",
           # of nginx 1.25 and later
           "src/event/quic", "src/http/v3")

_built = {}


def _tree(so):
    """What .ci/build.sh has configured for this nginx."""
    nginx = os.environ.get("OCI_NGINX", "/usr/sbin/nginx")
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True,
                          check=True).stderr
    version = re.search(r"nginx/([0-9.]+)", said).group(1)
    for folder in (os.path.dirname(shutil.which(nginx)),
                   os.path.dirname(os.path.abspath(so)),
                   os.path.join(ROOT, "build")):
        for tree in sorted(glob.glob(os.path.join(folder, "nginx-*"))
                           + glob.glob(os.path.join(folder, "tree"))):
            try:
                with open(os.path.join(tree, "src/core/nginx.h"),
                          encoding="utf-8") as f:
                    right = '"%s"' % version in f.read()
            except OSError:
                continue
            if right and os.path.exists(os.path.join(
                    tree, "objs", "ngx_auto_config.h")):
                return tree
    raise AssertionError("no tree of nginx %s: make build" % version)


def module():
    """The test's own module (t/module/probe.c), built once in a run."""
    so = os.environ.get("OCI_MODULE", os.path.join(
        ROOT, "build", "ngx_http_oci_module.so"))
    if so not in _built:
        folder = tempfile.mkdtemp(prefix="oci-probe-", dir="/tmp")
        os.chmod(folder, 0o755)
        atexit.register(shutil.rmtree, folder, True)
        out = os.path.join(folder, "probe.so")
        tree = _tree(so)
        include = ["-I" + os.path.join(tree, d) for d in FOLDERS]
        include += ["-I" + d for d in glob.glob(
            os.path.join(ROOT, "src", "*"))]
        p = subprocess.run(
            [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-g",
             "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
             "-DOPENSSL_SUPPRESS_DEPRECATED=", *include, "-o", out,
             os.path.join(ROOT, "t", "module", "probe.c")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        assert p.returncode == 0, p.stdout
        _built[so] = out
    return _built[so]


def prober(factory, to, conf="", http="", **knobs):
    """An nginx that asks `to`, an Upstream or what oci_pass is to say."""
    url = to if isinstance(to, str) else to.url
    server = """
        oci main;
        oci_pass %s;
        %s
        location /probe { oci_fetch_probe; }
    """ % (url, conf)
    knobs.setdefault("workers", 1)
    return factory(main="load_module %s;" % module(), server=server,
                   http=http, **knobs)


class Result(dict):
    """Its values as attributes; numbers are numbers, what is not is None."""

    def __getattr__(self, name):
        return self.get(name)


def probe(n, path, repository="app", headers=None, base="/probe", **args):
    query = dict(args, path=path, repository=repository)
    r = fresh(n, "GET", base + "?" + urllib.parse.urlencode(query, safe="/:"),
              headers=headers or {})
    assert r.status_code == 200, (r.status_code, r.text)
    out = Result()
    for line in r.text.splitlines():
        name, _, value = line.partition(" ")
        out[name] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return out


(OK, RESOLVE, CONNECT, TIMEOUT, TLS, PROXY, RESET, SHORT, PROTOCOL, AUTH,
 REDIRECT, ABORTED, CANCELLED, INTERNAL) = range(14)
