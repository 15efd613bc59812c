"""Two requests on one session, other workers, reloads, kills."""

import os
import threading
import time

import pytest

from nginx import SLOWDOWN, wait_for
from oci import Client, digest, error, header, location, ok, unique, \
    upload_id
from raw import Raw


def other_worker(n, pid, tries=400):
    """A fresh connection to another worker than pid."""
    for _ in range(tries):
        c = Raw(n.addr)
        r = c.request("GET", "/v2/")
        if header(r, "X-Worker") != pid:
            return c
        c.close()
    raise AssertionError("all connections went to one worker")


@pytest.fixture(scope="module")
def spread():
    """Each worker with a listening socket of its own: both get work."""
    import nginx
    from conftest import _client
    n = nginx.Nginx(listen="reuseport")
    yield _client(n)
    n.stop()


@pytest.mark.smoke
def test_two_patches_at_once(reg, raw, repo):
    """409 with Location and Range while the first one is moving."""
    data = unique(150000)
    loc = location(ok(reg.chunk(reg.start(repo), 0, data[:50000]), 202))
    c = raw()
    c.head("PATCH", loc, ("Content-Length", "100000"))
    c.send(data[50000:90000])
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    wait_for("the first one's bytes",
             lambda: os.path.getsize(path) >= 90000)
    for r in (reg.patch(loc, data=b"intruder"),
              reg.chunk(loc, 50000, b"intruder"),
              reg.finish(loc, digest(data))):
        error(r, 409, "BLOB_UPLOAD_INVALID", "UNSUPPORTED", "DENIED")
        location(r)
        assert r.headers["Range"].startswith("0-")
    c.send(data[90000:])
    ok(c.response(), 202)
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_the_409_comes_from_another_worker_too(spread, repo):
    data = unique(100000)
    loc = spread.start(repo)
    c = Raw(spread.nginx.addr)
    pid = header(c.request("GET", "/v2/"), "X-Worker")
    c.head("PATCH", loc, ("Content-Length", "100000"))
    c.send(data[:40000])
    path = spread.nginx.path("uploads", upload_id(loc), "data")
    wait_for("the first one's bytes",
             lambda: os.path.getsize(path) >= 40000)
    other = other_worker(spread.nginx, pid)
    error(other.request("PATCH", loc, body=b"x"), 409,
          "BLOB_UPLOAD_INVALID", "UNSUPPORTED", "DENIED")
    c.send(data[40000:])
    ok(c.response(), 202)
    ok(spread.finish(loc, digest(data)), 201)


@pytest.mark.parametrize("ranged", [False, True])
def test_takeover(reg, raw, repo, ranged):
    """
    A holder that is silent for 5 s loses the session; when it wakes up it
    can't write any more.
    """
    data = unique(100000)
    loc = reg.start(repo)
    c = raw()
    extra = (("Content-Range", "0-99999"),) if ranged else ()
    c.head("PATCH", loc, ("Content-Length", "100000"), *extra)
    c.send(data[:40000])
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    wait_for("the first one's bytes",
             lambda: os.path.getsize(path) == 40000)
    start = time.monotonic()
    tries = []

    def second():
        r = reg.patch(loc, data=b"")
        tries.append(r.status_code)
        return r if r.status_code != 409 else None

    r = ok(wait_for("a takeover", second, 20, 0.2), 202)
    assert time.monotonic() - start > 3, "taken over from a live holder"
    assert tries[0] == 409
    at = int(r.headers["Range"].split("-")[1]) + 1
    if at == 1:
        at = 0
    assert at in ((0, 40000) if not ranged else (0,))
    # the first one wakes up; whatever it is told, nothing of it counts
    c.try_send(data[:60000])
    try:
        assert c.response().status in (409, 404, 500, 400)
    except ConnectionError:
        pass
    r = ok(reg.patch(loc, data=data[at:]), 202)
    assert r.headers["Range"] == "0-99999"
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_same_blob_by_many(spread, repo):
    """All pushes of one digest at once succeed."""
    data = unique(300000)
    answers = []

    def push(i):
        c = Client(spread.base)
        loc = c.start(repo if i % 2 else repo + "/b")
        answers.append(c.finish(loc, digest(data), data).status_code)
        c.close()

    threads = [threading.Thread(target=push, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [201] * 8
    assert spread.blob(repo, digest(data)).content == data
    # shared by both, or the second had its own before the first was known
    assert spread.blob(repo + "/b", digest(data)).content == data
    assert os.stat(spread.nginx.path(
        "blobs", "sha256", digest(data)[7:9], digest(data)[7:])
    ).st_nlink in (2, 3)


def test_many_sessions_at_once(spread, repo):
    errors = []

    def push():
        c = Client(spread.base)
        try:
            for _ in range(10):
                data = unique(20000)
                loc = c.start(repo)
                for at in range(0, 20000, 5000):
                    loc = location(ok(c.chunk(loc, at,
                                              data[at:at + 5000]), 202))
                ok(c.finish(loc, digest(data)), 201)
                assert c.blob(repo, digest(data)).content == data
        except BaseException as e:
            errors.append(e)
        c.close()

    threads = [threading.Thread(target=push) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


@pytest.mark.smoke
def test_other_worker_continues(spread, repo):
    """Each chunk on another worker than the one before."""
    data = unique(40000)
    loc = spread.start(repo)
    pid, seen = None, set()
    for at in range(0, 40000, 10000):
        c = other_worker(spread.nginx, pid)
        r = c.request("PATCH", loc, ("Content-Range",
                                     "%d-%d" % (at, at + 9999)),
                      body=data[at:at + 10000])
        ok(r, 202)
        pid = header(r, "X-Worker")
        seen.add(pid)
        loc = location(r)
        c.close()
    assert len(seen) == 2
    ok(spread.finish(loc, digest(data)), 201)
    assert spread.blob(repo, digest(data)).content == data


@pytest.mark.smoke
def test_read_your_writes_on_all_workers(spread, repo):
    """A tag that moved or went is seen by every worker at once."""
    n = spread.nginx
    conns = {}
    while len(conns) < 2:
        c = Raw(n.addr)
        pid = header(c.request("GET", "/v2/"), "X-Worker")
        if conns.setdefault(pid, c) is not c:
            c.close()
    url = "/v2/%s/manifests/latest" % repo
    for i in range(20):
        data = spread.index(annotations={"i": str(i)})
        assert spread.put_manifest(repo, "latest", data,
                                   None).status_code == 201
        for c in conns.values():
            assert c.request("GET", url).body == data
    assert spread.delete(url).status_code == 202
    for c in conns.values():
        assert c.request("GET", url).status == 404
        assert c.request("HEAD", "/v2/%s/manifests/%s"
                         % (repo, digest(data))).status == 200
    assert spread.delete("/v2/%s/manifests/%s" % (
        repo, digest(data))).status_code == 202
    for c in conns.values():
        assert c.request("GET", "/v2/%s/manifests/%s"
                         % (repo, digest(data))).status == 404


@pytest.mark.smoke
def test_after_a_reload(factory, repo):
    n = factory()
    c = n.client()
    data = unique(100000)
    d = c.push_image(repo, "v1")
    loc = location(ok(c.patch(c.start(repo), data=data[:30000]), 202))
    n.reload(gone=True)
    c.close()
    loc = location(ok(c.chunk(loc, 30000, data[30000:60000]), 202))
    n.reload()
    ok(c.finish(loc, digest(data), data[60000:]), 201)
    assert c.blob(repo, digest(data)).content == data
    assert c.manifest(repo, "v1").headers["Docker-Content-Digest"] == d


def test_reload_in_a_body(factory, repo):
    """The old worker finishes what it has begun."""
    n = factory()
    c = n.client()
    data = unique(300000)
    loc = c.start(repo)
    conn = Raw(n.addr)
    conn.head("PATCH", loc, ("Content-Length", "300000"))
    conn.send(data[:100000])
    wait_for("bytes", lambda: os.path.getsize(n.path(
        "uploads", upload_id(loc), "data")) >= 100000)
    n.reload()
    conn.send(data[100000:])
    ok(conn.response(), 202)
    conn.close()
    c.close()
    ok(c.finish(loc, digest(data)), 201)
    assert c.blob(repo, digest(data)).content == data


@pytest.mark.smoke
def test_after_kill(factory, repo):
    """kill -9 of the workers between two chunks."""
    n = factory()
    c = n.client()
    data = unique(100000)
    d = c.push_image(repo, "v1")
    loc = location(ok(c.patch(c.start(repo), data=data[:30000]), 202))
    n.kill_workers()
    c.close()
    assert ok(c.get(loc), 204).headers["Range"] == "0-29999"
    loc = location(ok(c.chunk(loc, 30000, data[30000:]), 202))
    ok(c.finish(loc, digest(data)), 201)
    assert c.blob(repo, digest(data)).content == data
    assert c.manifest(repo, "v1").headers["Docker-Content-Digest"] == d


@pytest.mark.parametrize("ranged", [False, True])
def test_kill_in_a_body(factory, repo, ranged):
    """
    kill -9 in a body: one with Content-Range never happened, one without
    keeps a saved part; the upload goes on and nothing is wrong in the end.
    """
    n = factory()
    c = n.client()
    head, block = unique(30000), unique(1 << 20)
    total = len(head) + 80 * len(block)
    loc = location(ok(c.patch(c.start(repo), data=head), 202))
    conn = Raw(n.addr)
    extra = (("Content-Range", "30000-%d" % (total - 1)),) if ranged else ()
    conn.head("PATCH", loc, ("Content-Length", str(80 * len(block))),
              *extra)
    for _ in range(70):
        conn.send(block)
    wait_for("64 MiB on disk", lambda: os.path.getsize(n.path(
        "uploads", upload_id(loc), "data")) >= 30000 + 66 * len(block), 60)
    if not ranged:
        wait_for("a saved part", lambda: int(ok(c.get(loc), 204).headers[
            "Range"].split("-")[1]) + 1 >= 64 << 20)
    n.kill_workers()
    conn.close()
    c.close()
    r = ok(c.get(loc), 204)
    at = int(r.headers["Range"].split("-")[1]) + 1
    if ranged:
        assert at == 30000
    else:
        assert at >= 64 << 20
    whole = head + 80 * block
    ok(c.finish(loc, digest(whole), whole[at:]), 201)
    with c.get("/v2/%s/blobs/%s" % (repo, digest(whole)), stream=True) as r:
        import hashlib
        h = hashlib.sha256()
        for part in r.iter_content(1 << 20):
            h.update(part)
    assert "sha256:" + h.hexdigest() == digest(whole)


def test_kills_in_pushes(factory, repo):
    """Each push with a 201 is there whole; nothing half is visible."""
    n = factory()
    done, stop, seen = [], threading.Event(), [0]

    def pusher():
        c = Client(n.url)
        while not stop.is_set():
            data = unique(60000)
            try:
                loc = c.start(repo)
                r = c.finish(loc, digest(data), data)
                if r.status_code == 201:
                    done.append(digest(data))
            except Exception:
                seen[0] += 1
        c.close()

    threads = [threading.Thread(target=pusher) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(8):
            want = len(done) + 5
            wait_for("pushes", lambda: len(done) >= want, 30)
            n.kill_workers()
    finally:
        stop.set()
        for t in threads:
            t.join(60 * SLOWDOWN)
    assert seen[0] > 0, "no push was hit"
    c = n.client()
    for d in done:
        assert digest(c.blob(repo, d).content) == d
    for path in n.tree("blobs", "repositories"):
        name = os.path.basename(path)
        with open(n.path(path), "rb") as f:
            assert digest(f.read()) == "sha256:" + name
    n.reload()
    assert c.get("/v2/").status_code == 200
