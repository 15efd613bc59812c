"""Lists of tags and of repositories, with their pages."""

import pytest

from oci import INDEX, error, ok


def push_tags(reg, repo, tags):
    data = reg.index(annotations={"r": repo})
    for t in tags:
        assert reg.put_manifest(repo, t, data, INDEX).status_code == 201


def next_link(r):
    link = r.headers.get("Link")
    if link is None:
        return None
    target, rel = link.split(";")
    assert rel.strip() == 'rel="next"'
    target = target.strip()
    assert target.startswith("</v2/") and target.endswith(">")
    return target[1:-1]


def follow(reg, url, key):
    names, pages = [], 0
    while url:
        r = ok(reg.get(url), 200)
        names.append(r.json()[key])
        url = next_link(r)
        pages += 1
        assert pages < 200
    return names


@pytest.mark.smoke
@pytest.mark.valgrind
def test_all(reg, repo):
    tags = ["b", "a", "B", "1.10", "1.2", "_x", "a-b", "a.b", "Z", "aa"]
    push_tags(reg, repo, tags)
    r = ok(reg.get("/v2/%s/tags/list" % repo), 200)
    assert r.headers["Content-Type"] == "application/json"
    assert r.headers["Content-Length"] == str(len(r.content))
    assert r.json() == {"name": repo, "tags": sorted(tags)}
    assert "Link" not in r.headers
    head = reg.head("/v2/%s/tags/list" % repo)
    assert head.status_code == 200 and head.content == b""
    assert head.headers["Content-Length"] == r.headers["Content-Length"]


def test_unknown_repository(reg, repo):
    error(reg.get("/v2/%s/tags/list" % repo), 404, "NAME_UNKNOWN")


def test_no_tags(reg, repo):
    """A list, not null."""
    reg.push_image(repo)
    assert reg.tags(repo) == []


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("n", [1, 2, 3, 7, 24, 25, 26, 100000])
def test_pages(reg, n):
    repo = "tags/pages"
    tags = ["t%02d" % i for i in range(25)]
    if reg.get("/v2/%s/tags/list" % repo).status_code == 404:
        push_tags(reg, repo, tags)
    pages = follow(reg, "/v2/%s/tags/list?n=%d" % (repo, n), "tags")
    assert [len(p) for p in pages] == [
        len(tags[i:i + n]) for i in range(0, 25, n)]
    assert sum(pages, []) == tags


@pytest.mark.smoke
def test_last(reg, repo):
    push_tags(reg, repo, ["a", "c", "e", "g"])
    for last, want in (("a", "ceg"), ("b", "ceg"), ("", "aceg"),
                       ("g", ""), ("z", ""), ("A", "aceg"), ("d", "eg")):
        assert "".join(reg.tags(repo, "?last=" + last)) == want
    assert reg.tags(repo, "?n=2&last=a") == ["c", "e"]
    assert reg.tags(repo, "?last=a&n=2&other=x") == ["c", "e"]


def test_n_zero(reg, repo):
    push_tags(reg, repo, ["a", "b"])
    r = ok(reg.get("/v2/%s/tags/list?n=0" % repo), 200)
    assert r.json() == {"name": repo, "tags": []}
    assert "Link" not in r.headers


@pytest.mark.smoke
@pytest.mark.parametrize("n", ["-1", "x", "1x", "1.5", " 1", "0x10", "",
                               "9" * 40, "1%00"])
def test_bad_n(reg, repo, n):
    """400; or, for one that is only too large, a list with a cap."""
    push_tags(reg, repo, ["a"])
    for url in ("/v2/%s/tags/list?n=%s" % (repo, n), "/v2/_catalog?n=" + n):
        r = reg.get(url)
        if n.startswith("9") and r.status_code == 200:
            continue
        error(r, 400, "UNSUPPORTED", "SIZE_INVALID", "NAME_INVALID")


@pytest.mark.parametrize("last", ["../..", "%00", "x" * 5000, "%zz",
                                  "%2e%2e%2f"])
def test_odd_last(reg, repo, last):
    push_tags(reg, repo, ["a"])
    r = reg.get("/v2/%s/tags/list?last=%s" % (repo, last))
    assert r.status_code in (200, 400)
    if r.status_code == 400:
        error(r, 400, "UNSUPPORTED", "SIZE_INVALID", "NAME_INVALID",
              "MANIFEST_INVALID", "TAG_INVALID")


def test_deleted_tags_leave(reg, repo):
    push_tags(reg, repo, ["a", "b", "c"])
    ok(reg.delete("/v2/%s/manifests/b" % repo), 202)
    assert reg.tags(repo) == ["a", "c"]


@pytest.mark.smoke
def test_many_tags(factory):
    """All in one answer when no n is given."""
    n = factory()
    c = n.client()
    data = c.index()
    tags = ["v%05d" % i for i in range(2500)]
    for i in range(0, len(tags), 250):
        from oci import digest
        r = c.put_manifest("a", digest(data) + "?" + "&".join(
            "tag=" + t for t in tags[i:i + 250]), data, INDEX)
        if r.status_code != 201:
            for t in tags[i:i + 250]:
                ok(c.put_manifest("a", t, data, INDEX), 201)
    r = c.get("/v2/a/tags/list")
    assert r.json()["tags"] == tags and "Link" not in r.headers
    assert sum(follow(c, "/v2/a/tags/list?n=1000", "tags"), []) == tags


@pytest.mark.smoke
def test_catalog(factory):
    n = factory()
    c = n.client()
    r = ok(c.get("/v2/_catalog"), 200)
    assert r.json() == {"repositories": []}
    names = ["a", "a/b", "a/b/c", "a-b", "a.b", "b", "c/d", "zz", "blobs",
             "tags/list", "0"]
    for name in names:
        c.push_image(name, "v1")
    c.push("only-a-blob")
    r = ok(c.get("/v2/_catalog"), 200)
    assert r.headers["Content-Type"] == "application/json"
    assert r.json() == {"repositories": sorted(names)}
    assert ok(c.head("/v2/_catalog"), 200).headers["Content-Length"] \
        == r.headers["Content-Length"]
    for size in (1, 2, 3, 5, 10, 11, 12, 1000):
        pages = follow(c, "/v2/_catalog?n=%d" % size, "repositories")
        assert sum(pages, []) == sorted(names)
        assert all(len(p) <= size for p in pages)
        assert len(pages) == -(-len(names) // size)
    assert c.get("/v2/_catalog?n=0").json() == {"repositories": []}
    for last in ("a", "a/b", "a0", "nothing", "zz"):
        got = c.get("/v2/_catalog?last=" + last.replace("/", "%2F")).json()
        assert got["repositories"] == [x for x in sorted(names) if x > last]
