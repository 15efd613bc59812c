"""What counts as use of a blob, and who waits for whom in a repository."""

import fcntl
import os
import threading

import pytest

from nginx import wait_for
from oci import digest, ok, unique, upload_id

SERVER = {"http": "server { listen 127.0.0.1:@PORT:ro@;"
                  " location /v2/ { oci main; } }"}

OLD = 1000000000


def make_old(reg, repo, d):
    path = reg.nginx.repo(repo, "_blobs", *d.split(":"))
    os.utime(path, (OLD, OLD))
    return path


@pytest.mark.parametrize("how", ["head", "post", "mount", "push"])
def test_counts_as_use(reg, repo, how):
    """The grace period begins anew for a client that may push."""
    data = unique()
    d = reg.push(repo, data)
    path = make_old(reg, repo, d)
    uploads = "/v2/%s/blobs/uploads/" % repo
    if how == "head":
        ok(reg.head("/v2/%s/blobs/%s" % (repo, d)), 200)
    elif how == "post":
        ok(reg.post(uploads + "?digest=" + d), 201)
    elif how == "mount":
        ok(reg.post("/v2/%s/other/blobs/uploads/?mount=%s&from=%s"
                    % (repo, d, repo)), 201)
    else:
        reg.push(repo, data)
    assert os.stat(path).st_mtime > OLD


def test_reading_does_not(reg, server, repo):
    """What only pulls keeps nothing alive, and writes nothing."""
    d = reg.push(repo, unique())
    path = make_old(reg, repo, d)
    url = "/v2/%s/blobs/%s" % (repo, d)
    ro = type(reg)("http://127.0.0.1:%d" % server.port("ro"))
    ok(ro.head(url), 200)
    ok(ro.get(url), 200)
    ok(reg.get(url), 200)
    ro.close()
    assert os.stat(path).st_mtime == OLD


@pytest.mark.parametrize("lock,what", [
    ("shared", "blob"), ("shared", "manifest"), ("shared", "tag"),
    ("exclusive", "push"), ("exclusive", "blob")])
def test_waits(reg, raw, repo, lock, what):
    """
    A delete waits until no push of a manifest is under way, and a push
    until no delete is.
    """
    d = reg.push_image(repo, "v1")
    blob = reg.push(repo, unique())
    data = reg.image(repo)
    fd = os.open(reg.nginx.repo(repo, "_lock"), os.O_RDWR)
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH if lock == "shared"
                    else fcntl.LOCK_EX)
        c = raw()
        if what == "push":
            c.head("PUT", "/v2/%s/manifests/%s" % (repo, digest(data)),
                   ("Content-Length", str(len(data))),
                   ("Content-Type",
                    "application/vnd.oci.image.manifest.v1+json"))
            c.send(data)
        else:
            c.head("DELETE", "/v2/%s/%s" % (repo, {
                "blob": "blobs/" + blob, "manifest": "manifests/" + d,
                "tag": "manifests/v1"}[what]))
        assert c.quiet(0.5)
        fcntl.lockf(fd, fcntl.LOCK_UN)
        ok(c.response(), 201 if what == "push" else 202)
    finally:
        os.close(fd)


def test_a_body_waits_for_the_disk(reg, raw, repo):
    """What can't be written yet is not read from the client either."""
    data = unique(32 << 20)
    loc = reg.start(repo)
    path = reg.nginx.path("uploads", upload_id(loc), "data")
    c = raw()
    c.head("PATCH", loc, ("Content-Length", str(len(data))))
    c.send(data[:1 << 20])
    wait_for("the first bytes", lambda: os.path.getsize(path) >= 1 << 19)
    fd = os.open(path, os.O_RDWR)
    try:
        # the lock of each step of a session: its thread waits
        fcntl.lockf(fd, fcntl.LOCK_EX, 1)
        sender = threading.Thread(target=c.try_send, args=(data[1 << 20:],))
        sender.start()
        sender.join(1)
        assert sender.is_alive()
        assert os.path.getsize(path) <= 2 << 20
    finally:
        os.close(fd)
    sender.join(20)
    ok(c.response(), 202)
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data
