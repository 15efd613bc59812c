"""The memory of a worker does not grow with what it carries."""

import hashlib
import os
import threading
import time

import pytest

from nginx import wait_for
from oci import Client, location, ok
from raw import Raw

pytestmark = pytest.mark.native

LIMIT = 16 << 10        # KiB above idle
PERIOD = 1048573        # a prime: parts that are swapped never look alike
PATTERN = os.urandom(PERIOD)


def piece(start, size):
    """Bytes start.. of an endless repetition of the pattern."""
    at = start % PERIOD
    text = PATTERN[at:] + PATTERN * (size // PERIOD + 1)
    return text[:size]


def rss_anon(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise AssertionError("no RssAnon")


class Watch(threading.Thread):
    """The largest RssAnon of all workers, looked at every 50 ms."""

    def __init__(self, n):
        super().__init__(daemon=True)
        self.pids = n.workers()
        self.idle = {p: rss_anon(p) for p in self.pids}
        self.most = dict(self.idle)
        self.over = threading.Event()
        self.samples = 0
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            for p in self.pids:
                self.most[p] = max(self.most[p], rss_anon(p))
            self.samples += 1

    def check(self):
        self.over.set()
        self.join()
        assert self.samples > 2
        grown = {p: self.most[p] - self.idle[p] for p in self.pids}
        print("RssAnon above idle, KiB: %s" % grown)
        assert max(grown.values()) <= LIMIT, grown


def run(n, total, chunk):
    c = n.client()
    # idle means: after the first use of each part
    c.push_image("warm", "v1")
    c.push("warm", piece(0, 1 << 20))
    wait_for("idle", lambda: not n.held_files())
    watch = Watch(n)
    h = hashlib.sha256()
    loc = c.start("big")
    for at in range(0, total, chunk):
        part = piece(at, min(chunk, total - at))
        h.update(part)
        r = ok(c.chunk(loc, at, part), 202)
        loc = location(r)
    d = "sha256:" + h.hexdigest()
    ok(c.finish(loc, d), 201)
    url = "/v2/big/blobs/" + d
    assert c.head(url).headers["Content-Length"] == str(total)
    errors, done = [], []

    def pull(i):
        try:
            a = total * i // 8
            b = total * (i + 1) // 8
            conn = Raw(n.addr, timeout=120)
            conn.head("GET", url, ("Range", "bytes=%d-%d" % (a, b - 1)))
            status, _ = conn.response_head()
            assert status == 206
            while a < b:
                size = min(1 << 20, b - a)
                assert conn._take(size) == piece(a, size)
                a += size
            done.append(i)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=pull, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    watch.check()
    assert not errors and len(done) == 8


def test_512_mib(factory):
    run(factory(), 512 << 20, 32 << 20)


@pytest.mark.slow
def test_4_gib(factory):
    run(factory(), 4 << 30, 64 << 20)


def test_one_stream(factory):
    """One PATCH without an end in sight, and one that trickles."""
    n = factory()
    c = n.client()
    c.push_image("warm", "v1")
    slow = Raw(n.addr)
    slow.head("PATCH", c.start("slow"), ("Transfer-Encoding", "chunked"))
    slow.chunk(b"x")
    watch = Watch(n)
    h = hashlib.sha256()
    conn = Raw(n.addr, timeout=60)
    loc = c.start("big")
    conn.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
    for i in range(256):
        part = piece(i << 20, 1 << 20)
        h.update(part)
        conn.chunk(part)
        if i % 32 == 0:
            slow.chunk(b"y" * 100)
    conn.chunk(b"")
    ok(conn.response(), 202)
    ok(c.finish(loc, "sha256:" + h.hexdigest()), 201)
    slow.chunk(b"")
    ok(slow.response(), 202)
    watch.check()


def test_many_requests_on_one_connection(factory):
    """Nothing stays with a connection or a worker for each request."""
    n = factory(workers=1, server="keepalive_requests 1000000;")
    c = n.client()
    d = c.push_image("a", "v1")
    blob = c.push("a", os.urandom(3000))
    conn = Raw(n.addr)

    def rounds(count):
        for _ in range(count):
            conn.request("GET", "/v2/a/manifests/v1")
            conn.request("HEAD", "/v2/a/manifests/" + d)
            conn.request("GET", "/v2/a/blobs/" + blob)
            conn.request("GET", "/v2/a/blobs/" + blob,
                         ("Range", "bytes=" + "1-2," * 200 + "3-4"))
            conn.request("GET", "/v2/a/tags/list")
            conn.request("PUT", "/v2/a/manifests/x", body=b"[]")
            r = conn.request("POST", "/v2/a/blobs/uploads/", body=b"")
            loc = location(r)
            conn.request("PATCH", loc, body=b"abc")
            conn.request("DELETE", loc)

    rounds(100)
    before = rss_anon(n.workers()[0])
    rounds(500)
    grown = rss_anon(n.workers()[0]) - before
    assert grown < 1024, "grew by %d KiB in 4500 requests" % grown


@pytest.mark.slow
def test_a_blob_that_takes_its_time(factory):
    """A slow client holds one buffer, whatever its blob's size."""
    n = factory()
    c = Client(n.url)
    h, loc = hashlib.sha256(), c.start("a")
    for i in range(64):
        part = piece(i << 20, 1 << 20)
        h.update(part)
        ok(c.patch(loc, data=part), 202)
    ok(c.finish(loc, "sha256:" + h.hexdigest()), 201)
    c.close()
    watch = Watch(n)
    conns = []
    for _ in range(50):
        conn = Raw(n.addr)
        conn.head("GET", "/v2/a/blobs/sha256:" + h.hexdigest())
        conns.append(conn)
    time.sleep(2)
    for conn in conns:
        conn.abort()
    watch.check()
