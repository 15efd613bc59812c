"""A small file system that fills up: clear answers, nothing left, and the
next push works when there is room again.  Needs the right to mount."""

import os

import pytest

from nginx import wait_for
from oci import INDEX, digest, error, header, location, ok, unique, upload_id
from raw import Raw

SIZE = 16 << 20


@pytest.fixture
def small(factory):
    n = factory(mount_size=str(SIZE), store_clean=True)
    n.allow("No space left on device")
    return n


def free(n):
    s = os.statvfs(n.store)
    return s.f_bavail * s.f_bsize


def full(r):
    e = error(r, 507, "UNKNOWN")
    assert "space" in (e.get("message", "") + e.get("detail", "")).lower()


@pytest.mark.smoke
@pytest.mark.parametrize("how", ["post", "put", "patch", "stream"])
def test_push(small, how):
    c = small.client()
    ok(c.post("/v2/a/blobs/uploads/"), 202)
    before = free(small)
    data = unique(24 << 20)
    loc = c.start("a")
    conn = Raw(small.addr)
    if how == "post":
        r = conn.request("POST", "/v2/a/blobs/uploads/?digest="
                         + digest(data), body=data)
    elif how == "put":
        r = conn.request("PUT", loc + "?digest=" + digest(data), body=data)
    elif how == "patch":
        r = conn.request("PATCH", loc, ("Content-Range", "0-%d" % (
            len(data) - 1)), body=data)
    else:
        conn.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
        for i in range(0, len(data), 1 << 20):
            part = data[i:i + (1 << 20)]
            if not conn.try_send(b"%x\r\n" % len(part) + part + b"\r\n"):
                break
        conn.try_send(b"0\r\n\r\n")
        r = conn.response()
    full(r)
    assert not small.tree("blobs", "repositories", "tmp")
    # a stream keeps what came, a chunk is rolled back, until it is gone
    r = c.get(loc)
    if how in ("post", "patch"):
        assert ok(r, 204).headers["Range"] == "0-0"
        small_data = unique(1 << 20)
        r = ok(c.chunk(loc, 0, small_data), 202)
        ok(c.finish(location(r), digest(small_data)), 201)
    elif r.status_code == 204:
        ok(c.delete(loc), 204)
    wait_for("the room to be free", lambda: free(small) > before - (3 << 20))
    data = unique(8 << 20)
    d = c.push("a", data)
    assert c.blob("a", d).content == data
    small.leaks()
    cancel_all(small, c)


def cancel_all(n, c):
    """Cancels the sessions that are still open."""
    for name in os.listdir(n.path("uploads")):
        for repo in ("a", "b"):
            c.delete("/v2/%s/blobs/uploads/%s" % (repo, name))


def test_resume_when_there_is_room(small):
    """The session survives a full disk."""
    c = small.client()
    ballast = unique(10 << 20)
    d = c.push("a", ballast)
    data = unique(8 << 20)
    loc = location(ok(c.chunk(c.start("a"), 0, data[:1 << 20]), 202))
    conn = Raw(small.addr)
    r = conn.request("PATCH", loc, ("Content-Range", "%d-%d" % (
        1 << 20, len(data) - 1)), body=data[1 << 20:])
    full(r)
    assert c.get(loc).headers["Range"] == "0-%d" % ((1 << 20) - 1)
    ok(c.delete("/v2/a/blobs/" + d), 202)
    wait = free(small)
    # the content leaves with the collector, or with the last name
    if wait < 8 << 20:
        hexa = d[7:]
        path = small.path("blobs", "sha256", hexa[:2], hexa)
        if os.path.exists(path):
            os.unlink(path)
    ok(c.chunk(loc, 1 << 20, data[1 << 20:]), 202)
    ok(c.finish(loc, digest(data)), 201)
    assert c.blob("a", digest(data)).content == data


def test_what_is_written_counts(small):
    """A stream that no longer fits keeps what was written, and no more."""
    c = small.client()
    data = unique(24 << 20)
    loc = c.start("a")
    conn = Raw(small.addr)
    conn.head("PATCH", loc, ("Content-Length", str(len(data))))
    conn.try_send(data)
    full(conn.response())
    r = ok(c.get(loc), 204)
    kept = int(r.headers["Range"].split("-")[1]) + 1
    assert kept > 1 << 20
    with open(small.path("uploads", upload_id(loc), "data"), "rb") as f:
        assert f.read(kept) == data[:kept]
    ok(c.delete(loc), 204)


def test_manifest(small):
    """No room for a record: nothing of it, and reads go on."""
    c = small.client()
    one = c.index()
    ok(c.put_manifest("a", "v1", one, INDEX), 201)
    ballast = os.path.join(small.store, "tmp", "ballast")
    # unbuffered: what did not go in would be tried again by close()
    with open(ballast, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 65536)
        except OSError:
            pass
    two = c.index(annotations={"a": "x" * 100000})
    full(c.put_manifest("a", "v1", two, INDEX))
    full(c.put_manifest("a", digest(two), two, INDEX))
    assert c.manifest("a", "v1").content == one
    assert c.manifest("a", digest(two)).status_code == 404
    assert c.tags("a") == ["v1"]
    os.unlink(ballast)
    ok(c.put_manifest("a", "v1", two, INDEX), 201)
    assert c.manifest("a", "v1").content == two


def test_the_connection_stays_usable(small):
    """The rest of the body is drained, or the connection is closed."""
    c = Raw(small.addr)
    data = unique(20 << 20)
    r = c.request("POST", "/v2/a/blobs/uploads/?digest=" + digest(data),
                  body=data)
    full(r)
    if header(r, "Connection") != "close":
        assert c.request("GET", "/v2/").status == 200
