"""Lists through an edge: tags and referrers, page by page."""

import re

import pytest

from edge import cache, edge
from gate import wait_for
from oci import INDEX, absent, error, header, ok
from upstream import IMAGE

SHORT = "oci_valid 1s; oci_valid_missing 1s;"
LONG = "oci_valid 1h; oci_valid_missing 1h;"
LINK = re.compile(r'^<([^>]+)>; ?rel="?next"?$')


def signature(up, subject, kind, repo="a", **more):
    return up.manifest(repo, dict({
        "schemaVersion": 2, "mediaType": IMAGE, "artifactType": kind,
        "config": up.descriptor(up.blob(repo, b"{}")), "layers": [],
        "subject": up.descriptor(subject)}, **more))


def pages(c, path):
    """Every page, by its Link headers, as a client follows them."""
    out = []
    while path:
        r = ok(c.get(path), 200)
        out.append(r)
        link = header(r, "Link")
        path = None
        if link:
            path = LINK.match(link).group(1)
            # clients go on only where the list came from
            assert path.startswith("/v2/") or path.startswith(c.base + "/")
        assert len(out) < 50
    return out


@pytest.mark.smoke
@pytest.mark.parametrize("links", ["relative", "absolute"])
def test_tags(factory, upstreams, links):
    up = upstreams()
    names = ["v%02d" % i for i in range(25)]
    up.image("a/b", *names)
    up.links = links
    c = edge(factory, up, LONG).client()
    r = ok(c.get("/v2/a/b/tags/list"), 200)
    assert r.json() == {"name": "a/b", "tags": names}
    assert r.headers["Content-Type"].startswith("application/json")
    assert header(r, "Link") is None
    got = pages(c, "/v2/a/b/tags/list?n=10")
    assert [len(r.json()["tags"]) for r in got] == [10, 10, 5]
    assert sum((r.json()["tags"] for r in got), []) == names
    up.page = 7                 # the upstream's own limit
    got = pages(c, "/v2/a/b/tags/list?n=20")
    assert sum((r.json()["tags"] for r in got), []) == names
    r = ok(c.get("/v2/a/b/tags/list?n=3&last=v04"), 200)
    assert r.json()["tags"] == ["v05", "v06", "v07"]


@pytest.mark.parametrize("page", [None, 2])
def test_tags_that_were_pushed(factory, upstreams, page):
    """Those of the upstream and those that are kept here, in one order."""
    up = upstreams()
    up.image("a", "b1", "d1", "f1", "h1")
    up.page = page
    c = edge(factory, up, LONG + "oci_push local;", "pull push").client()
    ok(c.manifest("a", "b1"), 200)          # one that was only pulled
    up.tag("a", "b1")
    c.push_image("a", "a0", "c0", "d1", "z0")
    every = ["a0", "c0", "d1", "f1", "h1", "z0"]
    got = pages(c, "/v2/a/tags/list")
    assert sum((r.json()["tags"] for r in got), []) == every
    for n in 1, 2, 4:
        got = pages(c, "/v2/a/tags/list?n=%d" % n)
        assert all(len(r.json()["tags"]) <= n for r in got)
        assert sum((r.json()["tags"] for r in got), []) == every
    r = ok(c.get("/v2/a/tags/list?n=2&last=d0"), 200)
    assert r.json() == {"name": "a", "tags": ["d1", "f1"]}
    # a repository that is only here
    c.push_image("mine", "v1")
    for _ in range(2):
        r = ok(c.get("/v2/mine/tags/list"), 200)
        assert r.json() == {"name": "mine", "tags": ["v1"]}


def test_tags_are_remembered(factory, upstreams):
    up = upstreams()
    up.image("a", "v1")
    c = edge(factory, up, LONG, workers=1).client()
    assert cache(ok(c.get("/v2/a/tags/list"), 200)) == "MISS"
    seen = len(up.requests)
    up.image("a", "v2")
    for _ in range(3):
        r = ok(c.get("/v2/a/tags/list"), 200)
        assert r.json()["tags"] == ["v1"] and cache(r) == "HIT"
    assert len(up.requests) == seen
    r = ok(c.get("/v2/a/tags/list?n=5"), 200)       # another list
    assert r.json()["tags"] == ["v1", "v2"]


def test_tags_are_asked_for_again(factory, upstreams):
    up = upstreams()
    up.image("a", "v1")
    c = edge(factory, up, SHORT).client()
    assert c.tags("a") == ["v1"]
    up.image("a", "v2")
    wait_for("the new tag", lambda: c.tags("a") == ["v1", "v2"], 10, 0.1)


def test_lists_of_nothing(factory, upstreams):
    up = upstreams()
    up.image("a", "v1")
    c = edge(factory, up, LONG).client()
    for _ in range(2):
        error(c.get("/v2/b/tags/list"), 404, "NAME_UNKNOWN")
    assert up.count("GET", "/v2/b/tags") == 1
    _, found = c.referrers("a", absent())
    assert found == []


@pytest.mark.smoke
def test_referrers(factory, upstreams):
    up = upstreams()
    d = up.image("a", "v1")
    made = [signature(up, d, "test/%d" % (i % 2), annotations={
        "i": str(i)}) for i in range(7)]
    c = edge(factory, up, LONG).client()
    _, found = c.referrers("a", d)
    assert sorted(x["digest"] for x in found) == sorted(made)
    assert all(x["artifactType"].startswith("test/") and "annotations" in x
               for x in found)
    r, found = c.referrers("a", d, "?artifactType=test/1")
    assert {x["artifactType"] for x in found} == {"test/1"}
    assert len(found) == 3
    assert header(r, "OCI-Filters-Applied") == "artifactType"
    ok(c.manifest("a", made[0]), 200)


@pytest.mark.parametrize("links", ["relative", "absolute"])
def test_referrers_by_pages(factory, upstreams, links):
    up = upstreams()
    up.links, up.page = links, 2
    d = up.image("a", "v1")
    made = [signature(up, d, "test/x", annotations={"i": str(i)})
            for i in range(5)]
    c = edge(factory, up, LONG).client()
    got = pages(c, "/v2/a/referrers/" + d)
    assert all(r.headers["Content-Type"] == INDEX for r in got)
    assert sorted(x["digest"] for r in got for x in r.json()["manifests"]) \
        == sorted(made)


def test_referrers_are_asked_for_again(factory, upstreams):
    """A signature that is made later is seen after a while."""
    up = upstreams()
    d = up.image("a", "v1")
    n = edge(factory, up, SHORT)
    c = n.client()
    assert c.referrers("a", d)[1] == []
    s = signature(up, d, "test/x")
    wait_for("the signature", lambda: [x["digest"] for x in c.referrers(
        "a", d)[1]] == [s], 10, 0.1)
    # what the edge itself stores of it makes no second entry
    ok(c.manifest("a", s), 200)
    ok(c.manifest("a", d), 200)
    assert [x["digest"] for x in c.referrers("a", d)[1]] == [s]


def test_upstream_without_referrers(factory, upstreams):
    """Clients fall back to a tag on 404, and only then; not where they are
    told that there is no such repository."""
    up = upstreams()
    up.referrers_api = False
    d = up.image("a", "v1")
    fallback = d.replace(":", "-")
    up.index("a", [signature(up, d, "test/x")], fallback)
    c = edge(factory, up, LONG).client()
    for _ in range(2):
        r = c.get("/v2/a/referrers/" + d)
        error(r, 404, "MANIFEST_UNKNOWN")
    ok(c.manifest("a", fallback), 200)


def test_bad_lists(factory, upstreams):
    """What is no list is not passed on as one."""
    up = upstreams()
    d = up.image("a", "v1")
    c = edge(factory, up, SHORT).client()
    for path in ("/v2/a/tags/list", "/v2/a/referrers/" + d):
        for fields in ({"body": b"<html>"}, {"cut": 5}):
            rule = up.fault("/(tags|referrers)/", **(dict(
                fields, status=200) if "body" in fields else fields))
            r = c.get(path)
            assert r.status_code in (502, 503), (path, fields, r.text)
            assert r.json()["errors"]
            up.mend(rule)
        wait_for("the list", lambda: c.get(path).status_code == 200, 20, 0.1)
    error(c.get("/v2/a/tags/list?n=-1"), 400, "UNSUPPORTED", "SIZE_INVALID",
          "NAME_INVALID")
