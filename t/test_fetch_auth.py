"""Who an edge says it is to an upstream, and where it says so."""

import base64
import json
import socket
import threading
import time

import pytest

import probe as p
from gate import wait_for
from probe import probe, prober
from upstream import Names, Proxy
from test_fetch import blob, group, trust, where, whole

USERS = {"edge": "of the edge"}
OWN = "oci_pass_credentials @PREFIX@/files/config.json;"
WORD = "Basic " + base64.b64encode(b"edge:of the edge").decode()


def config(host, **entry):
    entry = entry or {"auth": WORD[6:]}
    return {"config.json": json.dumps({"auths": {host: entry}})}


def private(upstreams, auth="bearer", **knobs):
    up = upstreams(auth=auth, users=USERS, **knobs)
    up.grant("edge")
    return up


def own(factory, up, conf="", to=None, **knobs):
    knobs.setdefault("files", config(where(up)))
    return prober(factory, to or up, OWN + conf, **knobs)


# ---- challenges

def test_basic(factory, upstreams):
    up = private(upstreams, "basic")
    d, data = blob(up)
    n = own(factory, up)
    for _ in range(3):
        whole(probe(n, "blobs/" + d), data)
    # the challenge is remembered
    assert up.count(status=401) == 1 and up.count() == 4
    assert up.accepted == 1
    n = prober(factory, up)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.status, got.failed) == (p.OK, 401, 0)
    assert got.received > 0 and got.challenge.startswith("Basic ")


def test_a_wrong_password(factory, upstreams):
    up = private(upstreams, "basic")
    d, _ = blob(up)
    n = own(factory, up, files=config(where(up), username="edge",
                                      password="not this"))
    assert probe(n, "blobs/" + d).status == 401
    assert up.count() == 2


def test_bearer(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    other = up.blob("lib/other", data)
    n = own(factory, up)
    for _ in range(3):
        whole(probe(n, "blobs/" + d), data)
    assert (up.issued, up.count(status=401)) == (1, 1)
    # of another repository: another token, without a challenge
    whole(probe(n, "blobs/" + other, repository="lib/other"), data)
    assert (up.issued, up.count(status=401)) == (2, 1)
    asked = up.seen(role="token")
    assert [r.query["scope"] for r in asked] == [
        ["repository:app:pull"], ["repository:lib/other:pull"]]
    assert all(r.query["service"] == ["registry.test"] for r in asked)
    assert all(r.headers["authorization"] == WORD for r in asked)


def test_anonymous_tokens(factory, upstreams):
    up = private(upstreams)
    up.grant("", "app")
    d, data = blob(up)
    secret = up.blob("secret", data)
    n = prober(factory, up)
    whole(probe(n, "blobs/" + d), data)
    assert "authorization" not in up.seen(role="token")[0].headers
    got = probe(n, "blobs/" + secret, repository="secret")
    assert (got.rc, got.status, got.headers) == (p.OK, 401, 1)


@pytest.mark.parametrize("fields", (("token",), ("access_token",)))
def test_names_of_a_token(factory, upstreams, fields):
    up = private(upstreams)
    up.token_fields = fields
    up.token_told = False
    d, data = blob(up)
    n = own(factory, up)
    for _ in range(2):
        whole(probe(n, "blobs/" + d), data)
    assert up.issued == 1


def test_a_token_expires(factory, upstreams):
    up = private(upstreams)
    up.token_life = 2
    d, data = blob(up)
    n = own(factory, up)
    whole(probe(n, "blobs/" + d), data)
    wait_for("its end", lambda: all(
        v[2] < time.time() for v in up.tokens.values()))
    whole(probe(n, "blobs/" + d), data)
    assert (up.issued, up.count(status=401)) == (2, 1)


def test_a_token_withdrawn(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    n = own(factory, up)
    whole(probe(n, "blobs/" + d), data)
    up.tokens.clear()
    whole(probe(n, "blobs/" + d), data)
    assert (up.issued, up.count(status=401)) == (2, 2)
    # never twice for one request
    up.fault("/blobs/", unauthorized=True)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.status, got.headers) == (p.OK, 401, 1)
    assert (up.issued, up.count(status=401)) == (3, 4)


def test_a_right_withdrawn(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    n = own(factory, up)
    whole(probe(n, "blobs/" + d), data)
    up.revoke("edge")
    assert probe(n, "blobs/" + d).status == 401
    up.denied = 403
    assert probe(n, "blobs/" + d).status == 403


def test_one_token_for_many(factory, upstreams):
    up = private(upstreams)
    blobs = [blob(up, 1000) for _ in range(12)]
    n = own(factory, up)
    gate = up.fault("/token", role="token", hold=True)
    first = up.fault("/blobs/", hold=True)
    out = {}
    threads = [threading.Thread(
        target=lambda d=d: out.update({d: probe(n, "blobs/" + d)}))
        for d, _ in blobs]
    for t in threads:
        t.start()
    wait_for("the requests", lambda: up.count("GET", "/blobs/") == 12)
    first.release()
    wait_for("the challenges", lambda: up.count(status=401) == 12)
    wait_for("the token service", lambda: gate.hits)
    gate.release()
    for t in threads:
        t.join()
    for d, data in blobs:
        whole(out[d], data)
    assert up.issued == 1 and up.count(role="token") == 1


def test_one_leaves_who_waits_for_a_token(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    n = own(factory, up)
    gate = up.fault("/token", role="token", hold=True)
    s = socket.create_connection(n.addr)
    s.sendall(b"GET /probe?repository=app&path=blobs/%s HTTP/1.0\r\n\r\n"
              % d.encode())
    wait_for("its challenge", lambda: up.count(status=401) == 1)
    out = []
    t = threading.Thread(target=lambda: out.append(probe(n, "blobs/" + d)))
    t.start()
    wait_for("the token service", lambda: gate.hits == 1)
    s.close()
    gate.release()
    t.join()
    whole(out[0], data)


@pytest.mark.parametrize("status, rc, left", (
    (401, p.OK, 0), (403, p.OK, 0), (500, p.AUTH, 1), (429, p.AUTH, 1)))
def test_a_service_that_refuses(factory, upstreams, status, rc, left):
    up = private(upstreams)
    d, _ = blob(up)
    n = own(factory, up)
    up.fault(role="token", status=status)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.failed) == (rc, left)
    assert got.status == (401 if rc == p.OK else None)
    # not asked again at once: some lock an account for that
    before = up.count(role="token")
    for _ in range(5):
        assert probe(n, "blobs/" + d).rc == rc
    if rc == p.OK:
        assert up.count(role="token") == before == 1


@pytest.mark.parametrize("body", (
    b"{}", b"[]", b"<html>", b'{"token":7}', b'{"token":"a b"}',
    b'{"token":"a\\r\\nX: y"}', b'{"token":""}', b'{"token":"' + b"x" * 70000
    + b'"}'))
def test_no_token_in_an_answer(factory, upstreams, body):
    up = private(upstreams)
    d, _ = blob(up)
    n = own(factory, up)
    up.fault("/token", role="registry", status=200, body=body)
    up.realm = up.url + "/token"
    assert probe(n, "blobs/" + d).rc == p.AUTH
    assert up.count("GET", "/token") == 1
    assert all("X" not in r.headers for r in up.requests)


def test_what_a_challenge_asks_besides(factory, upstreams):
    """As of a registry whose scopes are its own."""
    up = private(upstreams)
    d, data = blob(up)
    n = own(factory, up)
    up.fault("/blobs/", times=1, unauthorized=True,
             challenge='Bearer realm="%s",service="s",scope="aws"' % up.realm)
    for _ in range(2):
        whole(probe(n, "blobs/" + d), data)
    assert up.seen(role="token")[0].query["scope"] == [
        "repository:app:pull", "aws"]
    assert up.issued == 1


def test_several_challenges(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    n = own(factory, up)
    up.fault("/blobs/", times=1, unauthorized=True,
             challenge='Negotiate, Basic realm="x, Bearer", Digest realm="y",'
             ' bearer service="registry.test",realm="%s"' % up.realm)
    whole(probe(n, "blobs/" + d), data)
    assert up.issued == 1


@pytest.mark.parametrize("challenge", (
    "Bearer", 'Bearer realm=""', 'Bearer realm="ftp://x/"', 'Bearer realm="',
    "Negotiate", 'Bearer realm="/token"',
    'Bearer realm="http://user:word@127.0.0.1/token"'))
def test_no_use_of_a_challenge(factory, upstreams, challenge):
    up = private(upstreams)
    d, _ = blob(up)
    n = own(factory, up)
    up.fault("/blobs/", unauthorized=True, challenge=challenge)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.status) == (p.OK, 401)
    assert up.count() == 1


# ---- kinds of credentials

def test_an_identity_token(factory, upstreams):
    up = private(upstreams)
    d, _ = blob(up)
    n = own(factory, up, files=config(where(up), identitytoken="a+b/c="))
    probe(n, "blobs/" + d)
    post = up.seen("POST", role="token")[0]
    assert "authorization" not in post.headers
    assert up.count("GET", role="token") == 0


def test_a_registry_token(factory, upstreams):
    up = private(upstreams)
    d, data = blob(up)
    up.tokens["ready-made"] = ("edge", {("app", "pull")}, time.time() + 60)
    n = own(factory, up, files=config(where(up), registrytoken="ready-made"))
    whole(probe(n, "blobs/" + d), data)
    assert up.count() == 1


def test_credentials_by_path(factory, upstreams):
    up = private(upstreams)
    up.users["org"] = "word"
    for repo in "org/app", "orgapp":
        d = up.blob(repo, b"x")
    auths = {where(up): {"auth": WORD[6:]},
             where(up) + "/org": {"auth": base64.b64encode(
                 b"org:word").decode()}}
    n = own(factory, up, files={"config.json": json.dumps({"auths": auths})})
    for repo in "org/app", "orgapp":
        probe(n, "blobs/" + d, repository=repo)
    assert [r.user for r in up.seen(role="token")] == ["org", "edge"]


@pytest.mark.parametrize("text, word", (
    ("", "JSON"), ("[]", "auths"), ('{"auths":7}', "auths"),
    ('{"auths":{"x":{"auth":"?"}}}', "base64"),
    ('{"auths":{"x":{"auth":"bm9jb2xvbg=="}}}', "base64"),
    ('{"auths":{"x":7}}', "object"), ('{"a":1,"a":2}', "duplicate")))
def test_files_that_are_none(factory, text, word):
    n = prober(factory, "http://127.0.0.1:1", OWN, start=False,
               files={"config.json": text})
    rc, said = n.config_test()
    assert rc == 1 and word in said
    # a file that is not there
    n = prober(factory, "http://127.0.0.1:1", OWN, start=False)
    assert n.config_test()[0] == 1


# ---- where credentials go

def test_never_in_the_clear(factory, upstreams):
    """Another machine is played by a proxy: it is not on the loopback."""
    for auth in "basic", "bearer":
        up = private(upstreams, auth)
        d, data = blob(up)
        proxy = Proxy(table={"registry.test:81": ("127.0.0.1", up.port)})
        up.realm = "http://registry.test:81/token"
        up.fault(close=True)
        try:
            for allow, status in ("", 401), (
                    "oci_pass_realm_allow http://registry.test;", 200):
                n = own(factory, up, allow + "oci_pass_proxy %s;" % proxy.url,
                        to="http://registry.test:81",
                        files=config("registry.test:81"))
                if auth == "bearer":
                    # the token service is at the same place
                    up.fault("/token", role="registry", status=200, body=(
                        b'{"token":"t"}'))
                    up.tokens["t"] = ("edge", {("app", "pull")},
                                      time.time() + 60)
                got = probe(n, "blobs/" + d)
                sent = [r for r in up.requests
                        if WORD == r.headers.get("authorization")]
                assert bool(sent) == (status == 200), (auth, allow)
                if auth == "basic":
                    assert got.status == status
                    assert ("over plain HTTP" in n.log()) == (status == 401)
                up.clear()
        finally:
            proxy.stop()


def realms(factory, up, realm, conf=""):
    """What came to the token service that answers for all names."""
    d, _ = blob(up)
    proxy_conf = trust() + conf
    n = own(factory, up, proxy_conf, to="https://registry.corp.test",
            files=config("registry.corp.test"))
    up.realm = realm
    return n, probe(n, "blobs/" + d)


@pytest.mark.parametrize("realm, conf, got", (
    ("https://registry.corp.test/token", "", "login"),
    ("https://auth.corp.test/token", "", "login"),
    ("https://corp.test/token", "", "login"),
    ("https://evil.test/token", "", "anonymous"),
    ("https://xcorp.test/token", "", "anonymous"),
    ("https://evil.test/token", "oci_pass_realm_allow evil.test;", "login"),
    ("https://evil.test/token", "oci_pass_realm_allow other.test;",
     "anonymous"),
    ("https://evil.test/token", "oci_pass_realm_allow evil.test:8443;",
     "anonymous"),
    ("https://evil.test/token", "oci_pass_realm_allow https://evil.test:443;",
     "login"),
    ("http://registry.corp.test/token", "", "nothing"),
    ("http://registry.corp.test/token",
     "oci_pass_realm_allow registry.corp.test;", "nothing"),
    ("https://169.254.169.254/token", "", "nothing"),
))
def test_the_rule_of_realms(factory, upstreams, realm, conf, got):
    names = ("registry.corp.test", "auth.corp.test", "corp.test", "evil.test",
             "xcorp.test")
    up = private(upstreams, tls=names)
    up.fault("/token", role="registry", status=200, body=b'{"token":"t"}')
    proxy = Proxy(table={n + ":443": ("127.0.0.1", up.port) for n in names})
    try:
        n, _ = realms(factory, up, realm,
                      conf + "oci_pass_proxy %s;" % proxy.url)
        asked = up.seen("GET", "/token")
        what = "nothing" if not asked else (
            "login" if asked[0].headers.get("authorization") == WORD
            else "anonymous")
        assert what == got
        assert ("not sent to the token service" in n.log()) == (
            got == "anonymous" or "169.254" in realm)
        assert "of the edge" not in n.log() and WORD[6:] not in n.log()
    finally:
        proxy.stop()


@pytest.mark.parametrize("conf, asked", (
    ("", 0), ("oci_pass_realm_allow registry.corp.test;", 0),
    ("oci_pass_realm_allow http://registry.corp.test:81;", 1)))
def test_a_realm_without_tls(factory, upstreams, conf, asked):
    """Who reads a token on its way can read what it is for."""
    name = "registry.corp.test"
    up, plain = private(upstreams, tls=(name,)), upstreams()
    d, _ = blob(up)
    up.realm = "http://%s:81/token" % name
    proxy = Proxy(table={name + ":443": ("127.0.0.1", up.port),
                         name + ":81": ("127.0.0.1", plain.port)})
    try:
        n = prober(factory, "https://" + name, "%s %s oci_pass_proxy %s;"
                   % (trust(), conf, proxy.url))
        probe(n, "blobs/" + d)
        assert len(plain.requests) == asked
        assert ("names a token service without" in n.log()) == (not asked)
    finally:
        proxy.stop()


# ---- the client's own right

def test_a_clients_own(factory, upstreams):
    up = private(upstreams)
    up.users["alice"] = "word"
    up.grant("alice", "app")
    d, data = blob(up)
    up.tokens["alices"] = ("alice", {("app", "pull")}, time.time() + 60)
    n = own(factory, up, "oci_pass_auth client;")
    got = probe(n, "blobs/" + d, headers={"Authorization": "Bearer alices"})
    whole(got, data)
    for headers in {}, {"Authorization": "Bearer another"}:
        got = probe(n, "blobs/" + d, headers=headers)
        assert (got.rc, got.status) == (p.OK, 401)
        assert got.challenge.startswith("Bearer realm=")
        assert got.received > 0
    assert up.count(role="token") == 0


# ---- pushes

def test_a_token_before_a_body(factory, upstreams):
    """A body that can't be sent twice does not go into a 401."""
    up = upstreams(auth="bearer", users=USERS)
    up.grant("edge", actions="pull,push")
    up.repo("app")
    n = own(factory, up)
    got = probe(n, "blobs/uploads/", method="POST", actions="pull,push")
    assert got.status == 202
    up.tokens.clear()
    got = probe(n, got.location, method="PATCH", send=100000,
                actions="pull,push", type="application/octet-stream")
    assert (got.rc, got.status) == (p.OK, 202), got
    assert up.seen(role="token")[-1].query["scope"] == [
        "repository:app:pull,push"]


# ---- groups

def test_a_group_and_its_name(factory, upstreams):
    up = private(upstreams, tls=("registry.test",))
    d, data = blob(up)
    up.realm = "https://registry.test/token"
    up.fault("/token", role="registry", status=200, body=b'{"token":"t"}')
    up.tokens["t"] = ("edge", {("app", "pull")}, time.time() + 60)
    n = own(factory, up, trust() + "oci_pass_ssl_name registry.test;",
            to="https://group", http=group("group", where(up)),
            files=config("registry.test"))
    whole(probe(n, "blobs/" + d), data)
    assert up.seen("GET", "/token")[0].headers["authorization"] == WORD


def test_names_are_not_for_secrets(factory, upstreams):
    """A realm that a name of the upstream's own choice leads inside."""
    up = private(upstreams, tls=("registry.corp.test", "inside.test"))
    d, _ = blob(up)
    names = Names(registry_corp_test=["127.0.0.1"],
                  inside_test=["100.100.100.200"])
    try:
        up.realm = "https://inside.test:%d/token" % up.port
        n = own(factory, up, trust()
                + "resolver 127.0.0.1:%d ipv6=off;" % names.port,
                to="https://$arg_host:%d" % up.port)
        got = probe(n, "blobs/" + d, host="registry.corp.test")
        assert got.rc == p.AUTH
        assert "must not go" in n.log()
        assert up.count("GET", "/token") == 0
    finally:
        names.stop()
