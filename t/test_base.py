"""The version check, unknown paths, and what no filter may touch."""

import pytest

from oci import INDEX, digest, dumps, error, header, ok, unique
from raw import Raw

SERVER = {"server": "location / { return 200 outside; }"}

FILTERS = """
    gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
    gzip_http_version 1.0;
    charset utf-8; charset_types *;
    sub_filter_types *; sub_filter sha256 broken; sub_filter_once off;
    ssi on; ssi_types *;
"""


@pytest.mark.smoke
@pytest.mark.valgrind
def test_version_check(reg):
    r = ok(reg.get("/v2/"), 200)
    assert r.headers["Content-Type"] == "application/json"
    assert r.headers["Content-Length"] == str(len(r.content))
    assert r.json() == {}


def test_version_check_head(reg):
    get, head = reg.get("/v2/"), ok(reg.head("/v2/"), 200)
    assert head.content == b""
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]


def test_version_check_with_query(reg):
    assert reg.get("/v2/?ns=docker.io").status_code == 200


def test_v2_without_slash(reg):
    r = reg.get("/v2")
    assert r.status_code in (200, 301, 308) or r.text == "outside"


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_wider_location(factory, path):
    """`oci` in a location above /v2/ answers below it only."""
    n = factory(v2="location / { oci main; root @PREFIX@/files; }",
                files={"page.txt": "a page"})
    c = n.client()
    r = c.get(path)
    ok(r, 200)
    r = c.get("/page.txt")
    assert r.status_code == 200 and r.text == "a page"
    assert "Docker-Distribution-API-Version" not in r.headers


def test_outside(reg):
    r = reg.get("/")
    assert r.text == "outside"
    assert "Docker-Distribution-API-Version" not in r.headers


@pytest.mark.smoke
@pytest.mark.parametrize("path", [
    "/v2/a/nothing", "/v2/nothing", "/v2/a/b/blobs", "/v2/a/tags",
    "/v2/a/tags/list/more", "/v2/_oci/ext/discover", "/v2/a/_x/y"])
def test_unknown_path(reg, path):
    error(reg.get(path), (400, 404), "NAME_UNKNOWN", "NAME_INVALID",
          "UNSUPPORTED")


def test_head_of_an_error(reg):
    d = digest(unique())
    get = reg.get("/v2/a/blobs/" + d)
    head = reg.head("/v2/a/blobs/" + d)
    assert head.status_code == get.status_code == 404
    assert head.content == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert head.headers["Content-Type"] == "application/json"


def test_http_10(raw, reg, repo):
    d = reg.push(repo, b"x" * 100)
    c = raw()
    c.send(b"GET /v2/%s/blobs/%s HTTP/1.0\r\n\r\n"
           % (repo.encode(), d.encode()))
    r = c.response()
    assert r.status == 200 and r.body == b"x" * 100
    assert c.at_end()


def test_pipelined(raw, reg, repo):
    """Three requests in one segment, three answers in order."""
    bodies = [unique(), unique(5000), unique(1)]
    ds = [reg.push(repo, b) for b in bodies]
    c = raw()
    c.send(b"".join(
        b"GET /v2/%s/blobs/%s HTTP/1.1\r\nHost: a\r\n\r\n"
        % (repo.encode(), d.encode()) for d in ds))
    assert [c.response().body for _ in ds] == bodies


@pytest.fixture(scope="module")
def filtered():
    import nginx
    from conftest import _client
    n = nginx.Nginx(http=FILTERS)
    yield _client(n)
    n.stop()


@pytest.mark.parametrize("path", ["manifest", "blob", "tags", "referrers",
                                  "base", "error"])
def test_no_filter_touches(filtered, path):
    """gzip, charset, sub and ssi are on: nothing of it may be seen."""
    c = filtered
    repo = "filters/" + path
    text = b"<!--# echo var=a --> sha256 " * 300
    d = c.push(repo, text)
    data = c.index(subject={"mediaType": INDEX, "digest": d, "size": 1})
    assert c.put_manifest(repo, "v1", data, INDEX).status_code == 201
    url, body, kind = {
        "manifest": ("/v2/%s/manifests/v1" % repo, data, INDEX),
        "blob": ("/v2/%s/blobs/%s" % (repo, d), text,
                 "application/octet-stream"),
        "tags": ("/v2/%s/tags/list" % repo,
                 dumps({"name": repo, "tags": ["v1"]}), "application/json"),
        "referrers": ("/v2/%s/referrers/%s" % (repo, d), None, INDEX),
        "base": ("/v2/", None, "application/json"),
        "error": ("/v2/%s/manifests/no" % repo, None, "application/json"),
    }[path]
    with Raw(c.nginx.addr) as conn:
        for method in ("GET", "HEAD"):
            r = conn.request(method, url, ("Accept-Encoding", "gzip, zstd"))
            assert header(r, "Content-Encoding") is None
            assert header(r, "Transfer-Encoding") is None
            assert header(r, "Content-Type") == kind
            etag = header(r, "ETag")
            assert etag is None or etag.startswith('"')
            if method == "GET":
                size = len(r.body)
                if body is not None:
                    assert r.body.rstrip(b"\n") == body
                assert b"broken" not in r.body
            assert header(r, "Content-Length") == str(size)
