"""A worker that is killed between a change and the counter that tells of it:
what others have kept of before is not gone on with.  And one that is killed
when it should wake another that waits for the zone's lock."""

import glob
import os
import struct

import pytest

from nginx import wait_for
from test_zone import KNOBS as ZONE, Memory, each
from oci import IMAGE, digest, dumps, ok

WAIT = 8                        # in nginx's ngx_slab_pool_t, after the lock

# futex(), in which a semaphore waits
FUTEX = {"aarch64": "98"}.get(os.uname().machine, "202")

KNOBS = dict(location="oci_sparse on; oci_valid 1h; oci_valid_missing 1h; "
             "add_header X-Cache $oci_cache_status always;")
TAG = "/v2/a/b/manifests/v1"


def image(text):
    return dumps({
        "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
        "annotations": {"x": text}, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(b"{}"), "size": 2}})


def two(factory):
    """Two nginx on one store, both with v1 in their zones; and what v1 is."""
    a = factory(workers=1, **KNOBS)
    b = factory(workers=1, stores="oci_store %s zone=main:4m durable=off;"
                % a.store, **KNOBS)
    one, other = image("one"), image("two")
    ok(a.client().put_manifest("a/b", "v1", one), 201)
    ok(a.client().put_manifest("a/b", digest(other), other), 201)
    # the second one may not have begun yet with what it does at its start
    for n in b, a:
        wait_for("a hit", lambda n=n: n.client().get(TAG).headers[
            "X-Cache"] == "HIT")
        assert n.client().get(TAG).content == one
    return a, b, one, other


def moved(n, other):
    """As a push leaves it that dies before it says what it has changed."""
    path = n.repo("a/b", "_tags", "v1")
    os.symlink("../_manifests/sha256/" + digest(other)[7:], path + ".new")
    os.rename(path + ".new", path)


def test_killed(factory):
    a, b, one, other = two(factory)
    moved(a, other)
    for n in a, b:
        assert n.client().get(TAG).content == one
    a.kill_workers()
    for n in a, b:
        assert n.client().get(TAG).content == other


def test_all_of_it_killed(factory):
    """The next one to start knows no more than that it is the first."""
    a, b, one, other = two(factory)
    moved(a, other)
    assert b.client().get(TAG).content == one
    a.restart(kill=True)
    for n in a, b:
        assert n.client().get(TAG).content == other


def raised(n):
    """How often all counters of its store were raised."""
    path, = glob.glob(os.path.join(n.store, "run", "*"))
    with open(path, "rb") as f:
        each_ = struct.unpack("=4096Q", f.read())
    return each_[0] if min(each_) == max(each_) else None


def begun(n):
    """Each worker has mapped the counters, and then raised them or not."""
    def mapped(pid):
        with open("/proc/%d/maps" % pid, encoding="ascii") as f:
            return n.store + "/run/" in f.read()

    wait_for("workers with a store", lambda: all(map(mapped, n.workers())))


def test_one_of_them_doubts(factory):
    """Not each process that begins: what others keep already stays kept."""
    n = factory(workers=8)
    for times in 1, 2, 3:
        begun(n)
        wait_for("the counters", lambda t=times: raised(n) == t)
        n.reload(gone=True)
        begun(n)
        assert raised(n) == times
        n.kill_workers(n.workers()[3])


def test_left(factory):
    """Who leaves in peace has ended all that it began."""
    a, b, one, _ = two(factory)
    a.reload(gone=True)
    for n in a, b:
        r = n.client().get(TAG)
        assert r.content == one and r.headers["X-Cache"] == "HIT"


def test_delete_again(factory):
    """A tag is gone whose delete broke off: 404, and so for everybody."""
    a, b, one, _ = two(factory)
    os.unlink(a.repo("a/b", "_tags", "v1"))
    assert b.client().get(TAG).content == one
    ok(a.client().delete(TAG), 404)
    for n in a, b:
        ok(n.client().get(TAG), 404)


@pytest.mark.native
def test_nobody_sleeps_for_good(factory):
    n = factory(workers=2, zone="512k", **ZONE)
    n.client().push_image("a/b", "v1")
    victim, sleeper = each(n)
    assert sleeper.get("/v2/a/b/manifests/v1").status == 200
    m = Memory(victim.pid, 512 << 10)
    m.put(m.start + m.LOCK, 8, victim.pid)
    sleeper.raw.head("GET", "/v2/a/b/manifests/v1")
    wait_for("it to wait", lambda: m.get(m.start + WAIT, 8) > 0)
    wait_for("it to sleep", lambda: sleeping(sleeper.pid))
    # the lock is free and the sleeper not counted any more, but not woken
    m.put(m.start + WAIT, 8, 0)
    m.put(m.start + m.LOCK, 8, 0)
    assert sleeper.raw.quiet(.3)
    n.kill_workers(victim.pid)
    assert sleeper.raw.response().status == 200


def sleeping(pid):
    with open("/proc/%d/syscall" % pid, encoding="ascii") as f:
        return f.read().split()[0] == FUTEX
