"""The servers that are compared, and the content that all of them serve."""

import http.client
import json
import os
import re

import nginx as ngx
import programs

NAME = "bench/app"
TAG = "v1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
KIB, MIB = 1024, 1024 * 1024

CONF = """\
@LOAD@
@USER@
daemon off;
@MASTER@
worker_processes @WORKERS@;
error_log logs/error.log notice;
pid logs/nginx.pid;
@MAIN@
events {
    worker_connections 1024;
}
http {
    access_log off;
    client_body_temp_path @PREFIX@/temp/body;
    proxy_temp_path @PREFIX@/temp/proxy;
    fastcgi_temp_path @PREFIX@/temp/fastcgi;
    uwsgi_temp_path @PREFIX@/temp/uwsgi;
    scgi_temp_path @PREFIX@/temp/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    @HTTP@
    @STORES@
    server {
        listen 127.0.0.1:@PORT@;
        @V2@
    }
}
"""


class Server(ngx.Nginx):
    """One worker or more, no access log; or one process and no master."""

    def __init__(self, v2, load=False, stores="", main="", master=True,
                 start=True, workers=1, http=""):
        self.single = not master
        super().__init__(workers=workers, v2=v2, stores=stores, main=main,
                         http=http, start=False)
        if not load:
            self.parts["LOAD"] = ""
        self.parts["MASTER"] = "" if master else "master_process off;"
        if start:
            self.start()

    def _configure(self):
        text = CONF
        for key, value in self.parts.items():
            text = text.replace("@%s@" % key, value)
        self.ports = {"main": ngx.free_port()}
        text = text.replace("@PREFIX@", self.prefix)
        text = text.replace("@STORE@", self.store)
        text = text.replace("@PORT@", str(self.port()))
        self.file("nginx.conf", text)

    def workers(self):
        if self.single:
            return [self.master] if self.master else []
        return super().workers()

    def abandon(self):
        """No gate: under callgrind a process ends as it is told."""
        if self in ngx.live():
            ngx._live.remove(self)
        self.emergency()

    @property
    def pid(self):
        return self.workers()[0]


def ours(durable, **knobs):
    return Server(
        "location /v2/ { oci main; oci_methods pull push delete;"
        " oci_thread_pool oci; }", load=True, main="thread_pool oci threads=8;",
        stores="oci_store @STORE@ zone=main:8m durable=%s;" % durable,
        **knobs)


def stock(root, cached=False, **knobs):
    """One type for all: a location for each would cost it something."""
    return Server(
        "location /v2/ { root %s; default_type %s; %s }"
        % (root, MANIFEST, "open_file_cache max=20000;" if cached else ""),
        **knobs)


class Content:
    """
    One manifest and its blobs, pushed to our server; the same bytes (of the
    blobs the same inodes) lie below root for the others.
    """

    def __init__(self, server, sizes):
        self.server = server
        self.root = os.path.join(server.prefix, "files", "root")
        self.blobs = {}
        for size in sizes:
            self.blobs[size] = programs.push(server.port(), NAME,
                                             size)["digest"]
        self.body = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.descriptor("config", sizes[0]),
            "layers": [self.descriptor("layer", s) for s in sizes],
            "annotations": {
                "org.opencontainers.image.title": "bench",
                "org.opencontainers.image.description": "x" * 300,
            }}, indent=1).encode()
        self.digest = self.put_manifest()
        self.link()

    def descriptor(self, kind, size):
        return {"mediaType": "application/vnd.oci.image.%s.v1+%s"
                             % (kind, "json" if kind == "config" else "tar"),
                "size": size, "digest": self.blobs[size]}

    def put_manifest(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port())
        c.request("PUT", self.manifest(TAG), self.body,
                  {"Content-Type": MANIFEST})
        r = c.getresponse()
        if r.status != 201:
            raise programs.BenchError("PUT of a manifest: %s" % r.read())
        c.close()
        return r.getheader("Docker-Content-Digest")

    def link(self):
        for kind in ("manifests", "blobs"):
            os.makedirs(os.path.join(self.root, "v2", NAME, kind))
        for ref in (TAG, self.digest):
            with open(self.root + self.manifest(ref), "wb") as f:
                f.write(self.body)
        for digest in self.blobs.values():
            hexa = digest.partition(":")[2]
            os.link(self.server.path("blobs", "sha256", hexa[:2], hexa),
                    self.root + self.blob(digest))

    @staticmethod
    def manifest(ref):
        return "/v2/%s/manifests/%s" % (NAME, ref)

    @staticmethod
    def blob(digest):
        return "/v2/%s/blobs/%s" % (NAME, digest)


def forget(server, name):
    """Takes the blobs of a repository out of a store, for the disk's sake."""
    for base, _, files in os.walk(server.repo(name, "_blobs")):
        for hexa in files:
            if not re.fullmatch("[0-9a-f]{64,128}", hexa):
                continue
            os.unlink(os.path.join(base, hexa))
            alg = os.path.basename(base)
            path = server.path("blobs", alg, hexa[:2], hexa)
            if os.path.exists(path):
                os.unlink(path)
