"""CNCF distribution (Debian's docker-registry) on a free port."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import requests

from gate import SLOWDOWN
from nginx import ROOT, free_port

CONF = """\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %(folder)s/data
    maxthreads: 200
  delete:
    enabled: true
http:
  addr: 127.0.0.1:%(port)d
%(more)s"""

TOKEN = """\
auth:
  token:
    realm: %s
    service: %s
    issuer: %s
    rootcertbundle: %s
"""


def program():
    """Its path, or None: .ci/install.sh unpacks it where it is not here."""
    for path in (shutil.which("docker-registry"),
                 os.path.join(ROOT, "build", "deb", "docker-registry", "usr",
                              "bin", "docker-registry")):
        if path and os.access(path, os.X_OK):
            return path
    return None


class Distribution:
    """
    proxy: the URL of a registry that it pulls through.  tokens: an Upstream
    (with a Signer) whose token endpoint it sends its clients to.  at: the
    program, if not Debian's.
    """

    def __init__(self, proxy=None, tokens=None, more="", at=None):
        self.program = at or program()
        self.folder = tempfile.mkdtemp(prefix="oci-dist-", dir="/tmp")
        if proxy:
            more += "proxy:\n  remoteurl: %s\n" % proxy
        if tokens is not None:
            more += TOKEN % (tokens.realm, tokens.service,
                             tokens.signer.issuer, tokens.signer.certificate)
        self.more = more
        self.proc = None
        self.port = None
        self.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    @property
    def pid(self):
        return self.proc.pid

    def start(self):
        if self.program is None:
            raise RuntimeError("docker-registry is not here: "
                               ".ci/install.sh pytest")
        for _ in range(3):
            self.port = self.port or free_port()
            conf = os.path.join(self.folder, "config.yml")
            with open(conf, "w", encoding="ascii") as f:
                f.write(CONF % {"folder": self.folder, "port": self.port,
                                "more": self.more})
            with open(os.path.join(self.folder, "log"), "ab") as log:
                self.proc = subprocess.Popen(
                    [self.program, "serve", conf], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd=self.folder,
                    env=dict(os.environ, OTEL_TRACES_EXPORTER="none"))
            end = time.monotonic() + 20 * SLOWDOWN
            while time.monotonic() < end and self.proc.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", self.port),
                                             1).close()
                    return
                except OSError:
                    time.sleep(0.02)
            self._end()
            self.port = None
        raise RuntimeError("docker-registry did not start:\n" + self.log())

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def _end(self):
        if self.proc is not None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
            self.proc = None

    def push(self, repo, data, headers=None):
        """A blob; headers: of a login."""
        d = "sha256:" + hashlib.sha256(data).hexdigest()
        r = requests.post("%s/v2/%s/blobs/uploads/" % (self.url, repo),
                          headers=headers, timeout=60)
        r = requests.put(r.headers["Location"] + "&digest=" + d, data=data,
                         headers=headers, timeout=60)
        assert r.status_code == 201, r.text
        return d

    def push_image(self, repo, tag, layer, headers=None):
        """An image of one layer; its digest."""
        config = b'{"architecture":"amd64","os":"linux"}'
        kind = "application/vnd.oci.image."
        body = json.dumps({
            "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
            "config": {"mediaType": kind + "config.v1+json",
                       "digest": self.push(repo, config, headers),
                       "size": len(config)},
            "layers": [{"mediaType": kind + "layer.v1.tar",
                        "digest": self.push(repo, layer, headers),
                        "size": len(layer)}]}).encode()
        r = requests.put(
            "%s/v2/%s/manifests/%s" % (self.url, repo, tag), data=body,
            timeout=60, headers=dict(headers or {}, **{
                "Content-Type": kind + "manifest.v1+json"}))
        assert r.status_code == 201, r.text
        return r.headers["Docker-Content-Digest"]

    def down(self):
        """Stopped; start() brings it back on the same port."""
        self._end()

    def forget(self):
        """Stopped, and all that it stored is gone; start() as before."""
        self._end()
        shutil.rmtree(os.path.join(self.folder, "data"), ignore_errors=True)

    def stop(self):
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
