"""An edge whose upstream is down, hangs, fails, or says no."""

import os
import time

import pytest

from edge import METRICS, by_workers, cache, edge, fresh, metric
from gate import SLOWDOWN, wait_for
from oci import digest, ok

SHORT = "oci_valid 1s; oci_valid_missing 1s;"


class World:
    """An image that the edge has pulled, and its paths."""

    def __init__(self, factory, up, location=SHORT, **knobs):
        self.up = up
        self.layer = os.urandom(50000)
        self.digest = up.image("a", "v1", layers=[self.layer])
        self.n = edge(factory, up, location, **knobs)
        self.tag = "/v2/a/manifests/v1"
        self.manifest = "/v2/a/manifests/" + self.digest
        self.blob = "/v2/a/blobs/" + digest(self.layer)
        self.lists = ("/v2/a/tags/list", "/v2/a/referrers/" + self.digest)
        for path in (self.tag, self.manifest, self.blob) + self.lists:
            r = self.get(path)
            assert r.status_code == 200, (path, r.text)

    def get(self, path, method="GET"):
        return fresh(self.n, method, path)

    def stale(self, path=None):
        """Waits until the time of a tag (or list) is over and it is stale."""
        def ask():
            r = self.get(path or self.tag)
            assert r.status_code == 200, r.text
            return r if cache(r) == "STALE" else None
        return wait_for("STALE", ask, 15, 0.1)

    def recovered(self):
        """The upstream has another image: it is there after a while."""
        new = self.up.image("a", "v1")
        wait_for("the new image", lambda: self.get(self.tag).headers.get(
            "Docker-Content-Digest") == new, 60, 0.1)
        self.closed()

    def closed(self):
        """Nobody is given what is stale any more."""
        seen = []

        def ask():
            seen.append(cache(ok(self.get(self.tag), 200)))
            assert seen[-1] != "STALE", seen
            return seen.count("REVALIDATED") == 2
        wait_for("the upstream to be asked twice", ask, 15, 0.1)


@pytest.mark.smoke
def test_down(factory, upstreams):
    """Everything once pulled is still pulled, by tag and by digest."""
    w = World(factory, upstreams())
    w.up.stop()
    r = w.stale()
    assert r.headers["Docker-Content-Digest"] == w.digest
    for path in w.lists:
        w.stale(path)
    for path in (w.tag, w.manifest, w.blob):
        for method in ("GET", "HEAD"):
            r = ok(w.get(path, method), 200)
            assert cache(r) in ("STALE", "HIT")
    assert w.get(w.blob).content == w.layer
    assert cache(w.get(w.tag, "HEAD")) == "STALE"
    for path in ("/v2/a/manifests/v2", "/v2/a/blobs/" + digest(b"x"),
                 "/v2/b/tags/list"):
        r = w.get(path)
        assert r.status_code in (502, 503, 504) and r.json()["errors"]
    w.up.start()
    w.recovered()


@pytest.mark.waits
def test_down_at_the_start(factory, upstreams):
    """The names of what was pulled are on the disk, not in memory alone."""
    w = World(factory, upstreams())
    w.up.stop()
    for kill in (False, True):
        w.n.restart(kill)
        for path in (w.tag, w.manifest, w.blob):
            for r in by_workers(w.n, "GET", path).values():
                ok(r, 200)
        assert cache(w.get(w.tag)) == "STALE"
    w.up.start()
    w.recovered()


def test_no_stale(factory, upstreams):
    w = World(factory, upstreams(), SHORT + "oci_use_stale off;")
    w.up.stop()
    wait_for("the time to be over", lambda:
             w.get(w.tag).status_code in (502, 503, 504), 10, 0.1)
    for path in (w.manifest, w.blob):
        ok(w.get(path), 200)            # digests never expire


@pytest.mark.waits
@pytest.mark.parametrize("fields", [
    {"status": 500}, {"status": 503}, {"status": 429, "headers": [
        ("Retry-After", "1")]}, {"drop": True}, {"garbage": True}],
    ids=lambda f: str(f.get("status", "-".join(f))))
def test_failing(factory, upstreams, fields):
    w = World(factory, upstreams())
    w.up.fault("/v2/", **fields)
    w.stale()
    for path in w.lists:
        w.stale(path)
    w.up.mend()
    w.recovered()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_answer_is_no_failure(factory, upstreams, status):
    """Who is told no is not given the old yes."""
    w = World(factory, upstreams())
    w.up.fault("/v2/a/", status=status)
    wait_for("the upstream's word", lambda:
             w.get(w.tag).status_code in (401, 403, 404), 10, 0.1)
    assert w.get(w.tag).status_code in (401, 403, 404)
    w.up.mend()
    w.recovered()


@pytest.mark.waits
@pytest.mark.native
@pytest.mark.parametrize("how", ["hang", "deaf", "slow_head"])
def test_hanging(factory, upstreams, how):
    """Stale within two seconds, then at once; and it closes by itself."""
    w = World(factory, upstreams(), workers=1, server=METRICS)
    opened = "oci_upstream_circuit_opened_total"
    assert metric(w.n, opened) == 0
    if how == "deaf":
        w.up.drop()
        w.up.deaf = True
    else:
        w.up.fault("/v2/", **{how: True if how == "hang" else 0.2})
    took = []

    def ask():
        start = time.monotonic()
        r = w.get(w.tag)
        took.append(time.monotonic() - start)
        assert r.status_code == 200
        return cache(r) == "STALE"
    wait_for("STALE", ask, 15, 0.1)
    assert max(took) < 2.2 * SLOWDOWN, took
    # the circuit is open: nobody else waits for this upstream
    wait_for("the circuit to open", lambda: ask() and took[-1] < 0.3, 30,
             0.1)
    before = w.up.accepted
    for _ in range(10):
        assert ask() and took[-1] < 2.2
    assert w.up.accepted - before <= 3
    assert sum(1 for t in took[-10:] if t < 0.3) >= 8, took[-10:]
    assert metric(w.n, opened) >= 1
    assert metric(w.n, "oci_upstream_errors_total") >= 1
    r = ok(w.get(w.blob), 200)
    assert r.content == w.layer
    w.up.mend()
    w.up.deaf = False
    w.up.drop()
    w.recovered()


@pytest.mark.native
def test_hanging_and_cold(factory, upstreams):
    """What is not here can't be stale, but a client isn't kept for ever."""
    up = upstreams()
    up.image("a", "v1")
    n = edge(factory, up, SHORT + "oci_pass_timeout 2s;")
    up.fault("/v2/", hang=True)
    start = time.monotonic()
    r = fresh(n, "GET", "/v2/a/manifests/v1")
    assert r.status_code in (502, 503, 504) and r.json()["errors"]
    assert time.monotonic() - start < 12 * SLOWDOWN


def test_other_upstreams_are_not_hurt(factory, upstreams):
    """A circuit is one upstream's."""
    bad, good = upstreams(), upstreams()
    bad.image("a", "v1")
    d = good.image("a", "v1")
    n = edge(factory, "", v2="""
        location /v2/ { oci main; oci_namespace bad; oci_pass %s; %s }
        """ % (bad.url, SHORT), http="""
        server { listen 127.0.0.1:@PORT:good@;
            location /v2/ { oci main; oci_namespace good; oci_pass %s; %s }
        }""" % (good.url, SHORT))
    bad.fault("", status=503)
    for _ in range(20):
        assert fresh(n, "GET", "/v2/a/manifests/v1").status_code >= 429
    c = n.client("http://127.0.0.1:%d" % n.port("good"))
    assert ok(c.manifest("a", "v1"), 200).headers[
        "Docker-Content-Digest"] == d


def test_one_of_a_group_is_down(factory, upstreams):
    """Another peer of the group is asked, and no client notices."""
    first, second = upstreams(), upstreams()
    layer = os.urandom(50000)
    for up in (first, second):
        up.image("a", "v1", layers=[layer])
    n = edge(factory, "http://registries", SHORT, http="""
        upstream registries {
            server 127.0.0.1:%d max_fails=1 fail_timeout=1s;
            server 127.0.0.1:%d max_fails=1 fail_timeout=1s;
            keepalive 8;
        }""" % (first.port, second.port))
    assert fresh(n, "GET", "/v2/a/manifests/v1").status_code == 200
    first.stop()
    for _ in range(5):
        assert fresh(n, "GET", "/v2/a/tags/list").status_code == 200
        blob = os.urandom(3000)
        second.blob("a", blob)
        r = fresh(n, "GET", "/v2/a/blobs/" + digest(blob))
        assert r.content == blob
    r = fresh(n, "GET", "/v2/a/manifests/v1")
    assert r.status_code == 200 and cache(r) != "STALE"


# ---- cold blobs: there is nothing stale of them, but also no use in waiting

REQUESTS = "oci_upstream_requests_total"
OPENED = "oci_upstream_circuit_opened_total"
CLOSED = "oci_upstream_circuit_closed_total"


def gone(n, up, down, method="GET", most=8):
    """Cold blobs of an upstream until its circuit opens; all of them fail."""
    for i in range(most):
        if metric(n, OPENED):
            assert i, "it was open before"
            return
        r = fresh(n, method, "/v2/a/blobs/" + up.blob("a", os.urandom(99)))
        assert r.status_code in down, r.text
    raise AssertionError("the circuit does not open")


@pytest.mark.parametrize("how", ["stop", "status", "hang"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_cold_blobs(factory, upstreams, how, method):
    """Fills and questions tell the circuit, and ask it: while it is open
    cold blobs fail at once; it closes by what a fill brings."""
    up = upstreams()
    n = edge(factory, up, "oci_pass_timeout 1s;", server=METRICS)
    blob = os.urandom(200000)
    path = "/v2/a/blobs/" + up.blob("a", blob)
    if how == "stop":
        up.stop()
    else:
        up.fault("/v2/", **{how: 503 if how == "status" else True})
    gone(n, up, (502, 503, 504), method)
    before = metric(n, REQUESTS)
    start = time.monotonic()
    for _ in range(5):
        for m in ("GET", "HEAD"):
            r = fresh(n, m, path)
            assert r.status_code in (502, 503, 504)
        assert fresh(n, "GET", path).json()["errors"][0][
            "code"] == "UNAVAILABLE"
    took = time.monotonic() - start
    # one may have tried for all
    assert metric(n, REQUESTS) - before <= 3 * (1 + took // 5)
    assert metric(n, CLOSED) == 0
    up.mend()
    up.start()
    wait_for("it to be tried", lambda:
             fresh(n, "GET", path).status_code == 200, 30, 0.1)
    assert metric(n, CLOSED) == metric(n, OPENED) == 1
    assert fresh(n, "GET", path).content == blob
    more = os.urandom(1000)
    assert fresh(n, "GET", "/v2/a/blobs/" + up.blob("a", more)
                 ).content == more


def test_cold_blobs_without_stale(factory, upstreams):
    """Without oci_use_stale there is no circuit: each one tries."""
    up = upstreams()
    n = edge(factory, up, "oci_use_stale off;", server=METRICS)
    path = "/v2/a/blobs/" + up.blob("a", b"x")
    up.stop()
    for _ in range(6):
        assert fresh(n, "GET", path).status_code == 502
    up.start()
    assert fresh(n, "GET", path).content == b"x"


def test_cold_blobs_and_a_limit(factory, upstreams):
    """An upstream that is asked for manifests too often is alive."""
    w = World(factory, upstreams(), server=METRICS)
    blob = os.urandom(1000)
    path = "/v2/a/blobs/" + w.up.blob("a", blob)
    w.up.too_many("/manifests/")
    w.stale()
    wait_for("the circuit to open", lambda: w.get(w.tag) and metric(
        w.n, OPENED) == 1, 20, 0.1)
    assert w.get(path).content == blob


def test_parts_of_a_dead_upstream(factory, upstreams):
    """What is here of a fill is given, the rest fails at once."""
    up = upstreams()
    layer = os.urandom(3 << 20)
    up.image("a", "v1", layers=[layer])
    n = edge(factory, up, "oci_fill_background off; oci_fill_chunk 1m;"
             "oci_fill_connections 1;", server=METRICS)
    path = "/v2/a/blobs/" + digest(layer)
    ok(fresh(n, "GET", "/v2/a/manifests/v1"), 200)

    def part(first):
        return fresh(n, "GET", path, headers={
            "Range": "bytes=%d-%d" % (first, first + 99)})
    assert part(0).content == layer[:100]
    up.stop()
    gone(n, up, (502, 504))
    before = metric(n, REQUESTS)
    for _ in range(3):
        assert part(0).content == layer[:100]
    assert part(2 << 20).status_code == 502
    assert metric(n, REQUESTS) - before <= 3
    up.start()
    wait_for("the rest", lambda: part(2 << 20).status_code == 206, 30, 0.1)
    assert part(2 << 20).content == layer[2 << 20:(2 << 20) + 100]
