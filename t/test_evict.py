"""Eviction of what was filled: the limits of oci_store."""

import os
import time

from edge import edge, fresh, metric, METRICS
from nginx import SLOWDOWN, wait_for
from oci import digest

MIB = 1 << 20
WAIT = 30 * SLOWDOWN


def pull(n, up, repo, size):
    d = up.blob(repo, os.urandom(size))
    r = fresh(n, "GET", "/v2/%s/blobs/%s" % (repo, d))
    assert r.status_code == 200
    wait_for("the fill to end", lambda: os.path.exists(link(n, repo, d))
             and not os.listdir(n.path("fills", "sha256")), WAIT)
    return d


def link(n, repo, d):
    return n.repo(repo, "_cached", "sha256", d[7:])


def content(n, d):
    return n.path("blobs", "sha256", d[7:9], d[7:])


def age(n, repo, d, seconds):
    then = time.time() - seconds
    os.utime(link(n, repo, d), (then, then))


def test_max_size(factory, upstreams):
    up = upstreams()
    n = edge(factory, up, server=METRICS, methods="pull push",
             store_opts="durable=off max_size=10m")
    c = n.client()
    pushed = c.push("a", os.urandom(3 * MIB))
    old = pull(n, up, "a", 4 * MIB)
    age(n, "a", old, 5000)
    mid = pull(n, up, "b", 4 * MIB)
    age(n, "b", mid, 4000)
    new = pull(n, up, "a", 4 * MIB)
    wait_for("the oldest to go", lambda: not os.path.exists(content(n, old)),
             WAIT)
    assert not os.path.exists(link(n, "a", old))
    assert os.path.exists(link(n, "b", mid))
    assert os.path.exists(link(n, "a", new))

    # the push is not for it, and what is used is the youngest
    r = fresh(n, "GET", "/v2/b/blobs/" + mid)
    assert digest(r.content) == mid
    wait_for("the use to be noted", lambda: time.time() - os.stat(
        link(n, "b", mid)).st_mtime < 100)
    age(n, "a", new, 2000)
    pull(n, up, "c", 4 * MIB)
    wait_for("the next to go", lambda: not os.path.exists(link(n, "a", new)),
             WAIT)
    assert os.path.exists(link(n, "b", mid))
    assert fresh(n, "GET", "/v2/a/blobs/" + pushed).status_code == 200
    wait_for("the counts", lambda: metric(n, "oci_evicted_files_total") == 2
             and metric(n, "oci_evicted_bytes_total") == 8 * MIB)

    # and is fetched again when somebody asks
    r = fresh(n, "GET", "/v2/a/blobs/" + old)
    assert digest(r.content) == old


def test_inactive(factory, upstreams):
    up = upstreams()
    n = edge(factory, up, store_opts="durable=off inactive=5s")
    d = pull(n, up, "a", 1000)
    age(n, "a", d, 4)
    wait_for("it to go", lambda: not os.path.exists(content(n, d)), WAIT)


def test_min_free(factory, upstreams):
    up = upstreams()
    n = edge(factory, up, mount_size="20m",
             store_opts="durable=off min_free=6m")
    a = pull(n, up, "a", 5 * MIB)
    age(n, "a", a, 500)
    b = pull(n, up, "a", 5 * MIB)
    age(n, "a", b, 400)
    # something else takes the room
    with open(n.path("ballast"), "wb") as f:
        f.write(b"x" * (6 * MIB))
    wait_for("the oldest to go", lambda: not os.path.exists(content(n, a)),
             WAIT)
    assert os.path.exists(link(n, "a", b))
    os.unlink(n.path("ballast"))


def test_a_reader_keeps_what_it_reads(factory, upstreams):
    up = upstreams()
    n = edge(factory, up, store_opts="durable=off inactive=5s")
    size = 30 * MIB
    d = up.sparse("a", size)
    assert fresh(n, "GET", "/v2/a/blobs/" + d).status_code == 200
    wait_for("the fill to end", lambda: os.path.exists(link(n, "a", d)),
             WAIT)
    r = fresh(n, "GET", "/v2/a/blobs/" + d, stream=True)
    first = r.raw.read(1000)
    age(n, "a", d, 100)
    wait_for("it to go", lambda: not os.path.exists(content(n, d)), WAIT)
    assert digest(first + r.raw.read()) == d
