"""Bodies that fill more pieces than an upload has, however they come."""

import random
import threading

import pytest

from oci import add_query, digest, location, ok, unique
from raw import Raw

PIECE = 512 << 10
RING = 4 * PIECE

SIZES = (PIECE - 1, PIECE, PIECE + 1, RING - 1, RING, RING + 1,
         2 * RING + 12345)


def ragged(data, rng, most):
    at = 0
    while at < len(data):
        n = rng.randint(1, most)
        yield data[at:at + n]
        at += n


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_sizes(reg, repo, size, coding):
    """The next request arrives with the last byte of a body."""
    rng = random.Random(size)
    data = unique(size)
    d = digest(data)
    loc = reg.start(repo)
    then = ("GET /v2/%s/blobs/%s HTTP/1.1\r\nHost: a\r\n\r\n"
            % (repo, d)).encode()
    c = Raw(reg.nginx.addr)
    target = add_query(loc, "digest=" + d)
    if coding == "length":
        c.head("PUT", target, ("Content-Length", str(size)))
        parts = list(ragged(data, rng, 300000))
        for part in parts[:-1]:
            c.send(part)
        c.send(parts[-1] + then)
    else:
        c.head("PUT", target, ("Transfer-Encoding", "chunked"))
        for part in ragged(data, rng, 100000):
            c.chunk(part)
        c.send(b"0\r\n\r\n" + then)
    ok(c.response(), 201)
    assert ok(c.response(), 200).body == data


def test_chunks_of_the_coding(reg, repo):
    """Framing at every place of a piece, in sends that have many of it."""
    rng = random.Random(1)
    data = unique(2 * PIECE)
    loc = reg.start(repo)
    c = Raw(reg.nginx.addr)
    c.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
    c.send(b"".join(b"%x\r\n%s\r\n" % (len(p), p)
                    for p in ragged(data, rng, 700)) + b"0\r\n\r\n")
    r = ok(c.response(), 202)
    assert r.get("Range") == "0-%d" % (len(data) - 1)
    ok(reg.finish(r.get("Location"), digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_slowly(factory, repo):
    """Each second what came is written, whatever is full of it."""
    n = factory()
    c = n.client()
    data = unique(3 * PIECE)
    loc = c.start(repo)
    conn = Raw(n.addr)
    conn.head("PATCH", loc, ("Content-Length", str(len(data))))
    parts = list(ragged(data, random.Random(2), PIECE))
    for part in parts[:-1]:
        conn.send(part)
        assert conn.quiet(1.3 if len(part) > PIECE // 2 else .5)
    conn.send(parts[-1])
    r = ok(conn.response(), 202)
    ok(c.finish(r.get("Location"), digest(data)), 201)
    assert c.blob(repo, digest(data)).content == data


@pytest.mark.parametrize("threads", [1, 2])
def test_few_threads(factory, repo, threads):
    """More uploads at once than a pool has threads for their lanes."""
    n = factory(main="thread_pool few threads=%d;" % threads,
                location="oci_thread_pool few;", workers=1)
    blobs = [unique(2 * RING + i) for i in range(20)]
    failed = []

    def push(data):
        try:
            c = n.client()
            loc = c.start(repo)
            half = len(data) // 2
            loc = location(ok(c.patch(loc, data=data[:half]), 202))
            ok(c.finish(loc, digest(data), data[half:]), 201)
            c.close()
        except BaseException as e:
            failed.append(e)

    ts = [threading.Thread(target=push, args=(b,)) for b in blobs]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    assert not failed, failed
    c = n.client()
    for data in blobs:
        assert c.blob(repo, digest(data)).content == data
