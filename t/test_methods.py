"""oci_methods: each operation where it is off, and methods that no
endpoint knows: 405 UNSUPPORTED with Allow."""

import pytest

from oci import absent, digest, error, header, ok, unique

D = "sha256:" + "1" * 64
ID = "0" * 32

OPERATIONS = {
    "pull": [("GET", "manifests/t"), ("HEAD", "manifests/t"),
             ("GET", "manifests/" + D), ("GET", "blobs/" + D),
             ("HEAD", "blobs/" + D), ("GET", "tags/list"),
             ("GET", "referrers/" + D)],
    "push": [("POST", "blobs/uploads/"),
             ("POST", "blobs/uploads/?digest=" + D),
             ("POST", "blobs/uploads/?mount=%s&from=a" % D),
             ("PATCH", "blobs/uploads/" + ID),
             ("PUT", "blobs/uploads/%s?digest=%s" % (ID, D)),
             ("GET", "blobs/uploads/" + ID),
             ("DELETE", "blobs/uploads/" + ID),
             ("PUT", "manifests/t"), ("PUT", "manifests/" + D)],
    "delete": [("DELETE", "manifests/t"), ("DELETE", "manifests/" + D),
               ("DELETE", "blobs/" + D)],
}

SETS = ["pull", "push", "pull push", "pull delete", "delete",
        "pull push delete", None]


@pytest.fixture(scope="module", params=SETS, ids=str)
def limited(request):
    import nginx
    from conftest import _client
    v2 = "location /v2/ { oci main; %s }" % (
        "oci_methods %s;" % request.param if request.param else "")
    n = nginx.Nginx(v2=v2, workers=1)
    yield _client(n), (request.param or "pull").split()
    n.stop()


@pytest.mark.smoke
@pytest.mark.parametrize("kind,method,tail", [
    (kind, m, t) for kind, ops in OPERATIONS.items() for m, t in ops],
    ids=lambda x: str(x)[:30])
def test_operation(limited, kind, method, tail):
    c, on = limited
    r = c.req(method, "/v2/a/b/" + tail,
              data=b"{}" if method in ("PUT", "PATCH") else None)
    if kind in on:
        assert r.status_code != 405, r.text
        return
    assert r.status_code == 405
    assert "Allow" in r.headers
    allow = {m.strip() for m in r.headers["Allow"].split(",")} - {""}
    assert method not in allow
    assert allow <= {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"}
    if method != "HEAD":
        error(r, 405, "UNSUPPORTED")


def test_version_check_always_works(limited):
    ok(limited[0].get("/v2/"), 200)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("method,path,allow", [
    ("POST", "/v2/", "GET, HEAD"), ("PUT", "/v2/", "GET, HEAD"),
    ("DELETE", "/v2/", "GET, HEAD"), ("PATCH", "/v2/", "GET, HEAD"),
    ("POST", "/v2/a/tags/list", "GET, HEAD"),
    ("DELETE", "/v2/a/tags/list", "GET, HEAD"),
    ("PUT", "/v2/_catalog", "GET, HEAD"),
    ("POST", "/v2/a/referrers/" + D, "GET, HEAD"),
    ("POST", "/v2/a/manifests/t", "GET, HEAD, PUT, DELETE"),
    ("PATCH", "/v2/a/manifests/t", "GET, HEAD, PUT, DELETE"),
    ("POST", "/v2/a/blobs/" + D, "GET, HEAD, DELETE"),
    ("PUT", "/v2/a/blobs/" + D, "GET, HEAD, DELETE"),
    ("GET", "/v2/a/blobs/uploads/", "POST"),
    ("PUT", "/v2/a/blobs/uploads/", "POST"),
    ("POST", "/v2/a/blobs/uploads/" + ID, "GET, PUT, PATCH, DELETE"),
    ("OPTIONS", "/v2/a/manifests/t", "GET, HEAD, PUT, DELETE"),
    ("PROPFIND", "/v2/a/blobs/" + D, "GET, HEAD, DELETE"),
    ("FOO", "/v2/a/blobs/" + D, "GET, HEAD, DELETE")])
def test_method_unknown_to_the_endpoint(reg, method, path, allow):
    r = reg.req(method, path, data=b"some body")
    error(r, 405, "UNSUPPORTED")
    got = {m.strip() for m in r.headers["Allow"].split(",")}
    # HEAD of an upload may be known or not
    assert got - {"HEAD"} == set(allow.split(", ")) - {"HEAD"}


def test_pull_only_changes_nothing(factory):
    """Bodies of refused pushes are drained, and nothing is made."""
    n = factory(methods="pull", store_clean=True)
    c = n.client()
    import raw
    conn = raw.Raw(n.addr)
    for method, tail in OPERATIONS["push"] + OPERATIONS["delete"]:
        r = conn.request(method, "/v2/a/" + tail, body=unique(100000))
        assert r.status == 405, r
        if header(r, "Connection") == "close":
            conn = raw.Raw(n.addr)
    assert header(conn.request("GET", "/v2/"), "X-Worker")
    assert c.get("/v2/a/blobs/" + absent()).status_code == 404
    assert not n.tree("repositories", "uploads", "tmp", "blobs")


def test_two_locations_on_one_store(factory):
    """Pushed through one door, pulled through the other."""
    n = factory(http="server { listen 127.0.0.1:@PORT:ro@;"
                     " location /v2/ { oci main; } }")
    c = n.client()
    ro = n.client("http://127.0.0.1:%d" % n.port("ro"))
    d = c.push_image("a", "v1")
    assert ro.manifest("a", "v1").headers["Docker-Content-Digest"] == d
    error(ro.put_manifest("a", "v2", b"{}"), 405, "UNSUPPORTED")
    loc = c.start("a")
    error(ro.get(loc), 405, "UNSUPPORTED")
    error(ro.delete(loc), 405, "UNSUPPORTED")
    assert c.get(loc).status_code == 204
    assert digest(ro.manifest("a", "v1").content) == d
