"""Upstreams that send a head, and then no body, or hardly any."""

import concurrent.futures
import os
import time

import pytest
import requests

from edge import METRICS, cache, edge, fresh, metric
from gate import SLOWDOWN, wait_for
from oci import digest, ok
from test_edge_stale import CLOSED, OPENED, REQUESTS, World

MIB = 1 << 20
HOW = [{"stall": 0}, {"stall": 10}, {"rate": 100}]


def names(f):
    return "-".join("%s-%s" % x for x in f.items())


def ask(n, path):
    """A blob that may be cut: its status, None for one that was."""
    try:
        return fresh(n, "GET", path, timeout=120).status_code
    except (requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ConnectionError):
        return None


@pytest.mark.waits
@pytest.mark.native
@pytest.mark.parametrize("fields", HOW, ids=names)
def test_manifests(factory, upstreams, fields):
    """A tag that has moved, and whose manifest does not come: stale within
    two seconds, then at once; the heads in between are no sign of life."""
    w = World(factory, upstreams(), workers=1, server=METRICS)
    w.up.image("a", "v1")
    w.up.fault("/v2/", method="GET", **fields)
    took = []

    def stale():
        start = time.monotonic()
        r = w.get(w.tag)
        took.append(time.monotonic() - start)
        assert ok(r, 200).headers["Docker-Content-Digest"] == w.digest
        return cache(r) == "STALE"
    wait_for("STALE", stale, 15, 0.1)
    assert max(took) < 2.2 * SLOWDOWN, took
    wait_for("the circuit to open", lambda: stale() and metric(
        w.n, OPENED) == 1, 15, 0.1)
    heads = w.up.count(method="HEAD")
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert stale()
        time.sleep(0.1)
    assert took[-1] < 2.2 * SLOWDOWN
    # it was tried, the head came, and nothing was closed by it
    assert w.up.count(method="HEAD") > heads
    assert metric(w.n, CLOSED) == 0
    assert metric(w.n, "oci_upstream_errors_total") >= 3
    w.up.mend()
    w.recovered()
    assert metric(w.n, CLOSED) == 1


@pytest.mark.waits
def test_lists(factory, upstreams):
    w = World(factory, upstreams(), workers=1, server=METRICS)
    w.up.fault("/tags/", stall=5)
    for _ in range(4):
        start = time.monotonic()
        w.stale(w.lists[0])
        assert time.monotonic() - start < 4 * SLOWDOWN
    assert metric(w.n, OPENED) == 1


@pytest.mark.waits
@pytest.mark.native
@pytest.mark.parametrize("fields", HOW, ids=names)
def test_cold_blobs(factory, upstreams, fields):
    """Whoever waits for a body tells the circuit; then nobody waits."""
    up = upstreams()
    n = edge(factory, up, "oci_pass_timeout 1s;", server=METRICS)
    first = "/v2/a/blobs/" + up.sparse("a", 3 * MIB)
    blob = os.urandom(200000)
    path = "/v2/a/blobs/" + up.blob("a", blob)
    up.fault("/blobs/", method="GET", **fields)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        one = pool.submit(ask, n, first)
        try:
            wait_for("the circuit to open", lambda: metric(n, OPENED) == 1,
                     30 * SLOWDOWN, 0.1)
            before = metric(n, REQUESTS)
            start = time.monotonic()
            failed = [ask(n, path) for _ in range(3)]
            took = time.monotonic() - start
            assert failed.count(502) >= 2, failed
            assert took < 4 * SLOWDOWN or failed.count(502) == 2, took
            assert metric(n, REQUESTS) >= before
        except BaseException:
            up.mend()
            up.drop()           # or the pool waits for who waits
            raise
        up.mend()
        one.result()
    wait_for("it to be tried", lambda: ask(n, path) == 200, 30, 0.1)
    wait_for("the circuit to close", lambda: metric(n, CLOSED) >= 1, 30, 0.1)
    assert fresh(n, "GET", path).content == blob


@pytest.mark.waits
@pytest.mark.native
def test_one_stall(factory, upstreams):
    """All connections stand still once: others take over after a while, and
    it was one failure, whatever their number."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_chunk 1m;", workers=1, server=METRICS)
    size = 12 * MIB
    d = up.sparse("a", size)
    up.fault("/blobs/", stall=100000, times=4, skip=1)
    start = time.monotonic()
    r = fresh(n, "GET", "/v2/a/blobs/" + d, timeout=60)
    assert digest(r.content) == d
    assert 14 < time.monotonic() - start < 14 + 12 * SLOWDOWN
    assert metric(n, "oci_upstream_errors_total") == 1
    assert metric(n, OPENED) == 0
    assert "for 15 seconds" in n.log()
