"""What the long runs share: a small client, images, and the closing line."""

import hashlib
import http.client
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
T = os.path.dirname(HERE)
sys.path.insert(0, T)

from nginx import Nginx, wait_for  # noqa: E402

__all__ = ["Nginx", "wait_for"]

QUICK = os.environ.get("QUICK") == "1"

IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

# what a connection that breaks off can raise
BROKEN = (OSError, http.client.HTTPException)


class Violation(AssertionError):
    """The registry broke a promise."""


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:200])


class Client:
    """One kept connection, opened again after a failure."""

    def __init__(self, port, timeout=60):
        self.port = port
        self.timeout = timeout
        self.conn = None

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def req(self, method, path, body=None, headers=None):
        if self.conn is None:
            self.conn = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=self.timeout)
        try:
            self.conn.request(method, path, body, headers or {})
            r = self.conn.getresponse()
            data = r.read()
            if r.will_close:
                self.close()
            return Answer(r.status, r.headers, data)
        except BROKEN:
            self.close()
            raise

    # ---- blobs

    def start(self, repo, query=""):
        return self.req("POST", "/v2/%s/blobs/uploads/%s" % (repo, query),
                        b"")

    def finish(self, loc, d, data=b""):
        mark = "&" if "?" in loc else "?"
        return self.req("PUT", loc + mark + "digest=" + d, data)

    def push(self, repo, data, source=None):
        """A blob, mounted where it can be; its last answer."""
        d = digest(data)
        query = "?mount=%s&from=%s" % (d, source) if source else ""
        r = self.start(repo, query)
        if r.status == 201:
            return r
        if r.status != 202:
            raise Violation("POST: %r" % r)
        return self.finish(r.headers["Location"], d, data)

    def blob(self, repo, d):
        return self.req("GET", "/v2/%s/blobs/%s" % (repo, d))

    # ---- manifests

    def put(self, repo, tag, manifest):
        return self.req("PUT", "/v2/%s/manifests/%s" % (repo, tag), manifest,
                        {"Content-Type": IMAGE})

    def manifest(self, repo, ref):
        return self.req("GET", "/v2/%s/manifests/%s" % (repo, ref))


class Image:
    """One that a client pushes under a tag."""

    def __init__(self, repo, tag, blobs):
        self.repo = repo
        self.tag = tag
        self.blobs = blobs
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": self.desc(blobs[0], CONFIG),
            "layers": [self.desc(b, LAYER) for b in blobs[1:]]}).encode()

    @staticmethod
    def desc(data, kind):
        return {"mediaType": kind, "digest": digest(data),
                "size": len(data)}

    def push(self, client):
        """True when it was acknowledged; raises when a connection breaks."""
        for b in self.blobs:
            r = client.push(self.repo, b)
            if r.status != 201:
                raise Violation("push of a blob: %r" % r)
        r = client.put(self.repo, self.tag, self.manifest)
        return r.status == 201

    def check(self, client, by_digest=False):
        """Everything of it is there, byte for byte."""
        refs = [self.tag] + ([digest(self.manifest)] if by_digest else [])
        for ref in refs:
            r = client.manifest(self.repo, ref)
            if r.status != 200 or r.body != self.manifest:
                raise Violation("%s:%s was acknowledged: %r"
                                % (self.repo, ref, r))
        for b in self.blobs:
            r = client.blob(self.repo, digest(b))
            if r.status != 200 or r.body != b:
                raise Violation("%s:%s was acknowledged, its blob %s: %r"
                                % (self.repo, self.tag, digest(b), r))

    def never_half(self, client):
        """What is visible of it is whole; True if all of it is."""
        r = client.manifest(self.repo, self.tag)
        if r.status == 200 and r.body == self.manifest:
            self.check(client)
            return True
        if r.status != 404:
            raise Violation("half a manifest: %r" % r)
        for b in self.blobs:
            r = client.blob(self.repo, digest(b))
            if r.status == 404:
                continue
            if r.status != 200 or r.body != b:
                raise Violation("half a blob: %r" % r)
        return False


def content(rng, low, high):
    """Bytes that nobody else has."""
    return rng.randbytes(rng.randint(low, high))


def seed():
    """Of SEED, or a fresh one; printed, so that a run can be had again."""
    value = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print("seed %d" % value, flush=True)
    return value


def main(fn):
    """Runs fn, whose text is the summary; exit status 1 on a violation."""
    name = os.path.basename(sys.argv[0])
    try:
        print("%s: %s" % (name, fn()), flush=True)
    except AssertionError as e:
        print("%s: FAILED: %s: %s" % (name, type(e).__name__, e), flush=True)
        sys.exit(1)
