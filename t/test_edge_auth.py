"""Whose right an edge reads with, and who may read what it has."""

import base64
import json
import os
import threading

import pytest
import requests

from edge import by_workers, cache, edge, fresh
from gate import wait_for
from oci import digest, error, header, ok

SHORT = "oci_valid 1s; oci_valid_missing 1s;"
LONG = "oci_valid 1h; oci_valid_missing 1h;"
CLIENT = "oci_pass_auth client;"
USERS = {"alice": "secret", "bob": "other", "edge": "of the edge"}
REFUSED = (401, 403, 404)


def basic(user, password=None):
    word = "%s:%s" % (user, password or USERS[user])
    return "Basic " + base64.b64encode(word.encode()).decode()


def credentials(up, user="edge", password=None):
    """A Docker config.json with the edge's own account."""
    word = "%s:%s" % (user, password or USERS[user])
    return {"config.json": json.dumps({"auths": {
        "127.0.0.1:%d" % up.port: {
            "auth": base64.b64encode(word.encode()).decode()}}})}


OWN = "oci_pass_credentials @PREFIX@/files/config.json;"


class Private:
    """Repositories a and b; alice may read a, bob b, the edge both."""

    def __init__(self, upstreams, auth="bearer"):
        self.up = upstreams(auth=auth, users=USERS)
        for user, pattern in (("alice", "a"), ("bob", "b"), ("edge", ".*")):
            self.up.grant(user, pattern)
        self.layer = os.urandom(50000)
        self.blob = digest(self.layer)
        self.digest = self.up.image("a", "v1", layers=[self.layer])
        self.up.image("b", "v1")
        self.n = None

    @property
    def paths(self):
        """Everything of repository a."""
        return ("/v2/a/manifests/v1", "/v2/a/manifests/" + self.digest,
                "/v2/a/blobs/" + self.blob, "/v2/a/tags/list",
                "/v2/a/referrers/" + self.digest)

    def login(self, user, repo="a"):
        """What a client sends: its password, or a token that it got."""
        if self.up.auth == "basic":
            return {"Authorization": basic(user)}
        r = requests.get(self.up.realm, timeout=10, headers={
            "Authorization": basic(user)}, params={
                "service": self.up.service,
                "scope": "repository:%s:pull" % repo})
        return {"Authorization": "Bearer " + r.json()["token"]}

    def get(self, path, method="GET", headers=None):
        return fresh(self.n, method, path, headers=headers or {})

    def nothing(self, headers):
        """Not one of them is given to whoever sends these headers."""
        for path in self.paths:
            for method in ("GET", "HEAD"):
                r = self.get(path, method, headers)
                assert r.status_code in REFUSED, (method, path, r.headers)
                assert self.layer[:20] not in r.content
        r = self.get(self.paths[2], "GET", dict(headers,
                                                Range="bytes=0-9"))
        assert r.status_code in REFUSED
        r = self.get(self.paths[0], "GET", dict(
            headers, **{"If-None-Match": '"%s"' % self.digest}))
        assert r.status_code in REFUSED


# ---- the edge's own account

@pytest.mark.smoke
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_service(factory, upstreams, auth):
    w = Private(upstreams, auth)
    w.n = edge(factory, w.up, LONG + OWN, files=credentials(w.up))
    for path in w.paths * 2:
        ok(w.get(path), 200)
    assert w.get(w.paths[2]).content == w.layer
    assert {r.user for r in w.up.seen(status=200) if r.role == "registry"
            } == {"edge"}
    error(w.get("/v2/c/manifests/v1"), REFUSED, "MANIFEST_UNKNOWN",
          "NAME_UNKNOWN", "DENIED", "UNAUTHORIZED")
    # what a client sends along goes to nobody
    for path in w.paths:
        ok(w.get(path, headers={"Authorization": basic("bob")}), 200)
    r = w.get("/v2/b/manifests/v1", headers={
        "Authorization": basic("alice")})
    ok(r, 200)
    assert not [r for r in w.up.requests if r.headers.get("authorization")
                in (basic("alice"), basic("bob"))]


def test_no_account(factory, upstreams):
    """The upstream's refusal is not passed on as if a login could help."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG)
    for path in w.paths:
        r = w.get(path)
        assert r.status_code in REFUSED + (502,)
        assert r.json()["errors"]
        assert header(r, "WWW-Authenticate") is None


def test_wrong_account(factory, upstreams):
    w = Private(upstreams)
    w.n = edge(factory, w.up, SHORT + OWN,
               files=credentials(w.up, "edge", "wrong"))
    assert w.get(w.paths[0]).status_code in REFUSED + (502,)
    assert w.up.issued == 0


@pytest.mark.smoke
def test_tokens_are_kept(factory, upstreams):
    """One token for a repository, however much is read with it."""
    w = Private(upstreams)
    blobs = [w.up.blob("a", os.urandom(1000)) for _ in range(10)]
    w.n = edge(factory, w.up, LONG + OWN, files=credentials(w.up), workers=1)
    for path in w.paths:
        ok(w.get(path), 200)
    for b in blobs:
        ok(w.get("/v2/a/blobs/" + b), 200)
    assert w.up.issued == 1
    ok(w.get("/v2/b/manifests/v1"), 200)
    assert w.up.issued == 2


def test_one_token_for_many_waiters(factory, upstreams):
    w = Private(upstreams)
    blobs = [w.up.blob("a", os.urandom(1000)) for _ in range(20)]
    w.n = edge(factory, w.up, LONG + OWN, files=credentials(w.up), workers=1)
    rule = w.up.fault("", role="token", hold=True)
    out = []
    threads = [threading.Thread(target=lambda b=b: out.append(
        w.get("/v2/a/blobs/" + b))) for b in blobs]
    for t in threads:
        t.start()
    wait_for("all to wait", lambda: w.up.count(
        "GET", "/blobs/", status=401) >= 1 and rule.hits)
    rule.release()
    for t in threads:
        t.join()
    assert [r.status_code for r in out] == [200] * 20
    assert w.up.issued <= 2


def test_tokens_that_end(factory, upstreams):
    """A token that the upstream takes no longer is fetched anew, unseen."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, SHORT + OWN, files=credentials(w.up))
    ok(w.get(w.paths[0]), 200)
    w.up.tokens.clear()
    for path in w.paths:
        ok(w.get(path), 200)
    assert w.up.issued >= 2


# ---- each client's own right

@pytest.mark.smoke
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_two_users(factory, upstreams, auth):
    """One private repository: the one without the right never gets a byte
    of it, however warm it is."""
    w = Private(upstreams, auth)
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice, bob = w.login("alice"), w.login("bob")
    w.nothing({})
    w.nothing(bob)
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    assert w.get(w.paths[2], headers=alice).content == w.layer
    for worker in by_workers(w.n, "GET", w.paths[0], headers=alice).values():
        ok(worker, 200)
    for _ in range(2):
        w.nothing({})
        w.nothing(bob)
        w.nothing({"Authorization": basic("alice", "wrong")})
        w.nothing({"Authorization": "Bearer " + "x" * 40})
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    # the blob crossed once, and nobody's right but alice's fetched it
    assert w.up.sent(w.blob) == len(w.layer)
    assert {r.user for r in w.up.seen(status=200)
            if r.path.startswith("/v2/a/")} == {"alice"}


def test_challenge(factory, upstreams):
    """A client learns where to log in: the upstream's own token service."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT)
    for path in ("/v2/", "/v2/a/manifests/v1", "/v2/a/blobs/" + w.blob):
        for method in ("GET", "HEAD"):
            r = w.get(path, method)
            assert r.status_code == 401
            said = header(r, "WWW-Authenticate")
            assert said.startswith("Bearer ") and said.count("realm=") == 1
            assert 'realm="%s"' % w.up.realm in said
            assert 'service="%s"' % w.up.service in said
            if path != "/v2/":
                assert 'scope="repository:a:pull"' in said
    r = w.get("/v2/", headers=w.login("alice"))
    ok(r, 200)


def test_rights_are_remembered(factory, upstreams):
    """Within oci_valid the upstream is not asked for every request."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT, workers=1)
    alice = w.login("alice")
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    w.up.clear()
    for path in w.paths * 5:
        ok(w.get(path, headers=alice), 200)
    # one question for each manifest, at most
    assert len(w.up.seen(role="registry")) <= 2


def test_another_token_of_the_same_user(factory, upstreams):
    """A right is that of what was sent, not of who may have sent it."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT)
    ok(w.get(w.paths[0], headers=w.login("alice")), 200)
    w.nothing(w.login("alice", repo="c"))
    ok(w.get(w.paths[2], headers=w.login("alice")), 200)


@pytest.mark.smoke
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_revoked(factory, upstreams, auth):
    """A right that is taken away is gone within oci_valid."""
    w = Private(upstreams, auth)
    w.n = edge(factory, w.up, SHORT + CLIENT)
    alice = w.login("alice")
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    w.up.revoke("alice")
    for path in w.paths:
        wait_for(path, lambda: w.get(path, headers=alice).status_code
                 in REFUSED, 10, 0.1)
    w.nothing(alice)
    w.up.grant("alice", "a")
    alice = w.login("alice")
    for path in w.paths:
        wait_for(path, lambda: w.get(path, headers=alice).status_code
                 == 200, 10, 0.1)


@pytest.mark.parametrize("status", [403, 404, 412])
def test_refusals_are_passed_on(factory, upstreams, status):
    """Harbor's policies act on requests for manifests, by digest too."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, SHORT + CLIENT)
    alice = w.login("alice")
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    w.up.fault("/v2/a/manifests/", status=status)
    for path in w.paths[:2]:
        wait_for(path, lambda: w.get(path, headers=alice).status_code
                 == status, 10, 0.1)
        assert w.get(path, "HEAD", alice).status_code == status
    w.up.mend()
    for path in w.paths[:2]:
        wait_for(path, lambda: w.get(path, headers=alice).status_code
                 == 200, 10, 0.1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_cold_blob_and_a_right_that_ended(factory, upstreams, auth, method):
    """What is remembered of a client is not what the upstream says now: it
    is told to log in, and how."""
    w = Private(upstreams, auth)
    blob = "/v2/a/blobs/" + w.up.blob("a", os.urandom(300000))
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice = w.login("alice")
    ok(w.get(w.paths[0], headers=alice), 200)
    if auth == "bearer":
        w.up.tokens.clear()
    else:
        w.up.users["alice"] = "changed"
    for _ in range(2):
        r = w.get(blob, method, alice)
        assert r.status_code == 401
        assert header(r, "WWW-Authenticate").lower().startswith(auth)
        if method == "GET":
            error(r, 401, "UNAUTHORIZED")
    # and that is known from now on
    assert w.get(w.paths[2], headers=alice).status_code == 401


@pytest.mark.parametrize("status,expect,code", [
    (401, 403, "DENIED"), (403, 403, "DENIED"), (404, 404, "BLOB_UNKNOWN"),
    (429, 429, "TOOMANYREQUESTS")])
def test_cold_blob_and_a_client_that_is_refused(factory, upstreams, status,
                                                expect, code):
    """Yes to the question, and no to what was asked for."""
    w = Private(upstreams)
    b = w.up.blob("a", os.urandom(300000))
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice = w.login("alice")
    ok(w.get(w.paths[0], headers=alice), 200)
    w.up.fault("/v2/a/blobs/", method="GET", status=status, headers=[
        ("Retry-After", "77")])
    r = w.get("/v2/a/blobs/" + b, headers=alice)
    error(r, expect, code)
    assert header(r, "WWW-Authenticate") is None


@pytest.mark.parametrize("status,expect,code", [
    (401, 404, "BLOB_UNKNOWN"), (403, 403, "DENIED"),
    (404, 404, "BLOB_UNKNOWN"), (429, 429, "TOOMANYREQUESTS")])
def test_cold_blob_and_an_account_that_is_refused(factory, upstreams, status,
                                                  expect, code):
    """As of a manifest: no login of the client's could help."""
    up = upstreams()
    b = up.blob("a", os.urandom(300000))
    up.image("a", "v1")
    n = edge(factory, up, LONG)
    up.fault("/v2/a/", status=status, headers=[("Retry-After", "77")])
    r = fresh(n, "GET", "/v2/a/blobs/" + b)
    error(r, expect, code)
    assert header(r, "WWW-Authenticate") is None
    assert fresh(n, "HEAD", "/v2/a/blobs/" + b).status_code == expect
    assert fresh(n, "GET", "/v2/a/manifests/v1").status_code == expect


def test_a_refusal_ends_a_right(factory, upstreams):
    """What gave it for all of a repository takes it away, at once."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice = w.login("alice")
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    w.up.revoke("alice")
    r = w.get("/v2/a/manifests/v2", headers=alice)
    assert r.status_code in REFUSED
    for worker in by_workers(w.n, "GET", w.paths[2], headers=alice).values():
        assert worker.status_code in REFUSED


def test_a_refusal_is_one_clients(factory, upstreams):
    """Some registries say 404 to who may not know: nothing goes for that."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice, bob = w.login("alice"), w.login("bob")
    ok(w.get(w.paths[0], headers=alice), 200)
    w.up.fault("/v2/a/manifests/", status=404)
    for path in w.paths[:2]:
        assert w.get(path, headers=bob).status_code == 404
    w.up.stop()
    for worker in by_workers(w.n, "GET", w.paths[0], headers=alice).values():
        ok(worker, 200)


def test_an_answer_is_shared_with_a_right_only(factory, upstreams):
    """Who asks for the same meanwhile is asked for on his own."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT, workers=1)
    rule = w.up.fault("/v2/a/manifests/v1", hold=True)
    out = {}

    def ask(user, headers):
        out[user] = w.get(w.paths[0], headers=headers).status_code
    threads = [threading.Thread(target=ask, args=(u, w.login(u)))
               for u in ("alice", "bob")]
    try:
        for i, t in enumerate(threads):
            t.start()
            wait_for("its question", lambda i=i: rule.hits > i)
    finally:
        rule.release()
        for t in threads:
            t.join()
    assert out["alice"] == 200
    assert out["bob"] in REFUSED


def test_upstream_down_and_rights(factory, upstreams):
    """Stale content is not for those of whom nothing is known."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, SHORT + CLIENT)
    alice, bob = w.login("alice"), w.login("bob")
    for path in w.paths:
        ok(w.get(path, headers=alice), 200)
    w.up.stop()
    for headers in ({}, bob, {"Authorization": basic("bob")}):
        for path in w.paths:
            r = w.get(path, headers=headers)
            assert r.status_code in REFUSED + (502, 503, 504), path
            assert w.layer[:20] not in r.content


# ---- one repository's content through another

@pytest.mark.smoke
def test_digest_of_another_repository(factory, upstreams):
    """A digest is no right: what a filled is not read through b."""
    up = upstreams()
    layer, other = os.urandom(50000), os.urandom(1000)
    blob = digest(layer)
    image = up.image("a", "v1", layers=[layer])
    up.image("b", "v1", layers=[other])
    n = edge(factory, up, SHORT)
    assert fresh(n, "GET", "/v2/a/blobs/" + blob).content == layer
    ok(fresh(n, "GET", "/v2/a/manifests/" + image), 200)
    ok(fresh(n, "GET", "/v2/b/manifests/v1"), 200)
    for path, code in (("/v2/b/blobs/" + blob, "BLOB_UNKNOWN"),
                       ("/v2/b/manifests/" + image, "MANIFEST_UNKNOWN"),
                       ("/v2/c/blobs/" + blob, "BLOB_UNKNOWN")):
        for r in by_workers(n, "GET", path).values():
            error(r, 404, code, "NAME_UNKNOWN")
        assert fresh(n, "HEAD", path).status_code == 404
    assert not n.tree("repositories/c")
    # the upstream says yes for b: no byte crosses again
    up.blob("b", layer)
    wait_for("the blob", lambda: fresh(n, "GET", "/v2/b/blobs/" + blob)
             .status_code == 200, 10, 0.1)
    assert fresh(n, "GET", "/v2/b/blobs/" + blob).content == layer
    assert up.sent(blob) == len(layer), up.seen("GET", blob)


def test_digest_that_a_manifest_names(factory, upstreams):
    up = upstreams()
    layer = os.urandom(50000)
    blob = digest(layer)
    up.image("a", "v1", layers=[layer])
    up.image("b", "v1", layers=[layer])
    n = edge(factory, up, LONG)
    assert fresh(n, "GET", "/v2/a/blobs/" + blob).content == layer
    ok(fresh(n, "GET", "/v2/b/manifests/v1"), 200)
    r = fresh(n, "GET", "/v2/b/blobs/" + blob)
    assert r.content == layer
    assert up.sent(blob) == len(layer)


def test_two_upstreams_one_store(factory, upstreams):
    """What one upstream gave is not served for another's repository."""
    one, two = upstreams(), upstreams()
    layer = os.urandom(50000)
    image = one.image("a", "v1", layers=[layer])
    other = two.image("a", "v1")
    n = edge(factory, "", v2="""location /v2/ { oci main;
        oci_namespace one; oci_pass %s; %s }""" % (one.url, LONG), http="""
        server { listen 127.0.0.1:@PORT:two@; location /v2/ { oci main;
            oci_namespace two; oci_pass %s; %s } }""" % (two.url, LONG))
    c = n.client()
    d = n.client("http://127.0.0.1:%d" % n.port("two"))
    assert c.blob("a", digest(layer)).content == layer
    ok(c.manifest("a", image), 200)
    assert d.blob("a", digest(layer)).status_code == 404
    assert d.manifest("a", image).status_code == 404
    assert header(ok(d.manifest("a", "v1"), 200),
                  "Docker-Content-Digest") == other
    assert cache(ok(c.manifest("a", "v1"), 200)) == "MISS"


def test_fill_is_joined_with_a_right_only(factory, upstreams):
    """A fill under way is no door either."""
    w = Private(upstreams)
    w.n = edge(factory, w.up, LONG + CLIENT)
    alice, bob = w.login("alice"), w.login("bob")
    w.up.fault("/v2/a/blobs/", method="GET", rate=1 << 16)
    out = []
    t = threading.Thread(target=lambda: out.append(
        w.get(w.paths[2], headers=alice)))
    t.start()
    wait_for("the fill", lambda: w.up.sent(w.blob))
    for headers in ({}, bob):
        r = w.get(w.paths[2], headers=headers)
        assert r.status_code in REFUSED
        assert w.layer[:20] not in r.content
        r = w.get("/v2/b/blobs/" + w.blob, headers=bob)
        assert r.status_code in REFUSED
    w.up.mend()
    t.join()
    assert out[0].content == w.layer
