"""The servers that are compared, and the content that all of them serve."""

import http.client
import json
import os
import re
import ssl
import subprocess

import nginx as ngx
import programs

NAME = "bench/app"
TAG = "v1"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
KIB, MIB = 1024, 1024 * 1024

# a manifest that names nothing
BARE = (b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}'
        % INDEX.encode())

CONF = """\
@LOAD@
@USER@
daemon off;
@MASTER@
worker_processes @WORKERS@;
error_log logs/error.log notice;
pid logs/nginx.pid;
worker_rlimit_nofile 20000;
@MAIN@
events {
    worker_connections @CONNECTIONS@;
}
http {
    access_log off;
    log_not_found off;
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
        listen 127.0.0.1:@TLS@ ssl;
        ssl_certificate @CERT@;
        ssl_certificate_key @KEY@;
        location = /pid { return 200 $pid; }
        @V2@
    }
}
"""


def certificate():
    """(certificate, key): made once, ECDSA on P-256."""
    pair = [os.path.join(programs.BUILD, n) for n in ("cert.pem", "key.pem")]
    if not all(os.path.exists(p) for p in pair):
        os.makedirs(programs.BUILD, exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-out", pair[0], "-keyout", pair[1]], check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    return pair


class Server(ngx.Nginx):
    """One worker or more, no access log; or one process and no master."""

    def __init__(self, v2, load=False, stores="", main="", master=True,
                 start=True, workers=1, http="", connections=1024,
                 mount_size=None):
        self.single = not master
        super().__init__(workers=workers, v2=v2, stores=stores, main=main,
                         http=http, start=False, mount_size=mount_size)
        if not load:
            self.parts["LOAD"] = ""
        self.parts["MASTER"] = "" if master else "master_process off;"
        self.parts["CONNECTIONS"] = str(connections)
        self.parts["CERT"], self.parts["KEY"] = certificate()
        if start:
            self.start()

    def _configure(self):
        text = CONF
        for key, value in self.parts.items():
            text = text.replace("@%s@" % key, value)
        self.ports = {"main": ngx.free_port(), "tls": ngx.free_port()}
        text = text.replace("@PREFIX@", self.prefix)
        text = text.replace("@STORE@", self.store)
        text = text.replace("@PORT@", str(self.port()))
        text = text.replace("@TLS@", str(self.port("tls")))
        self.file("nginx.conf", text)

    def pids(self):
        """The master too, and the cache manager."""
        if self.single:
            return self.workers()
        with open("/proc/%d/task/%d/children" % (self.master, self.master),
                  encoding="ascii") as f:
            return [self.master] + [int(p) for p in f.read().split()]

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


def returning(size, **knobs):
    """The cheapest answer that nginx can give, of so many bytes."""
    return Server('location /v2/ { default_type %s; return 200 "%s"; }'
                  % (MANIFEST, "x" * size), **knobs)


class Content:
    """
    One manifest and its blobs, pushed to our server; the same bytes (of the
    blobs the same inodes) lie below root for the others.
    """

    def __init__(self, server, sizes):
        self.server = server
        self.root = os.path.join(server.prefix, "files", "root")
        self.sizes = sizes
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
        return put(self.server.port(), self.manifest(TAG), self.body)

    def push_to(self, port, tls=False):
        """The same to another server."""
        for size in self.sizes:
            programs.push(port, NAME, size, tls=tls)
        put(port, self.manifest(TAG), self.body, tls)

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


def put(port, path, body, tls=False, kind=MANIFEST):
    if tls:
        context = ssl.create_default_context(cafile=certificate()[0])
        c = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    else:
        c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("PUT", path, body, {"Content-Type": kind})
    r = c.getresponse()
    if r.status != 201:
        raise programs.BenchError("PUT of a manifest: %s" % r.read())
    c.close()
    return r.getheader("Docker-Content-Digest")


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
