"""nginx's own logins in front of the registry."""

import pytest

from oci import UPLOAD_ID, absent, digest, error, header, ok, unique
from raw import Raw

USERS = {"users": "alice:{PLAIN}secret\nbob:{PLAIN}other\n"}
BASIC = 'auth_basic "registry"; auth_basic_user_file @PREFIX@/files/users;'
ALICE, BOB = ("alice", "secret"), ("bob", "other")


@pytest.mark.smoke
@pytest.mark.valgrind
def test_basic(factory):
    n = factory(location=BASIC, files=USERS)
    anonymous, alice = n.client(), n.client(auth=ALICE)
    wrong = n.client(auth=("alice", "wrong"))
    for c in (anonymous, wrong):
        for path in ("/v2/", "/v2/a/manifests/x", "/v2/a/tags/list"):
            r = c.get(path)
            error(r, 401, "UNAUTHORIZED")
            assert r.headers["WWW-Authenticate"] == 'Basic realm="registry"'
            head = c.head(path)
            assert head.status_code == 401 and head.content == b""
            assert head.headers["WWW-Authenticate"] \
                == r.headers["WWW-Authenticate"]
        error(c.post("/v2/a/blobs/uploads/"), 401, "UNAUTHORIZED")
    ok(alice.get("/v2/"), 200)
    d = alice.push_image("a", "v1")
    assert alice.manifest("a", "v1").headers["Docker-Content-Digest"] == d
    error(anonymous.manifest("a", d), 401, "UNAUTHORIZED")


def test_401_leaves_the_connection_usable(factory):
    """A client sends the same body again on the same connection."""
    import base64
    n = factory(location=BASIC, files=USERS)
    data = unique(300000)
    c = Raw(n.addr)
    login = ("Authorization", "Basic "
             + base64.b64encode(b"alice:secret").decode())
    url = "/v2/a/blobs/uploads/?digest=" + digest(data)
    error(c.request("POST", url, body=data), 401, "UNAUTHORIZED")
    ok(c.request("POST", url, login, body=data), 201)
    # and with Expect there is no 100 before the refusal
    c.head("POST", url, ("Expect", "100-continue"),
           ("Content-Length", "300000"))
    error(c.response(), 401, "UNAUTHORIZED")


@pytest.mark.smoke
def test_session_of_another_user(factory):
    n = factory(location=BASIC, files=USERS)
    alice, bob = n.client(auth=ALICE), n.client(auth=BOB)
    loc = alice.start("a")
    ok(alice.patch(loc, data=b"abc"), 202)
    for r in (bob.get(loc), bob.patch(loc, data=b"d"), bob.delete(loc),
              bob.finish(loc, digest(b"abc"))):
        error(r, 404, "BLOB_UPLOAD_UNKNOWN")
    assert alice.get(loc).headers["Range"] == "0-2"
    ok(alice.finish(loc, digest(b"abc")), 201)
    assert bob.blob("a", digest(b"abc")).content == b"abc"


def anonymous_pull(n):
    """Anyone reads, only those with a login write."""
    c, alice = n.client(), n.client(auth=ALICE)
    d = alice.push_image("a", "v1")
    blob = alice.push("a")
    for ref in (d, "v1"):
        ok(c.manifest("a", ref), 200)
    ok(c.blob("a", blob), 200)
    assert c.tags("a") == ["v1"]
    assert c.referrers("a", d)[1] == []
    loc = alice.start("a")
    for method, path in (
            ("POST", "/v2/a/blobs/uploads/"), ("PATCH", loc),
            ("PUT", loc + "?digest=" + absent()),
            ("DELETE", loc), ("PUT", "/v2/a/manifests/v2"),
            ("DELETE", "/v2/a/manifests/v1"),
            ("DELETE", "/v2/a/blobs/" + blob)):
        r = c.req(method, path, data=b"abc")
        error(r, 401, "UNAUTHORIZED")
        assert r.headers["WWW-Authenticate"] == 'Basic realm="registry"'
    ok(alice.get(loc), 204)
    ok(alice.delete(loc), 204)
    ok(c.manifest("a", "v1"), 200)
    ok(alice.delete("/v2/a/manifests/v1"), 202)


@pytest.mark.smoke
def test_anonymous_pull_by_limit_except(factory):
    n = factory(location="limit_except GET HEAD { %s }" % BASIC,
                files=USERS)
    anonymous_pull(n)


@pytest.mark.smoke
def test_anonymous_pull_by_map(factory):
    n = factory(
        http="map $request_method $who { default registry;"
             " GET off; HEAD off; }",
        location=BASIC.replace('"registry"', "$who"), files=USERS)
    anonymous_pull(n)


@pytest.mark.smoke
def test_version_check_asks_for_the_login(factory):
    """`location = /v2/`: clients learn there that a login is needed."""
    n = factory(
        server="location = /v2/ { oci main; %s }" % BASIC,
        location="limit_except GET HEAD { %s }" % BASIC, files=USERS)
    c, alice = n.client(), n.client(auth=ALICE)
    r = c.get("/v2/")
    error(r, 401, "UNAUTHORIZED")
    assert r.headers["WWW-Authenticate"] == 'Basic realm="registry"'
    ok(alice.get("/v2/"), 200)
    alice.push_image("a", "v1")
    ok(c.manifest("a", "v1"), 200)


def test_methods_by_location(factory):
    """A repository tree with rights of its own."""
    n = factory(
        methods="pull",
        server="location /v2/team/ { oci main; oci_methods pull push; %s }"
               % BASIC, files=USERS)
    c, alice = n.client(), n.client(auth=ALICE)
    error(alice.post("/v2/other/blobs/uploads/"), 405, "UNSUPPORTED")
    error(c.post("/v2/team/a/blobs/uploads/"), 401, "UNAUTHORIZED")
    d = alice.push_image("team/a", "v1")
    error(alice.delete("/v2/team/a/manifests/" + d), 405, "UNSUPPORTED")


def test_mount_from_where_one_may_not_pull(factory):
    """
    The source lies in a location with a login of its own: a mount through
    the open one must not be a way around it.
    """
    n = factory(
        server="location /v2/secret/ { oci main;"
               " oci_methods pull push; oci_namespace secret; %s }" % BASIC,
        location="oci_mount any;", files=USERS)
    c, alice = n.client(), n.client(auth=ALICE)
    data = unique()
    d = alice.push("secret/a", data)
    for query in ("?mount=%s&from=secret/a" % d, "?mount=" + d):
        r = c.post("/v2/open/blobs/uploads/" + query)
        ok(r, 202)
    error(c.blob("open", d), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")


def test_a_session_needs_the_right_to_push(factory):
    n = factory(location="limit_except GET HEAD { deny all; }")
    error(n.client().post("/v2/a/blobs/uploads/"), 403, "DENIED")


def test_user_with_odd_name(factory):
    """Long and strange user names do not break a session."""
    names = ["x" * 300, "ü@example.org", "a/../b", "a b"]
    n = factory(location=BASIC, files={"users": "".join(
        "%s:{PLAIN}p\n" % u for u in names)})
    import base64
    for u in names:
        c = Raw(n.addr)
        login = ("Authorization", "Basic " + base64.b64encode(
            u.encode() + b":p").decode())
        r = c.request("POST", "/v2/a/blobs/uploads/", login, body=b"")
        ok(r, 202)
        loc = header(r, "Location")
        assert UPLOAD_ID.match(loc)
        ok(c.request("PATCH", loc, login, body=b"abc"), 202)
        ok(c.request("PUT", loc + "?digest=" + digest(b"abc"), login,
                     body=b""), 201)


def test_variables_in_an_auth_request(factory):
    """They speak of what the client wants, not of the subrequest."""
    n = factory(
        location="auth_request /may;",
        http="""map $oci_operation:$oci_repository $may {
                    default 403;
                    push:a  204; pull:a 204; base: 204;
                    pull:b  204;
                }""",
        server="""location = /may {
                      internal;
                      if ($may = 403) { return 403; }
                      return 204;
                  }""")
    c = n.client()
    d = c.push("a")
    assert c.has("a", d)
    error(c.post("/v2/b/blobs/uploads/"), 403, "DENIED")
    error(c.blob("b", d), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")
    error(c.blob("c", d), 403, "DENIED")
