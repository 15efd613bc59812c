"""Manifests and blobs through an edge: what is asked of the upstream, and
how often."""

import os
import threading

import pytest

from edge import by_workers, cache, edge, fresh
from gate import wait_for
from oci import IMAGE, INDEX, absent, digest, dumps, error, header, ok
from upstream import DOCKER

SHORT = "oci_valid 1s; oci_valid_missing 1s;"
LONG = "oci_valid 1h; oci_valid_missing 1h;"


def manifests(up, method="GET", status=200):
    """How many manifests the upstream gave away."""
    return up.count(method, "/manifests/", status=status)


def expired(c, repo, ref, said):
    """Asks until the answer isn't from memory any more; returns it."""
    def ask():
        r = c.manifest(repo, ref)
        return r if cache(r) in said else None
    return wait_for("a recheck", ask, 10, 0.1)


@pytest.mark.smoke
def test_by_tag_and_digest(factory, upstreams):
    up = upstreams()
    d = up.image("a/b", "v1")
    kind, body = up.repo("a/b").manifests[d]
    n = edge(factory, up, LONG)
    c = n.client()
    for ref, said in (("v1", "MISS"), ("v1", "HIT"), (d, "HIT")):
        r = ok(c.manifest("a/b", ref), 200)
        assert r.content == body and cache(r) == said
        assert r.headers["Content-Type"] == kind == IMAGE
        assert r.headers["Docker-Content-Digest"] == d
        assert r.headers["ETag"] == '"%s"' % d
    assert manifests(up) == 1
    r = c.manifest("a/b", "v1", **{"If-None-Match": '"%s"' % d})
    assert r.status_code == 304
    assert manifests(up) == 1


@pytest.mark.smoke
def test_every_worker_and_a_restart(factory, upstreams):
    """What one worker fetched, no other fetches again; nor after a start."""
    up = upstreams()
    layer = os.urandom(100000)
    d = up.image("a", "v1", layers=[layer])
    n = edge(factory, up, LONG, workers=3)
    blob = "/v2/a/blobs/" + digest(layer)
    assert fresh(n, "GET", "/v2/a/manifests/v1").status_code == 200
    assert fresh(n, "GET", blob).content == layer
    for path in ("/v2/a/manifests/v1", "/v2/a/manifests/" + d, blob):
        for r in by_workers(n, "GET", path).values():
            assert r.status_code == 200
    assert manifests(up) == 1 and up.sent(digest(layer)) == len(layer)
    n.restart()
    up.clear()
    assert fresh(n, "GET", "/v2/a/manifests/" + d).status_code == 200
    assert fresh(n, "GET", blob).content == layer
    assert up.count("GET") == 0


def test_head(factory, upstreams):
    """HEAD equals GET, whichever comes first."""
    up = upstreams()
    layer = os.urandom(5000)
    up.image("a", "v1", layers=[layer])
    c = edge(factory, up, LONG).client()
    names = ("Content-Type", "Content-Length", "Docker-Content-Digest",
             "ETag", "Accept-Ranges")
    for path in ("/v2/a/manifests/v1", "/v2/a/blobs/" + digest(layer)):
        answers = [c.head(path), c.get(path), c.head(path)]
        for r in answers:
            ok(r, 200)
            for name in names:
                assert r.headers.get(name) == answers[1].headers.get(name), (
                    path, name)
        assert answers[0].content == answers[2].content == b""
    assert up.sent(digest(layer)) == len(layer)


def test_head_of_a_cold_blob_fills_nothing(factory, upstreams):
    up = upstreams()
    layer = up.blob("a", os.urandom(300000))
    c = edge(factory, up, LONG).client()
    r = ok(c.head("/v2/a/blobs/" + layer), 200)
    assert r.headers["Content-Length"] == "300000"
    assert up.sent(layer) == 0


def test_head_of_a_blob_from_its_descriptor(factory, upstreams):
    """A cold Harbor says 404 to the HEAD of a blob that it would serve."""
    up = upstreams()
    layer = os.urandom(5000)
    up.image("a", "v1", layers=[layer])
    up.fault("/blobs/", method="HEAD", status=404)
    c = edge(factory, up, LONG).client()
    ok(c.manifest("a", "v1"), 200)
    r = ok(c.head("/v2/a/blobs/" + digest(layer)), 200)
    assert r.headers["Content-Length"] == "5000"
    assert c.get("/v2/a/blobs/" + digest(layer)).content == layer


def test_kinds_of_manifests(factory, upstreams):
    """Types are passed on as they are, children are not asked for."""
    up = upstreams()
    child = up.image("a")
    index = up.index("a", [child], "multi")
    old = up.manifest("a", {
        "schemaVersion": 2, "mediaType": DOCKER,
        "config": up.descriptor(up.blob("a", b"{}")), "layers": []}, "old")
    body = up.repo("a").manifests[old][1]
    big = up.manifest("a", body, "sha512", alg="sha512")
    c = edge(factory, up, LONG).client()
    for ref, kind, d in (("multi", INDEX, index), ("old", DOCKER, old),
                         (index, INDEX, index), (child, IMAGE, child)):
        r = ok(c.manifest("a", ref), 200)
        assert r.headers["Content-Type"] == kind
        assert r.headers["Docker-Content-Digest"] == d
    assert up.count("GET", child) == 1
    r = ok(c.manifest("a", big), 200)
    assert digest(r.content, "sha512") == big


def test_recheck_costs_no_pull(factory, upstreams):
    """Docker Hub counts GETs: a tag that stands still costs none."""
    up = upstreams()
    d = up.image("a", "v1")
    c = edge(factory, up, SHORT).client()
    ok(c.manifest("a", "v1"), 200)
    for _ in range(2):
        r = ok(expired(c, "a", "v1", ("REVALIDATED",)), 200)
        assert r.headers["Docker-Content-Digest"] == d
    assert manifests(up) == 1
    assert up.count("HEAD", "/manifests/v1") \
        + manifests(up, status=304) >= 2


def test_recheck_without_etags_or_digests(factory, upstreams):
    """An upstream that says nothing of a tag's digest is read again."""
    up = upstreams()
    up.image("a", "v1")
    up.fault("/manifests/", digest=False, etag=False)
    c = edge(factory, up, SHORT).client()
    first = ok(c.manifest("a", "v1"), 200)
    expired(c, "a", "v1", ("REVALIDATED", "MISS"))
    d = up.image("a", "v1")

    def moved():
        r = ok(c.manifest("a", "v1"), 200)
        return r.headers["Docker-Content-Digest"] == d
    assert first.headers["Docker-Content-Digest"] != d
    wait_for("the new image", moved, 10, 0.1)


def test_tag_that_moves(factory, upstreams):
    up = upstreams()
    old = up.image("a", "v1")
    n = edge(factory, up, SHORT)
    c = n.client()
    assert ok(c.manifest("a", "v1"), 200).headers[
        "Docker-Content-Digest"] == old
    new = up.image("a", "v1")

    def moved():
        return all(r.headers["Docker-Content-Digest"] == new for r in
                   by_workers(n, "GET", "/v2/a/manifests/v1").values())
    wait_for("the new image", moved, 10, 0.1)
    ok(c.manifest("a", old), 200)       # what was pulled stays
    assert up.count("GET", old) == 0


def test_tag_within_its_time(factory, upstreams):
    up = upstreams()
    old = up.image("a", "v1")
    c = edge(factory, up, LONG).client()
    c.manifest("a", "v1")
    up.image("a", "v1")
    seen = len(up.requests)
    for _ in range(5):
        r = ok(c.manifest("a", "v1"), 200)
        assert r.headers["Docker-Content-Digest"] == old
        assert cache(r) == "HIT"
    assert len(up.requests) == seen


def test_tag_that_goes(factory, upstreams):
    up = upstreams()
    d = up.image("a", "v1")
    c = edge(factory, up, SHORT).client()
    ok(c.manifest("a", "v1"), 200)
    up.tag("a", "v1")
    r = wait_for("404", lambda: c.manifest("a", "v1").status_code == 404
                 and c.manifest("a", "v1"), 10, 0.1)
    error(r, 404, "MANIFEST_UNKNOWN")
    ok(c.manifest("a", d), 200)
    up.stop()
    for _ in range(2):
        assert c.manifest("a", "v1").status_code in (404, 502)


def many(n, path, count):
    """So many requests at once, all of them under way together."""
    out = []
    threads = [threading.Thread(target=lambda: out.append(
        fresh(n, "GET", path))) for _ in range(count)]
    for t in threads:
        t.start()
    return threads, out


def test_one_fetch_for_many(factory, upstreams):
    up = upstreams()
    d = up.image("a", "v1")
    for ref in ("v1", d):
        n = edge(factory, up, SHORT, workers=1)
        up.clear()
        rule = up.fault("/manifests/", hold=True)
        threads, out = many(n, "/v2/a/manifests/" + ref, 20)
        wait_for("all to wait", lambda: rule.hits and
                 fresh_connections(n) >= 20)
        rule.release()
        for t in threads:
            t.join()
        up.mend()
        assert [r.status_code for r in out] == [200] * 20
        assert manifests(up) == 1


def fresh_connections(n):
    """Of clients, as the one worker holds them."""
    port = "%04X" % n.port()
    with open("/proc/net/tcp", encoding="ascii") as f:
        return sum(1 for line in f if line.split()[1].endswith(":" + port)
                   and line.split()[3] == "01")


def test_one_recheck_for_many(factory, upstreams):
    up = upstreams()
    up.image("a", "v1")
    n = edge(factory, up, SHORT, workers=1)
    ok(n.client().manifest("a", "v1"), 200)
    up.clear()
    rule = up.fault("/manifests/", hold=True)

    def asks():
        threads, _ = many(n, "/v2/a/manifests/v1", 1)
        return rule.hits and threads
    wait_for("the time to be over", asks, 10, 0.2)
    threads, out = many(n, "/v2/a/manifests/v1", 20)
    # some may be given the old one meanwhile; none may ask on its own
    wait_for("all to be there", lambda: len(out)
             + fresh_connections(n) >= 20)
    rule.release()
    for t in threads:
        t.join()
    assert [r.status_code for r in out] == [200] * 20
    assert rule.hits == 1


# ---- what is not there

def test_missing_is_remembered(factory, upstreams):
    up = upstreams()
    up.image("a", "v1")
    c = edge(factory, up, LONG).client()
    for path, code in (("/v2/a/manifests/v9", "MANIFEST_UNKNOWN"),
                       ("/v2/a/manifests/" + absent(), "MANIFEST_UNKNOWN"),
                       ("/v2/a/blobs/" + absent(), "BLOB_UNKNOWN")):
        # processes that start may still say that all is to be looked at anew
        wait_for("a remembered 404", lambda: cache(c.get(path)) == "HIT")
        seen = len(up.requests)
        for _ in range(3):
            error(c.get(path), 404, code)
            assert c.head(path).status_code == 404
        assert len(up.requests) == seen, path


def test_missing_comes(factory, upstreams):
    up = upstreams()
    n = edge(factory, up, "oci_valid 1h; oci_valid_missing 1s;")
    c = n.client()
    body = os.urandom(1000)
    blob = "/v2/a/blobs/" + digest(body)
    assert c.manifest("a", "v1").status_code == 404
    assert c.get(blob).status_code == 404
    d = up.image("a", "v1", layers=[body])
    for path in ("/v2/a/manifests/v1", "/v2/a/manifests/" + d, blob):
        wait_for(path, lambda: all(
            r.status_code == 200 for r in by_workers(n, "GET",
                                                     path).values()),
                 10, 0.1)


@pytest.mark.parametrize("fields", [
    {"status": 500}, {"status": 429}, {"drop": True}, {"garbage": True},
    {"cut": 10}], ids=lambda f: "-".join(f))
def test_failures_are_not_remembered(factory, upstreams, fields):
    """Only a 404 is an answer: after a fault it is asked for again."""
    up = upstreams()
    up.image("a", "v1")
    c = edge(factory, up, LONG).client()
    rule = up.fault("/manifests/", **fields)
    r = c.manifest("a", "v1")
    assert r.status_code in (429, 502, 503, 504)
    assert r.json()["errors"]
    up.mend(rule)
    wait_for("the right answer", lambda:
             c.manifest("a", "v1").status_code == 200, 20, 0.1)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(factory, upstreams, status):
    """The upstream knows best when it is worth asking again."""
    up = upstreams()
    d = up.image("a", "v1")
    n = edge(factory, up, LONG + "oci_use_stale off;")
    up.fault("/v2/a/", status=status, headers=[("Retry-After", "77")])
    code = {429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}[status]
    for path in ("manifests/v1", "manifests/" + d, "tags/list",
                 "referrers/" + d, "blobs/" + up.layers("a", d)[1]):
        for method in ("GET", "HEAD"):
            r = fresh(n, method, "/v2/a/" + path)
            assert r.status_code == status, (method, path)
            assert header(r, "Retry-After") == "77", (method, path)
        error(fresh(n, "GET", "/v2/a/" + path), status, code)
        # a mirror's client goes on at a 503, and gives up at a 429
        r = fresh(n, "GET", "/v2/a/" + path + "?ns=docker.io")
        error(r, 503, code)
        assert header(r, "Retry-After") == "77", path


# ---- upstreams that lie

def test_wrong_manifests(factory, upstreams):
    """Bytes that are not what was asked for go to nobody."""
    up = upstreams()
    d = up.image("a", "v1")
    body = up.repo("a").manifests[d][1]
    n = edge(factory, up, SHORT)
    c = n.client()
    rule = up.fault("/manifests/", body=body.replace(b"200", b"201"),
                    status=200, headers=[("Content-Type", IMAGE)])
    for _ in range(2):
        error(c.manifest("a", d), (502, 503), "UNAVAILABLE", "UNKNOWN",
              "MANIFEST_INVALID")
    up.mend(rule)
    wait_for("the right one", lambda: c.manifest("a", d).content == body, 15,
             0.1)
    assert n.tree("tmp") == []


def test_wrong_digest_header(factory, upstreams):
    up = upstreams()
    d = up.image("a", "v1")
    up.fault("/manifests/", digest=absent())
    c = edge(factory, up, SHORT).client()
    error(c.manifest("a", "v1"), 502, "UNAVAILABLE", "UNKNOWN",
          "MANIFEST_INVALID")
    # who knows what it must be is not led astray by a header
    assert digest(ok(c.manifest("a", d), 200).content) == d


def test_no_manifests(factory, upstreams):
    """An error page with status 200, a huge body, a body without an end."""
    up = upstreams()
    up.manifest("a", b"<html>log in</html>", "page", media_type="text/html")
    up.manifest("a", dumps({"schemaVersion": 2, "mediaType": IMAGE,
                            "x": "y" * (5 << 20)}), "huge")
    n = edge(factory, up, SHORT + "oci_manifest_max_size 1m;")
    c = n.client()
    for ref in ("page", "huge"):
        r = c.manifest("a", ref)
        assert r.status_code in (413, 502), ref
        assert r.json()["errors"]
    up.fault("huge", chunked=True)
    r = c.manifest("a", "huge")
    assert r.status_code in (413, 502)
    assert up.sent(up.repo("a").tags["huge"]) < 16 << 20
    assert not n.tree("repositories")
