"""Names, tags and digests outside the grammar; escapes in the path."""

import os

import pytest

from oci import INDEX, absent, digest, error, header, unique

GOOD = ["a", "a/b", "a.b_c__d-e---f/0", "blobs/uploads/manifests",
        "tags/list", "v2/v2", "a" * 255, "/".join(["ab"] * 85),
        "x/referrers/y", "blobs"]

BAD = ["A", "a/B", "-a", "a-", "a..b", "a___b", "a._b", "a/-b", ".a", "a.",
       "_a", "a/_b", "@a", "a/@b", "a" * 256, "a~b", "a+b", "a:b", "a,b",
       "a/.hidden", "a=b", "a b".replace(" ", "$")]

RAW_BAD = ["a//b", "a/../b", "..", "a/./b", "%2e%2e/b", "a%2fb", "a%2Fb",
           "a/%2e%2e/b", "a%00b", "%61", "a%5cb", "a\\b", "a%20b", "a%0ab",
           "a%", "a%2", "a%zz", "%c3%a4", "a%252fb", "a/..%2fb"]


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("name", GOOD)
def test_good_name(reg, name):
    data = unique()
    d = reg.push(name, data)
    assert reg.blob(name, d).content == data
    r = reg.put_manifest(name, "t", reg.index(), INDEX)
    assert r.status_code == 201
    assert reg.tags(name) == ["t"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method,tail", [
    ("GET", "manifests/latest"), ("PUT", "manifests/latest"),
    ("POST", "blobs/uploads/"), ("GET", "tags/list"),
    ("DELETE", "manifests/latest")])
def test_bad_name(reg, name, method, tail):
    before = os.listdir(reg.nginx.path("repositories"))
    r = reg.req(method, "/v2/%s/%s" % (name, tail))
    error(r, (400, 404) if name.startswith("_") else 400,
          "NAME_INVALID", *(["NAME_UNKNOWN"] if name[0] == "_" else []))
    assert os.listdir(reg.nginx.path("repositories")) == before


@pytest.mark.valgrind
@pytest.mark.parametrize("name", RAW_BAD)
@pytest.mark.parametrize("method,tail", [
    ("GET", "manifests/latest"), ("POST", "blobs/uploads/"),
    ("GET", "blobs/" + absent())])
def test_hostile_path(server, raw, name, method, tail):
    """
    Refused by the module or by nginx before it; whatever it is, nothing is
    read or made outside of the repository's own room.
    """
    before = sorted(os.listdir(server.prefix)), server.tree(
        "repositories", "uploads")
    r = raw().request(method, "/v2/%s/%s" % (name, tail), body=b""
                      if method == "POST" else None)
    assert r.status in (400, 404), r
    if header(r, "Docker-Distribution-API-Version"):
        error(r, (400, 404), "NAME_INVALID", "NAME_UNKNOWN",
              "MANIFEST_UNKNOWN", "BLOB_UNKNOWN")
    assert before == (sorted(os.listdir(server.prefix)), server.tree(
        "repositories", "uploads"))


@pytest.mark.parametrize("name", ["a%2fesc", "a%2Fesc", "%61/esc", "a/es%63"])
def test_escaped_name(reg, raw, name):
    """Refused, also where what it would be decoded to is there."""
    reg.push("a/esc")
    assert reg.put_manifest("a/esc", "t", reg.index(), INDEX).status_code == 201
    r = raw().request("GET", "/v2/%s/manifests/t" % name)
    error(r, 400, "NAME_INVALID")


def test_dots_do_not_reach_the_format_file(reg, raw, repo):
    reg.push(repo)
    for path in ("/v2/%s/blobs/../../../format",
                 "/v2/%s/manifests/..%%2f..%%2f..%%2fformat",
                 "/v2/%s/manifests/%%2e%%2e"):
        r = raw().request("GET", path % repo)
        assert r.status in (400, 404), r


@pytest.mark.smoke
@pytest.mark.parametrize("colon", ["%3A", "%3a", ":"])
def test_escaped_colon(reg, raw, repo, colon):
    data = unique()
    d = reg.push(repo, data)
    r = raw().request("GET", "/v2/%s/blobs/%s" % (repo,
                                                  d.replace(":", colon)))
    assert r.status == 200 and r.body == data
    assert header(r, "Docker-Content-Digest") == d


@pytest.mark.parametrize("tag", ["a", "A.b-c_D", "_x", "0", "a" * 128,
                                 "sha256-" + "0" * 64])
def test_good_tag(reg, repo, tag):
    data = reg.index()
    r = reg.put_manifest(repo, tag, data, None)
    assert r.status_code == 201, r.text
    assert reg.manifest(repo, tag).content == data
    assert reg.tags(repo) == [tag]


@pytest.mark.parametrize("tag", [".a", "-a", "a" * 129, "a+b", "a~",
                                 ".INVALID_MANIFEST_NAME", "a@b"])
def test_bad_tag(reg, repo, tag):
    for method in ("GET", "HEAD"):
        r = reg.manifest(repo, tag, method)
        assert r.status_code == 404
        if method == "GET":
            error(r, 404, "MANIFEST_UNKNOWN")
    r = reg.put_manifest(repo, tag, reg.index(), INDEX)
    error(r, 400, "MANIFEST_INVALID", "TAG_INVALID")
    assert not os.path.exists(reg.nginx.repo(repo))


BAD_DIGESTS = ["sha256:totallywrong", "sha256:", "sha256:" + "a" * 63,
               "sha256:" + "a" * 65, "sha256:" + "A" * 64,
               "sha512:" + "a" * 64, ":" + "a" * 64, "sha256:" + "g" * 64,
               "sha256::" + "a" * 64, "SHA256:" + "a" * 64,
               "sha256+:" + "a" * 64]


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("bad", BAD_DIGESTS)
def test_bad_digest(reg, repo, bad):
    for method in ("GET", "PUT", "DELETE"):
        r = reg.req(method, "/v2/%s/manifests/%s" % (repo, bad),
                    data=b"{}" if method == "PUT" else None)
        error(r, 400, "DIGEST_INVALID")
    for method in ("GET", "DELETE"):
        r = reg.req(method, "/v2/%s/blobs/%s" % (repo, bad))
        error(r, 400, "DIGEST_INVALID")
    error(reg.get("/v2/%s/referrers/%s" % (repo, bad)), 400,
          "DIGEST_INVALID")
    loc = reg.start(repo)
    error(reg.finish(loc, bad, b"x"), 400, "DIGEST_INVALID")


@pytest.mark.parametrize("alg", ["md5:" + "0" * 32, "blake3:" + "0" * 64,
                                 "multihash+base58:QmRZxt2b1FVZPNqd8"])
def test_unknown_algorithm(reg, raw, repo, alg):
    """The grammar holds, so it is no syntax error; it can't be here."""
    for room in ("manifests", "blobs"):
        for method in ("GET", "HEAD"):
            r = raw().request(method, "/v2/%s/%s/%s" % (repo, room, alg))
            assert r.status == 404, r
    r = raw().request("PUT", "/v2/%s/manifests/%s" % (repo, alg),
                      body=b"{}")
    error(r, 400, "DIGEST_INVALID")
    quoted = alg.replace("+", "%2B")
    r = reg.put(reg.start(repo) + "?digest=" + quoted, data=b"x")
    error(r, 400, "DIGEST_INVALID")


def test_a_blob_is_no_manifest(reg, repo):
    d = reg.push(repo, reg.index())
    error(reg.manifest(repo, d), 404, "MANIFEST_UNKNOWN")


def test_a_manifest_is_no_blob(reg, repo):
    data = reg.index()
    assert reg.put_manifest(repo, "t", data, None).status_code == 201
    error(reg.blob(repo, digest(data)), 404, "BLOB_UNKNOWN")


def test_long_request_line(raw):
    r = raw().request("GET", "/v2/" + "a/" * 20000 + "tags/list")
    assert r.status in (400, 404, 414)
