"""Blobs by POST and PUT, at once or in one request."""

import pytest

from oci import absent, add_query, digest, error, header, location, ok, \
    unique


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_post_then_put(reg, repo, alg):
    data = unique(3000)
    d = digest(data, alg)
    r = ok(reg.post("/v2/%s/blobs/uploads/" % repo), 202)
    assert r.headers["Content-Length"] == "0"
    assert r.headers["Range"] == "0-0"
    loc = location(r)
    r = ok(reg.finish(loc, d, data), 201)
    assert r.headers["Location"] == "/v2/%s/blobs/%s" % (repo, d)
    assert r.headers["Docker-Content-Digest"] == d
    assert r.headers["Content-Length"] == "0"
    r = ok(reg.blob(repo, d), 200)
    assert r.content == data
    assert r.headers["Docker-Content-Digest"] == d
    reg.nginx.no_tmp()


def test_post_without_trailing_slash(reg, repo):
    r = ok(reg.post("/v2/%s/blobs/uploads" % repo), 202)
    location(r)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_single_post(reg, repo, alg):
    data = unique(5000)
    d = digest(data, alg)
    r = ok(reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, d),
                    data=data), 201)
    assert r.headers["Location"] == "/v2/%s/blobs/%s" % (repo, d)
    assert r.headers["Docker-Content-Digest"] == d
    assert reg.blob(repo, d).content == data


def test_single_post_chunked(reg, repo):
    data = unique(50000)
    d = digest(data)
    r = reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, d),
                 data=iter([data[:7], data[7:]]))
    ok(r, 201)
    assert reg.blob(repo, d).content == data


def test_single_post_bad_digest(reg, repo):
    bad = absent()
    r = reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, bad),
                 data=unique())
    error(r, 400, "DIGEST_INVALID")
    assert not reg.has(repo, bad)


def test_empty_post_with_digest_opens_a_session(reg, repo):
    data = unique()
    d = digest(data)
    r = ok(reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, d)), 202)
    ok(reg.finish(location(r), d, data), 201)
    r = ok(reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, d)), 201)
    assert r.headers["Location"] == "/v2/%s/blobs/%s" % (repo, d)
    assert r.headers["Docker-Content-Digest"] == d


@pytest.mark.smoke
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
@pytest.mark.parametrize("how", ["put", "post", "chunked"])
def test_empty_blob(reg, raw, repo, alg, how):
    d = digest(b"", alg)
    c = raw()
    uploads = "/v2/%s/blobs/uploads/" % repo
    if how == "put":
        r = c.request("POST", uploads, body=b"")
        r = c.request("PUT", add_query(location(r), "digest=" + d), body=b"")
    elif how == "post":
        # an empty body with ?digest= opens a session
        r = c.request("POST", uploads + "?digest=" + d, body=b"")
        assert r.status in (201, 202)
        if r.status == 202:
            r = c.request("PUT", add_query(location(r), "digest=" + d),
                          body=b"")
    else:
        r = c.request("POST", uploads, body=b"")
        c.head("PUT", add_query(location(r), "digest=" + d),
               ("Transfer-Encoding", "chunked"))
        c.chunk(b"")
        r = c.response()
    ok(r, 201)
    r = c.request("HEAD", "/v2/%s/blobs/%s" % (repo, d))
    assert r.status == 200 and header(r, "Content-Length") == "0"
    r = c.request("GET", "/v2/%s/blobs/%s" % (repo, d))
    assert r.status == 200 and r.body == b""
    assert header(r, "Content-Length") == "0"


def test_two_bytes(reg, repo):
    d = reg.push(repo, b"{}")
    r = reg.head("/v2/%s/blobs/%s" % (repo, d))
    assert r.headers["Content-Length"] == "2"


@pytest.mark.parametrize("hint,alg", [
    ("sha256", "sha256"), ("sha512", "sha512"), ("sha512", "sha256"),
    ("sha256", "sha512")])
def test_digest_algorithm_hint(reg, repo, hint, alg):
    """A hint, no promise: another algorithm at the end works too."""
    data = unique(4000)
    loc = reg.start(repo, "?digest-algorithm=" + hint)
    r = ok(reg.patch(loc, data=data), 202)
    ok(reg.finish(location(r), digest(data, alg)), 201)
    assert reg.blob(repo, digest(data, alg)).content == data


@pytest.mark.parametrize("hint", ["md5", "blake3", "SHA256", "", "x" * 500])
def test_unknown_digest_algorithm(reg, repo, hint):
    r = reg.post("/v2/%s/blobs/uploads/?digest-algorithm=%s" % (repo, hint))
    error(r, 400, "DIGEST_INVALID", "UNSUPPORTED")
    reg.nginx.no_tmp()


def test_both_algorithms_of_one_content(reg, repo):
    data = unique(600)
    for alg in ("sha256", "sha512", "sha256"):
        d = reg.push(repo, data, alg)
        r = reg.blob(repo, d)
        assert r.content == data
        assert r.headers["Docker-Content-Digest"] == d


@pytest.mark.smoke
@pytest.mark.valgrind
def test_again(reg, repo):
    """A blob that is here already is pushed again with success."""
    data = unique()
    assert reg.push(repo, data) == reg.push(repo, data)
    assert reg.push(repo + "/other", data)


def test_many_sizes(reg, repo):
    """Sizes around the buffers of nginx and of the module."""
    for size in (1, 1023, 1024, 4095, 4096, 4097, 8191, 16384, 32768,
                 65535, 65536, 65537, 131072, 262145, 1048577):
        data = unique(size)
        assert reg.blob(repo, reg.push(repo, data)).content == data


def test_query_survives_sorting(reg, repo):
    """Clients re-encode and sort the query; unknown keys are ignored."""
    data = unique()
    loc = reg.start(repo)
    path, _, query = loc.partition("?")
    keys = sorted(filter(None, query.split("&") + [
        "zz=1", "digest=" + digest(data).replace(":", "%3A"),
        "account=me", "ns=docker.io"]))
    ok(reg.put(path + "?" + "&".join(keys), data=data), 201)
    assert reg.has(repo, digest(data))


def test_put_without_content_type(raw, reg, repo):
    data = unique()
    loc = reg.start(repo)
    r = raw().request("PUT", add_query(loc, "digest=" + digest(data)),
                      body=data)
    ok(r, 201)


def test_locations_for_ollama(reg, repo):
    """Location stays a path; an absolute URL has a header of its own."""
    r = reg.post("/v2/%s/blobs/uploads/" % repo)
    assert r.headers["Location"].startswith("/v2/")
    assert r.headers["Docker-Upload-Location"] \
        == reg.base + r.headers["Location"]
    data = unique()
    r = ok(reg.patch(r.headers["Docker-Upload-Location"], data=data), 202)
    assert r.headers["Docker-Upload-Location"] \
        == reg.base + r.headers["Location"]
    d = digest(data)
    ok(reg.put(add_query(r.headers["Docker-Upload-Location"],
                         "digest=" + d)), 201)
    r = reg.blob(repo, d)
    assert r.headers["Location"] == "/v2/%s/blobs/%s" % (repo, d)


def test_locations_follow_the_host(raw, repo):
    r = raw(host="example.org:8443").request(
        "POST", "/v2/%s/blobs/uploads/" % repo, body=b"")
    assert header(r, "Location").startswith("/v2/")
    assert header(r, "Docker-Upload-Location") \
        == "http://example.org:8443" + header(r, "Location")


def test_unknown_digest_is_404(reg, repo):
    error(reg.blob(repo, absent()), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")
    reg.push(repo)
    error(reg.blob(repo, absent()), 404, "BLOB_UNKNOWN")
    error(reg.blob(repo, absent("sha512")), 404, "BLOB_UNKNOWN")


@pytest.mark.smoke
def test_not_through_another_repository(reg, repo):
    """The store holds it, this repository does not."""
    d = reg.push(repo)
    # each of a repository of its own: that it is missing is remembered
    reg.push(repo + "/other")
    error(reg.blob(repo + "/other", d), 404, "BLOB_UNKNOWN")
    reg.push(repo + "/third")
    assert not reg.has(repo + "/third", d)
    location(ok(reg.post("/v2/%s/other/blobs/uploads/?digest=%s"
                         % (repo, d)), 202))
