"""Pushes through an edge: to the upstream, or kept here."""

import http.client
import json
import os
import socket
import threading

import pytest
import requests

from edge import edge, fresh
from gate import wait_for
from oci import IMAGE, Client, digest, error, header, ok
from upstream import Signer

LONG = "oci_valid 1h; oci_valid_missing 1h;"
ALL = "pull push delete"
TO = LONG + "oci_push upstream;"
HERE = LONG + "oci_push local;"
MIB = 1 << 20


@pytest.fixture
def away(factory, upstreams):
    """(upstream, edge that pushes to it, client)"""
    up = upstreams()
    n = edge(factory, up, TO, methods=ALL)
    return up, n, n.client()


def follow(n, r):
    """The Location of an upload, on this server whatever its form."""
    loc = header(r, "Location")
    if loc.startswith("http"):
        assert loc.startswith(n.url + "/"), loc
        loc = loc[len(n.url):]
    assert loc.startswith("/v2/"), loc
    return loc


def push(n, c, repo, data, *parts):
    """A blob: POST, a PATCH for each part, PUT."""
    r = ok(c.post("/v2/%s/blobs/uploads/" % repo), 202)
    at = 0
    for size in parts:
        r = ok(c.patch(follow(n, r), data=data[at:at + size], headers={
            "Content-Type": "application/octet-stream"}), 202)
        at += size
        assert header(r, "Range") == "0-%d" % (at - 1)
    loc = follow(n, r)
    r = c.put(loc + ("&" if "?" in loc else "?") + "digest=" + digest(data),
              data=data[at:])
    ok(r, 201)
    assert digest(data) in header(r, "Location")
    return digest(data)


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_to_the_upstream(away, kind):
    up, n, c = away
    up.location = kind
    layer = os.urandom(300000)
    for parts in ((), (100000,), (100000, 50000), (300000,)):
        layer = os.urandom(300000)
        push(n, c, "a/b", layer, *parts)
        assert up.read(digest(layer)) == layer
        assert c.blob("a/b", digest(layer)).content == layer
    body = c.image("a/b", layers=None, blobs=False)
    r = ok(c.put_manifest("a/b", "v1", body), 201)
    assert header(r, "Docker-Content-Digest") == digest(body)
    assert up.repo("a/b").manifests[digest(body)] == (IMAGE, body)
    assert c.manifest("a/b", "v1").content == body


def test_tags_that_were_pushed(away):
    """A tag is fresh at once, however long it is trusted."""
    up, n, c = away
    up.image("a", "v1")
    ok(c.manifest("a", "v1"), 200)
    assert c.tags("a") == ["v1"]
    assert c.manifest("a", "v2").status_code == 404
    body = c.image("a", layers=[])
    for tag in ("v1", "v2"):
        ok(c.put_manifest("a", tag, body), 201)
        for _ in range(6):
            r = ok(fresh(n, "GET", "/v2/a/manifests/" + tag), 200)
            assert header(r, "Docker-Content-Digest") == digest(body)
    assert c.tags("a") == ["v1", "v2"]


def test_blobs_that_were_missing(away):
    up, n, c = away
    data = os.urandom(1000)
    assert c.blob("a", digest(data)).status_code == 404
    assert not c.has("a", digest(data))
    push(n, c, "a", data)
    for _ in range(4):
        r = fresh(n, "GET", "/v2/a/blobs/" + digest(data))
        assert r.content == data


def test_referrers_that_were_pushed(away):
    up, n, c = away
    d = up.image("a", "v1")
    assert c.referrers("a", d)[1] == []
    body = c.image("a", layers=[], subject=up.descriptor(d),
                   artifactType="test/x")
    r = ok(c.put_manifest("a", digest(body), body), 201)
    assert header(r, "OCI-Subject") == d
    assert [x["digest"] for x in c.referrers("a", d)[1]] == [digest(body)]


def test_mounts_and_sessions(away):
    up, n, c = away
    data = os.urandom(1000)
    up.blob("a", data)
    query = "?mount=%s&from=a" % digest(data)
    r = ok(c.post("/v2/b/blobs/uploads/" + query), 201)
    assert digest(data) in header(r, "Location")
    assert c.blob("b", digest(data)).content == data
    r = ok(c.post("/v2/b/blobs/uploads/?mount=%s&from=c" % digest(data)),
           202)
    loc = follow(n, ok(c.patch(follow(n, r), data=b"abc"), 202))
    r = ok(c.get(loc), 204)
    assert header(r, "Range") == "0-2"
    ok(c.delete(loc), 204)
    error(c.get(loc), 404, "BLOB_UPLOAD_UNKNOWN")


def test_deletes(away):
    up, n, c = away
    d = up.image("a", "v1", "v2")
    ok(c.manifest("a", "v1"), 200)
    ok(c.manifest("a", d), 200)
    ok(c.delete("/v2/a/manifests/v1"), 202)
    assert "v1" not in up.repo("a").tags
    assert fresh(n, "GET", "/v2/a/manifests/v1").status_code == 404
    ok(c.delete("/v2/a/manifests/" + d), 202)
    assert d not in up.repo("a").manifests
    for ref in (d, "v2"):
        assert fresh(n, "GET", "/v2/a/manifests/" + ref).status_code == 404


def test_refusals(away):
    """What the upstream says against a push is what the client hears."""
    up, n, c = away
    r = ok(c.post("/v2/a/blobs/uploads/"), 202)
    loc = follow(n, r)
    r = c.put(loc + "&digest=" + digest(b"other"), data=b"abc")
    error(r, 400, "DIGEST_INVALID")
    up.push = False
    error(c.post("/v2/a/blobs/uploads/"), 405, "UNSUPPORTED")
    error(c.put_manifest("a", "v1", c.image("a", blobs=False)), 405,
          "UNSUPPORTED")
    up.push = True
    up.fault(status=403)
    assert c.post("/v2/a/blobs/uploads/").status_code == 403
    up.mend()
    up.stop()
    r = c.post("/v2/a/blobs/uploads/")
    assert r.status_code in (502, 503, 504) and r.json()["errors"]


ELSEWHERE = ["http://127.0.0.1:%(other)d%(path)s", "//localhost:%(port)d"
             "%(path)s", "https://127.0.0.1:%(port)d%(path)s",
             "http://u:p@127.0.0.1:%(port)d%(path)s", "ftp://h%(path)s", ""]


def test_places_elsewhere(away):
    """An upload goes on at the upstream itself or nowhere."""
    up, n, c = away
    for to in ELSEWHERE:
        to = to % {"other": up.store.port, "port": up.port,
                   "path": "/v2/a/blobs/uploads/x?s=1"}
        rule = up.fault("uploads", method="POST", status=202, body=b"",
                        headers=[("Location", to)] if to else [])
        r = c.post("/v2/a/blobs/uploads/")
        error(r, 502, "UNAVAILABLE")
        assert "Location" not in r.headers, to
        up.mend(rule)
    up.fault("uploads/[0-9a-f]", status=307, body=b"", headers=[
        ("Location", up.url + "/v2/a/blobs/uploads/x")])
    r = ok(c.post("/v2/a/blobs/uploads/"), 202)
    error(c.patch(follow(n, r), data=b"abc"), 502, "UNAVAILABLE")


@pytest.mark.parametrize("place", [
    "/a-place/of/its.own?state=1%2B&ns=x", "/v2/a/blobs/upload/0-1",
    "/v2/b/blobs/uploads/0", "/v2/a/blobs/uploads/1/2",
    "/v2/a/blobs/uploads/1?ns=2", "/v2/a/blobs/uploads/1?oci_at=2"])
def test_places_of_another_form(away, place):
    """They come back as they were, for the repository they were told to."""
    up, n, c = away
    rule = up.fault("uploads", method="POST", status=202, body=b"",
                    headers=[("Location", place)])
    loc = follow(n, ok(c.post("/v2/a/blobs/uploads/"), 202))
    assert loc.startswith("/v2/a/blobs/uploads/")
    up.mend(rule)
    up.fault("^" + place.split("?")[0], method="PATCH", status=202, body=b"",
             headers=[("Location", place)])
    r = ok(c.patch(loc, data=b"abc"), 202)
    assert header(r, "Location") == loc
    path, _, query = loc.partition("?")
    ok(c.patch("%s?x=1&%s" % (path, query), data=b"abc"), 202)
    assert [x.target for x in up.seen("PATCH")] == [
        place, place + ("&" if "?" in place else "?") + "x=1"]
    up.clear()
    for bad in (loc.replace("/v2/a/", "/v2/b/", 1),
                "%s0?%s" % (path[:-1], query.replace("oci_at=", "oci_at=L")),
                path + "?oci_at="):
        error(c.patch(bad, data=b"abc"), 404, "BLOB_UPLOAD_UNKNOWN")
    assert not up.seen()


def test_queries_in_another_order(away):
    up, n, c = away
    data = os.urandom(1000)
    path, _, query = follow(n, ok(c.post("/v2/a/blobs/uploads/"),
                                  202)).partition("?")
    ok(c.put("%s?digest=%s&ns=docker.io&%s" % (path, digest(data), query),
             data=data), 201)
    assert up.read(digest(data)) == data
    assert "ns=" not in up.seen("PUT")[-1].target


def test_mounts_of_what_is_not_shown(factory, upstreams):
    """The edge's account reads more than a client of one location may."""
    up = upstreams()
    data = os.urandom(1000)
    up.blob("secret/a", data)
    n = edge(factory, up, v2="""
        location /v2/secret/ { deny all; }
        location /v2/ { oci main; oci_pass %s; oci_push upstream;
                        oci_methods pull push delete; }""" % up.url)
    for query in ("mount=%s&from=secret/a", "mount=%s", "m%%6funt=%s&from=secr"
                  "et/a", "x=1;mount=%s;from=secret/a", "x=1&mount=%s&"
                  "fro%%6d=secret%%2fa"):
        # requests would write it in other words
        conn = http.client.HTTPConnection(*n.addr)
        conn.request("POST", "/v2/b/blobs/uploads/?" + query % digest(data))
        assert conn.getresponse().status == 202
        conn.close()
        assert "unt=" not in up.seen("POST")[-1].target
        assert "secret" not in up.seen("POST")[-1].target


def test_bodies_of_no_length(away):
    up, n, c = away
    data = os.urandom(700000)
    r = ok(c.post("/v2/a/blobs/uploads/"), 202)
    r = ok(c.patch(follow(n, r), data=(
        data[i:i + 70000] for i in range(0, len(data), 70000))), 202)
    assert header(r, "Range") == "0-%d" % (len(data) - 1)
    assert header(up.seen("PATCH")[0], "transfer-encoding") == "chunked"
    ok(c.put(follow(n, r) + "&digest=" + digest(data)), 201)
    assert up.read(digest(data)) == data


def test_refusals_that_are_no_errors(away):
    """What is no error of the specification becomes one."""
    up, _, c = away
    for body in (b"<html>", b"{}", b'{"errors":[]}', b'{"errors":[{}]}',
                 b'{"errors":[{"code":1}]}',
                 b'{"errors":[{"code":"A","x":"' + b"y" * 40000 + b'"}]}'):
        rule = up.fault("uploads", status=500, body=body)
        error(c.post("/v2/a/blobs/uploads/"), 500, "UNKNOWN")
        up.mend(rule)
    up.fault("uploads", status=429, body=b"", headers=[("Retry-After", "7")])
    r = c.post("/v2/a/blobs/uploads/")
    error(r, 429, "TOOMANYREQUESTS")
    assert header(r, "Retry-After") == "7"


@pytest.mark.parametrize("early", [True, False])
def test_upstream_that_breaks_off(away, early):
    """Before it has taken anything, and in mid-body."""
    up, n, c = away
    loc = follow(n, ok(c.post("/v2/a/blobs/uploads/"), 202))
    if early:
        up.fault("uploads", method="PATCH", drop=True)
    else:
        up.fault("uploads", method="PATCH", hold=True)
    out = []
    t = threading.Thread(target=lambda: out.append(fresh(
        n, "PATCH", loc, data=os.urandom(3 * MIB))))
    t.start()
    if not early:
        wait_for("the request", lambda: up.seen("PATCH"))
        sock = up.seen("PATCH")[0].conn.sock
        wait_for("some of its body", lambda: sock.recv(1, socket.MSG_PEEK))
        up.drop()
    t.join()
    error(out[0], 502, "UNAVAILABLE")
    assert header(out[0], "Connection") == "close"


def test_client_that_leaves(away):
    """What came of its body is not taken for the whole."""
    up, n, c = away
    loc = follow(n, ok(c.post("/v2/a/blobs/uploads/"), 202))
    upload = up.uploads[loc.split("?")[0].rpartition("/")[2]][1]
    for framing in (b"Content-Length: 900000\r\n\r\n",
                    b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"):
        before = len(up.seen("PATCH"))
        with socket.create_connection(n.addr) as s:
            s.sendall(b"PATCH %s HTTP/1.1\r\nHost: a\r\n%s" % (
                loc.encode(), framing))
            s.sendall(bytes(300000))
            wait_for("the upstream to hear of it",
                     lambda: len(up.seen("PATCH")) > before)
        wait_for("the upstream to be told",
                 lambda: up.seen("PATCH")[before].conn.sock.fileno() == -1)
    assert len(upload) <= 600000
    assert not [r for r in up.seen("PATCH") if r.status == 202]


@pytest.mark.parametrize("who", ["", "alice"])
def test_tokens_before_bodies(factory, upstreams, who):
    """No byte of a body is sent to an upstream that wants a token first."""
    up = upstreams(auth="bearer", users={"alice": "secret"})
    up.grant(who, "a", "pull,push")
    more = ""
    if who:
        more = "oci_pass_credentials @PREFIX@/files/config.json;"
    n = edge(factory, up, TO + more, methods=ALL, files={
        "config.json": json.dumps({"auths": {"127.0.0.1:%d" % up.port: {
            "username": who, "password": "secret"}}})} if who else {})
    c = n.client()
    loc = follow(n, ok(c.post("/v2/a/blobs/uploads/"), 202))
    data = os.urandom(300000)
    for i in range(6):
        r = ok(fresh(n, "PATCH", loc, data=data), 202)
    assert header(r, "Range") == "0-%d" % (6 * len(data) - 1)
    assert not up.seen("PATCH", status=401)


def rss(n):
    out = 0
    for pid in n.workers():
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            out += next(int(x.split()[1]) for x in f if x.startswith(
                "RssAnon"))
    return out


@pytest.mark.native
def test_unbuffered(away):
    """A big body goes through as it comes: no memory, no temporary file."""
    up, n, c = away
    data = os.urandom(MIB) * 96
    r = ok(c.post("/v2/a/blobs/uploads/"), 202)
    loc = follow(n, r)
    before = rss(n)
    rule = up.fault("uploads", method="PATCH", hold=True)
    out = []
    other = Client(n.url)
    t = threading.Thread(target=lambda: out.append(
        other.patch(loc, data=data)))
    t.start()
    wait_for("the upstream to hear of it", lambda: rule.hits)
    temp = [os.path.join(base, f) for base, _, files in os.walk(
        os.path.join(n.prefix, "temp")) for f in files]
    assert not temp and not n.tree("uploads")
    rule.release()
    peak = before
    while t.is_alive():
        peak = max(peak, rss(n))
        t.join(0.02)
    other.close()
    assert header(ok(out[0], 202), "Range") == "0-%d" % (len(data) - 1)
    assert peak - before < 16 * 1024
    assert not n.tree("uploads")


def test_pushes_of_clients(factory, upstreams):
    """With their own rights, and with nobody else's."""
    up = upstreams(auth="bearer", users={"alice": "secret", "bob": "other"})
    up.grant("alice", "a", "pull,push")
    up.grant("bob", "a")
    n = edge(factory, up, TO + "oci_pass_auth client;", methods=ALL)

    def login(user):
        r = requests.get(up.realm, auth=(user, up.users[user]), timeout=10,
                         params={"service": up.service,
                                 "scope": "repository:a:pull,push"})
        return {"Authorization": "Bearer " + r.json()["token"]}

    path = "/v2/a/blobs/uploads/"
    r = fresh(n, "POST", path)
    assert r.status_code == 401
    assert 'scope="repository:a:pull,push"' in header(r, "WWW-Authenticate")
    r = fresh(n, "POST", path, headers=login("bob"))
    assert r.status_code in (401, 403)
    alice = login("alice")
    r = ok(fresh(n, "POST", path, headers=alice), 202)
    data = os.urandom(1000)
    loc = follow(n, r) + "&digest=" + digest(data)
    assert fresh(n, "PUT", loc, data=data).status_code == 401
    ok(fresh(n, "PUT", loc, data=data, headers=alice), 201)
    assert up.read(digest(data)) == data


@pytest.mark.smoke
def test_kept_here(factory, upstreams):
    """Pushes stay; what is not here still comes from the upstream."""
    up = upstreams()
    layer = os.urandom(5000)
    image = up.image("a", "v1", layers=[layer])
    n = edge(factory, up, HERE, methods=ALL)
    c = n.client()
    assert c.blob("a", digest(layer)).content == layer
    ok(c.manifest("a", "v1"), 200)
    mine = c.push_image("a", "mine")
    up.clear()
    assert header(ok(c.manifest("a", "mine"), 200),
                  "Docker-Content-Digest") == mine
    ok(c.manifest("a", mine), 200)
    assert not up.seen("PUT") and not up.seen("POST")
    assert not up.seen("GET", "mine")
    assert header(ok(c.manifest("a", "v1"), 200),
                  "Docker-Content-Digest") == image


def test_what_a_push_names_stays(factory, upstreams):
    """A manifest that is pushed here keeps the filled blobs it names."""
    up = upstreams()
    layer = os.urandom(5000)
    up.image("a", "v1", layers=[layer])
    n = edge(factory, up, HERE, methods=ALL)
    c = n.client()
    assert c.blob("a", digest(layer)).content == layer
    hexa = digest(layer)[7:]
    wait_for("the link", lambda: os.path.exists(
        n.repo("a", "_cached", "sha256", hexa)))
    body = c.image("a", layers=[up.descriptor(digest(layer))])
    ok(c.put_manifest("a", "mine", body), 201)
    assert os.path.exists(n.repo("a", "_blobs", "sha256", hexa))


@pytest.mark.parametrize("who", ["client", "service"])
def test_distribution_behind(factory, upstreams, distributions, who):
    """CNCF distribution as the upstream, behind a token service."""
    tokens = upstreams(auth="bearer", users={"edge": "secret"})
    tokens.signer = Signer()
    tokens.grant("edge", ".*", "pull,push,delete")
    d = distributions(tokens=tokens)
    login = {"username": "edge", "password": "secret"}
    n = edge(factory, d.url, TO + {
        "client": "oci_pass_auth client;",
        "service": "oci_pass_credentials @PREFIX@/files/config.json;"}[who],
        methods=ALL, files={"config.json": json.dumps(
            {"auths": {"127.0.0.1:%d" % d.port: login}})})
    c = n.client()
    if who == "client":
        r = requests.get(tokens.realm, auth=("edge", "secret"), timeout=10,
                         params={"service": tokens.service, "scope":
                                 "repository:a:pull,push,delete"})
        c.session.headers["Authorization"] = "Bearer " + r.json()["token"]
    data = os.urandom(3 * MIB)
    for parts in ((), (MIB, MIB), (3 * MIB,)):
        data = os.urandom(3 * MIB)
        push(n, c, "a", data, *parts)
        assert c.blob("a", digest(data)).content == data
    kind = "application/vnd.oci.image.%s"
    body = json.dumps({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": {"mediaType": kind % "config.v1+json", "size": 2,
                   "digest": push(n, c, "a", b"{}")},
        "layers": [{"mediaType": kind % "layer.v1.tar", "size": len(data),
                    "digest": digest(data)}]}).encode()
    r = ok(c.put_manifest("a", "v1", body), 201)
    assert header(r, "Docker-Content-Digest") == digest(body)
    assert c.manifest("a", "v1").content == body
    assert c.tags("a") == ["v1"]
    ok(c.delete("/v2/a/manifests/" + digest(body)), 202)
    for ref in ("v1", digest(body)):
        error(c.manifest("a", ref), 404, "MANIFEST_UNKNOWN")


def test_this_module_behind(factory):
    """Through two edges to an origin."""
    origin = factory(methods=ALL)
    middle = edge(factory, origin.url, TO, methods=ALL)
    n = edge(factory, middle.url, TO, methods=ALL)
    c = n.client()
    data = os.urandom(3 * MIB)
    push(n, c, "a", data, MIB)
    image = c.push_image("a", "v1")
    for server in (origin, middle, n):
        x = server.client()
        assert x.blob("a", digest(data)).content == data
        assert header(ok(x.manifest("a", "v1"), 200),
                      "Docker-Content-Digest") == image
    ok(c.delete("/v2/a/manifests/v1"), 202)
    for server in (origin, middle, n):
        assert server.client().manifest("a", "v1").status_code == 404
