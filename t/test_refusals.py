"""nginx's own refusals in the location are OCI JSON too."""

import pytest

from oci import absent, digest, error, header, ok, unique
from raw import Raw


@pytest.mark.smoke
@pytest.mark.valgrind
def test_deny(factory):
    n = factory(location="deny all;")
    c = n.client()
    error(c.get("/v2/"), 403, "DENIED")
    error(c.get("/v2/a/manifests/x"), 403, "DENIED")
    r = Raw(n.addr).request("POST", "/v2/a/blobs/uploads/?digest="
                            + absent(), body=unique(200000))
    error(r, 403, "DENIED")
    r = c.head("/v2/a/manifests/x")
    assert r.status_code == 403 and r.content == b""
    assert r.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [429, 503, None])
def test_limit_req(factory, status):
    n = factory(
        http="limit_req_zone $server_addr zone=lr:1m rate=1r/m;",
        location="limit_req zone=lr; "
                 + ("limit_req_status %d;" % status if status else ""))
    c = n.client()
    assert c.get("/v2/").status_code == 200
    r = c.get("/v2/a/tags/list")
    if status == 429:
        error(r, 429, "TOOMANYREQUESTS")
    else:
        error(r, (429, 503), "TOOMANYREQUESTS", "UNAVAILABLE")
    if r.status_code == 429:
        assert int(r.headers["Retry-After"]) > 0
    # a mirror client tries its next host on a 503 only
    r = c.get("/v2/a/tags/list?ns=docker.io")
    error(r, 503, "UNAVAILABLE", "TOOMANYREQUESTS")


def test_limit_conn(factory):
    n = factory(http="limit_conn_zone $server_addr zone=lc:1m;",
                location="limit_conn lc 1;", workers=1)
    c = n.client()
    loc = c.start("a")
    conn = Raw(n.addr)
    conn.head("PATCH", loc, ("Content-Length", "100"))
    conn.send(b"x")
    from nginx import wait_for
    r = wait_for("a refusal", lambda: (
        lambda r: r if r.status_code != 200 else None)(c.get("/v2/")))
    error(r, (429, 503), "TOOMANYREQUESTS", "UNAVAILABLE")
    conn.send(b"x" * 99)
    ok(conn.response(), 202)


@pytest.mark.smoke
def test_client_max_body_size(factory):
    n = factory(location="client_max_body_size 1k;")
    c = n.client()
    data = unique(2000)
    conn = Raw(n.addr)
    loc = c.start("a")
    for method, url in (
            ("POST", "/v2/a/blobs/uploads/?digest=" + digest(data)),
            ("PATCH", loc), ("PUT", loc + "?digest=" + digest(data)),
            ("PUT", "/v2/a/manifests/t")):
        r = conn.request(method, url, body=data)
        error(r, 413, "SIZE_INVALID", "MANIFEST_INVALID")
        if header(r, "Connection") == "close":
            conn = Raw(n.addr)
    conn = Raw(n.addr)
    conn.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
    conn.try_send(b"7d0\r\n" + data + b"\r\n0\r\n\r\n")
    error(conn.response(), 413, "SIZE_INVALID", "MANIFEST_INVALID")
    data = unique(1000)
    ok(c.finish(c.start("a"), digest(data), data), 201)


@pytest.mark.smoke
@pytest.mark.parametrize("where", ["server", "http"])
def test_client_max_body_size_of_outside(factory, where):
    """What the operator set further out holds as well."""
    n = factory(**{where: "client_max_body_size 2k;"})
    r = Raw(n.addr).request("POST", "/v2/a/blobs/uploads/?digest="
                            + absent(), body=unique(4000))
    error(r, 413, "SIZE_INVALID")


@pytest.mark.smoke
def test_no_default_body_limit(reg, repo):
    """nginx's 1m is lifted."""
    data = unique(3 << 20)
    assert reg.blob(repo, reg.push(repo, data)).content == data
    r = ok(reg.patch(reg.start(repo), data=iter([data])), 202)
    assert r.headers["Range"] == "0-%d" % (len(data) - 1)


def test_default_body_limit_elsewhere(factory):
    """It is lifted in this location only."""
    n = factory(server="location /other { proxy_pass http://127.0.0.1:1; }")
    r = Raw(n.addr).request("POST", "/other", body=b"x" * (2 << 20))
    assert r.status == 413
    assert header(r, "Content-Type") == "text/html"


@pytest.mark.parametrize("status,code", [
    (401, "UNAUTHORIZED"), (403, "DENIED"), (404, "NAME_UNKNOWN"),
    (405, "UNSUPPORTED"), (409, None), (413, "SIZE_INVALID"),
    (429, "TOOMANYREQUESTS"), (500, "UNKNOWN"), (503, "UNAVAILABLE")])
def test_return(factory, status, code):
    """rewrite's `return` in the location (before the module's handler)."""
    n = factory(location="if ($arg_fail) { return %d; }" % status)
    c = n.client()
    ok(c.get("/v2/"), 200)
    r = c.get("/v2/?fail=1")
    error(r, status, *([code] if code else
                       ["BLOB_UPLOAD_INVALID", "UNKNOWN", "UNSUPPORTED"]))


def test_error_page_of_the_operator(factory):
    """Who sets error_page gets it."""
    n = factory(location="deny all; error_page 403 /denied.txt;",
                server="location = /denied.txt { internal; "
                       "root @PREFIX@/files; }",
                files={"denied.txt": "go away"})
    r = n.client().get("/v2/")
    assert r.status_code == 403
    assert r.text == "go away"


def test_auth_request(factory):
    n = factory(
        location="auth_request /check;",
        server="location = /check { internal;"
               " if ($http_x_key = open) { return 204; }"
               " if ($http_x_key = wrong) { return 403; }"
               " add_header WWW-Authenticate 'Bearer realm=\"x\"' always;"
               " return 401; }")
    c = n.client()
    error(c.get("/v2/"), 401, "UNAUTHORIZED")
    error(c.get("/v2/", headers={"X-Key": "wrong"}), 403, "DENIED")
    ok(c.get("/v2/", headers={"X-Key": "open"}), 200)
    c.session.headers["X-Key"] = "open"
    d = c.push_image("a", "v1")
    assert c.manifest("a", d).status_code == 200
    data = unique(100000)
    ok(c.patch(c.start("a"), data=iter([data])), 202)


def test_refusals_outside_stay_html(factory):
    n = factory(server="location /no { deny all; }")
    r = n.client().get("/no")
    assert r.status_code == 403
    assert r.headers["Content-Type"] == "text/html"


def test_internal_error_is_json(factory):
    """The store is gone: 500, UNKNOWN, and the log says why."""
    import os
    n = factory(workers=1)
    c = n.client()
    c.push_image("a", "v1")
    path = n.path("uploads")
    os.rename(path, path + ".away")
    try:
        n.allow(r"uploads")
        error(c.post("/v2/b/blobs/uploads/"), 500, "UNKNOWN")
    finally:
        os.rename(path + ".away", path)
    assert "uploads" in n.log()
