"""Clients that leave while a thread works for them, or before it may."""

import fcntl
import os
import time

import pytest

from nginx import wait_for
from oci import INDEX, digest, location, ok, unique, upload_id


def send(c, method, url):
    """The request is in nginx's own hands when this returns: it was read
    together with the one whose answer is here."""
    c.send(("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"
            "%s %s HTTP/1.1\r\nHost: a\r\n\r\n" % (method, url)).encode())
    ok(c.response(), 200)


def ended(reg, method, url):
    """How many such requests nginx has done with."""
    with open(os.path.join(reg.nginx.prefix, "logs", "access.log"),
              encoding="utf-8") as f:
        return f.read().count("\"%s %s " % (method, url))


def test_during_a_task(reg, raw, repo):
    """A list that takes its time; nobody is there to get it."""
    ok(reg.put_manifest(repo, "t", reg.index(), INDEX), 201)
    folder = reg.nginx.repo(repo, "_tags")
    target = os.readlink(folder + "/t")
    for i in range(6000):
        os.symlink(target, "%s/x%05d" % (folder, i))
    url = "/v2/%s/tags/list" % repo
    for i in range(10):
        c = raw()
        send(c, "GET", url)
        c.abort() if i % 2 else c.close()
    wait_for("all to end", lambda: ended(reg, "GET", url) == 10)
    assert len(ok(reg.get(url), 200).json()["tags"]) == 6001


def test_before_the_lock_is_free(reg, raw, repo):
    """A delete that nobody waits for any more is not tried again."""
    d = reg.push_image(repo, "v1")
    url = "/v2/%s/manifests/%s" % (repo, d)
    fd = os.open(reg.nginx.repo(repo, "_lock"), os.O_RDWR)
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH)
        for i in range(10):
            c = raw()
            send(c, "DELETE", url)
            c.abort() if i % 2 else c.close()
        wait_for("all to end", lambda: ended(reg, "DELETE", url) == 10)
    finally:
        os.close(fd)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        ok(reg.manifest(repo, d), 200)
    ok(reg.delete(url), 202)


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_in_a_chunk(reg, raw, repo, leave):
    """With a Content-Range: what was written of it already goes again."""
    data = unique(900000)
    loc = location(ok(reg.chunk(reg.start(repo), 0, data[:50000]), 202))
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    c = raw()
    c.head("PATCH", loc, ("Content-Range", "50000-899999"),
           ("Content-Length", "850000"))
    c.send(data[50000:800000])
    wait_for("bytes on disk", lambda: os.path.getsize(path) > 500000)
    getattr(c, leave)()
    wait_for("them to go", lambda: os.path.getsize(path) == 50000)
    assert ok(reg.get(loc), 204).headers["Range"] == "0-49999"

    def again():
        r = reg.chunk(loc, 50000, data[50000:])
        return r if r.status_code != 409 else None

    ok(wait_for("the session to be free", again), 202)
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("leave", ["close", "half_close"])
def test_all_at_once(reg, raw, repo, coding, leave):
    """The last bytes and the end of the connection are read in one go."""
    data = unique(60000)
    loc = reg.start(repo)
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    fd = os.open(path, os.O_RDWR)
    try:
        # the session can't be had, and its body is not read before it is
        fcntl.lockf(fd, fcntl.LOCK_EX, 1)
        c = raw()
        if coding == "length":
            c.head("PATCH", loc, ("Content-Length", "100000"))
            c.send(data)
        else:
            c.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
            c.chunk(data)
        getattr(c, leave)()
    finally:
        os.close(fd)
    wait_for("all that came", lambda: ok(reg.get(loc), 204).headers["Range"]
             == "0-59999")

    def finish():
        r = reg.finish(loc, digest(data))
        return r if r.status_code != 409 else None

    ok(wait_for("the session to be free", finish), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_all_at_once_behind_a_slow_disk(reg, raw, repo):
    """The same in the middle of a body, which was not read for a while."""
    data = unique((3 << 20) + 12345)
    loc = reg.start(repo)
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    c = raw()
    c.head("PATCH", loc, ("Content-Length", str(8 << 20)))
    c.send(data[:1 << 20])
    wait_for("the first bytes", lambda: os.path.getsize(path) >= 1 << 19)
    fd = os.open(path, os.O_RDWR)
    try:
        # each step of a session takes this lock: its thread waits
        fcntl.lockf(fd, fcntl.LOCK_EX, 1)
        c.send(data[1 << 20:])
        c.close()
    finally:
        os.close(fd)
    wait_for("all that came", lambda: ok(reg.get(loc), 204).headers["Range"]
             == "0-%d" % (len(data) - 1))

    def finish():
        r = reg.finish(loc, digest(data))
        return r if r.status_code != 409 else None

    ok(wait_for("the session to be free", finish), 201)
