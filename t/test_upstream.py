"""The upstream that the tests of the edge lean on does what it is told."""

import base64
import hashlib
import os
import socket
import time

import pytest
import requests

from gate import wait_for
from oci import Client, digest
from raw import Raw
from upstream import INDEX, Authority, Names, Proxy, Signer, Upstream

MIB = 1 << 20


@pytest.fixture
def up():
    u = Upstream()
    yield u
    u.stop()


@pytest.fixture
def reg(up):
    c = Client(up.url)
    yield c
    c.close()


def blob(d, repo="a"):
    return "/v2/%s/blobs/%s" % (repo, d)


def test_content_and_counts(up, reg):
    layer = os.urandom(300000)
    m = up.image("a", "v1", layers=[layer])
    d = digest(layer)
    r = reg.manifest("a", "v1")
    assert r.headers["Docker-Content-Digest"] == m == digest(r.content)
    r = reg.get(blob(d))
    assert r.content == layer and r.headers["Accept-Ranges"] == "bytes"
    r = reg.get(blob(d), headers={"Range": "bytes=10-19"})
    assert r.status_code == 206 and r.content == layer[10:20]
    assert r.headers["Content-Range"] == "bytes 10-19/300000"
    r = reg.get(blob(d), headers={"Range": "bytes=-5"})
    assert r.content == layer[-5:]
    assert reg.head(blob(d)).headers["Content-Length"] == "300000"
    assert up.sent(d) == 300015
    assert up.ranges(d) == [None, "bytes=10-19", "bytes=-5"]
    assert up.count("HEAD") == 1 and up.count("GET", "/blobs/") == 3
    assert up.registry.accepted == 1
    assert reg.get(blob(d, "b")).status_code == 404
    r = reg.manifest("a", m, **{"If-None-Match": '"%s"' % m})
    assert r.status_code == 304 and r.content == b""


def test_lists(up, reg):
    up.page = 2
    m = up.image("a", "v1", "v2", "v3")
    for name in ("x", "y", "x"):
        up.manifest("a", {"schemaVersion": 2, "subject": up.descriptor(m),
                          "artifactType": "test/" + name, "annotations": {
                              "k": os.urandom(4).hex()}})
    r = reg.get("/v2/a/tags/list")
    assert r.json()["tags"] == ["v1", "v2"]
    r = reg.get(r.links["next"]["url"])
    assert r.json()["tags"] == ["v3"] and "Link" not in r.headers
    r = reg.get("/v2/a/referrers/" + m)
    assert r.headers["Content-Type"] == INDEX
    assert len(r.json()["manifests"]) == 2
    r = reg.get(r.links["next"]["url"])
    assert len(r.json()["manifests"]) == 1 and "Link" not in r.headers
    r = reg.get("/v2/a/referrers/%s?artifactType=test/x" % m)
    assert [d["artifactType"] for d in r.json()["manifests"]] \
        == ["test/x"] * 2
    up.referrers_api = False
    assert reg.get("/v2/a/referrers/" + m).status_code == 404


def got(addr, path):
    """(bytes of the body, whether it was cut) of a GET by hand"""
    with Raw(addr) as c:
        c.head("GET", path)
        n = int(dict(c.response_head()[1])["Content-Length"])
        data = c.buf
        try:
            while len(data) < n:
                more = c.sock.recv(65536)
                if not more:
                    return data, "end"
                data += more
        except ConnectionResetError:
            return data, "reset"
        return data, "whole"


@pytest.mark.parametrize("size", [1000, 300000])
def test_broken_bodies(up, size):
    data = os.urandom(size)
    d = up.blob("a", data)
    up.fault(times=1, cut=100)
    assert got(up.addr, blob(d)) == (data[:100], "end")
    up.fault(times=1, reset=500)
    assert got(up.addr, blob(d)) == (data[:500], "reset")
    up.fault(times=1, length=7)
    assert got(up.addr, blob(d)) == (data, "end")
    up.fault(times=1, flip=600)
    bad, how = got(up.addr, blob(d))
    assert how == "whole" and len(bad) == size
    assert [i for i in range(size) if bad[i] != data[i]] == [600]
    assert got(up.addr, blob(d)) == (data, "whole")


def test_other_faults(up, reg):
    d = up.blob("a", b"x" * 1000)
    up.fault("/blobs/", times=1, skip=1, status=503)
    assert [reg.get(blob(d)).status_code for _ in range(3)] \
        == [200, 503, 200]
    up.too_many("/blobs/", 7, times=1)
    r = reg.get(blob(d))
    assert r.status_code == 429 and r.headers["Retry-After"] == "7"
    up.fault(times=1, chunked=True)
    r = reg.get(blob(d))
    assert "Content-Length" not in r.headers and r.content == b"x" * 1000
    up.fault(times=1, no_range=True)
    r = reg.get(blob(d), headers={"Range": "bytes=0-0"})
    assert r.status_code == 200 and len(r.content) == 1000
    up.fault(times=1, digest=False, etag='"e"')
    r = reg.get(blob(d))
    assert "Docker-Content-Digest" not in r.headers
    assert r.headers["ETag"] == '"e"'
    up.fault(times=1, redirect="http://169.254.169.254/")
    r = reg.get(blob(d))
    assert r.status_code == 307 and "169.254" in r.headers["Location"]
    up.fault(times=1, drop=True)
    with pytest.raises(requests.ConnectionError):
        reg.get(blob(d))
    start = time.monotonic()
    up.fault(times=1, delay=0.2)
    reg.get(blob(d))
    assert time.monotonic() - start >= 0.2


def test_hold_hang_and_down(up, reg):
    d = up.blob("a", b"x" * 1000)
    rule = up.fault("/blobs/", hold=True)
    with Raw(up.addr) as c:
        c.head("GET", blob(d))
        wait_for("the request", lambda: rule.hits == 1)
        assert c.quiet(0.05)
        rule.release()
        assert c.response().status == 200
    up.mend()
    for fields in ({"hang": True}, {"stall": 10}):
        rule = up.fault(times=1, **fields)
        with Raw(up.addr) as c:
            c.head("GET", blob(d))
            wait_for("the request", lambda: rule.hits == 1)
        wait_for("its end", lambda: up.open == 0)
    up.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(up.addr)
    up.start()
    with Raw(up.addr) as c:
        assert c.request("GET", blob(d)).status == 200
    up.keepalive = 1
    with Raw(up.addr) as c:
        assert c.request("GET", blob(d)).status == 200 and c.at_end()


def test_storage(up, reg):
    up.storage = True
    d = up.blob("a", b"x" * 1000)
    r = reg.get(blob(d))
    to = r.headers["Location"]
    assert r.status_code == 307 and ":%d/" % up.store.port in to
    assert requests.get(to).content == b"x" * 1000
    assert requests.get(to, headers={"Range": "bytes=5-9"}).status_code == 206
    assert requests.get(to, auth=("a", "b")).status_code == 400
    assert requests.get(to + "0").status_code == 403
    up.storage_life = -1
    assert requests.get(
        reg.get(blob(d)).headers["Location"]).status_code == 403
    assert up.sent(d) == 1005


def token(up, auth=None, scope="repository:a:pull"):
    r = requests.get(up.realm, params={"service": up.service,
                                       "scope": scope}, auth=auth)
    return r.json().get("token") if r.status_code == 200 else r.status_code


def test_bearer(up):
    up.auth, up.users = "bearer", {"alice": "secret", "bob": "other"}
    up.grant("alice", "a")
    m = up.image("a", "v1")
    c = Client(up.url)
    r = c.manifest("a", "v1")
    assert r.status_code == 401
    assert r.headers["WWW-Authenticate"] == (
        'Bearer realm="%s",service="registry.test",'
        'scope="repository:a:pull"' % up.realm)
    for auth, status in ((None, 401), (("bob", "other"), 401),
                         (("alice", "secret"), 200)):
        r = c.manifest("a", m, Authorization="Bearer " + token(up, auth))
        assert r.status_code == status
    assert token(up, ("alice", "wrong")) == 401
    assert up.issued == 3
    good = {"Authorization": "Bearer " + token(up, ("alice", "secret"))}
    up.revoke("alice", tokens=False)
    assert c.manifest("a", m, **good).status_code == 200
    up.revoke("alice")
    assert c.manifest("a", m, **good).status_code == 401
    assert c.get("/v2/").status_code == 401
    c.close()


def test_basic(up):
    up.auth, up.users = "basic", {"alice": "secret"}
    up.grant("alice", "a")
    up.image("a", "v1")
    c = Client(up.url)
    assert c.manifest("a", "v1").status_code == 401
    word = base64.b64encode(b"alice:secret").decode()
    assert c.manifest("a", "v1", Authorization="Basic " + word
                      ).status_code == 200
    assert c.manifest("b", "v1", Authorization="Basic " + word
                      ).status_code == 403
    c.close()


def test_tls():
    for kind, good in ((True, True), ("self-signed", False),
                       ("wrong-name", False)):
        up = Upstream(tls=kind)
        try:
            r = requests.get(up.url + "/v2/", verify=Authority.one().ca)
            assert good and r.status_code == 200
        except requests.exceptions.SSLError:
            assert not good
        finally:
            up.stop()


def test_pushes(up, reg):
    for up.location in ("relative", "absolute"):
        r = reg.post("/v2/a/blobs/uploads/")
        assert r.status_code == 202
        r = reg.patch(r.headers["Location"], data=b"abc")
        assert r.status_code == 202 and r.headers["Range"] == "0-2"
        d = digest(b"abcd")
        r = reg.put(r.headers["Location"] + "&digest=" + d, data=b"d")
        assert r.status_code == 201
        assert reg.get(blob(d)).content == b"abcd"
    r = reg.post("/v2/b/blobs/uploads/?mount=%s&from=a" % d)
    assert r.status_code == 201
    body = b'{"schemaVersion":2}'
    assert reg.put_manifest("b", "v1", body).status_code == 201
    assert reg.manifest("b", digest(body)).content == body
    assert reg.delete("/v2/b/manifests/v1").status_code == 202
    assert reg.manifest("b", "v1").status_code == 404


def test_sparse(up, reg):
    size = 10 << 30
    d = up.sparse("a", size, digest="sha256:" + "0" * 64)
    at = size - 3 * MIB - 5
    r = reg.get(blob(d), headers={"Range": "bytes=%d-" % at})
    assert len(r.content) == 3 * MIB + 5
    assert r.content == up.read(d, at)
    assert r.content[5:5 + MIB] != r.content[MIB + 5:2 * MIB + 5]
    small = up.sparse("a", 5 * MIB + 1, seed=1)
    data = reg.get(blob(small)).content
    assert "sha256:" + hashlib.sha256(data).hexdigest() == small


def test_limits(up, reg):
    """Neither the limit of one connection nor that of all is passed."""
    d = up.sparse("a", 4 * MIB, digest="sha256:" + "1" * 64)
    for set_limit in (lambda: up.fault(rate=20 * MIB),
                      lambda: up.limit(20 * MIB)):
        set_limit()
        start = time.monotonic()
        assert len(reg.get(blob(d)).content) == 4 * MIB
        assert time.monotonic() - start >= 0.19
        up.mend()


def test_proxy(up):
    d = up.blob("a", b"x" * 1000)
    tls = Upstream(tls=True)
    e = tls.blob("a", b"y" * 1000)
    p = Proxy(login="alice:secret")
    at = p.url.replace("://", "://alice:secret@")
    ways = {"http": at, "https": at}
    r = requests.get(up.url + blob(d), proxies=ways)
    assert r.content == b"x" * 1000
    r = requests.get(tls.url + blob(e), proxies=ways,
                     verify=Authority.one().ca)
    assert r.content == b"y" * 1000
    assert requests.get(up.url + blob(d), proxies={
        "http": p.url}).status_code == 407
    assert p.asked == [up.url + blob(d), "127.0.0.1:%d" % tls.port,
                       up.url + blob(d)]
    p.stop()
    tls.stop()


def test_names():
    names = Names(registry_test=["127.0.0.1"])
    query = (b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\x08registry\4test\0"
             b"\0\1\0\1")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.sendto(query, ("127.0.0.1", names.port))
    reply = s.recv(512)
    assert reply[:2] == b"\x12\x34" and reply[-4:] == b"\x7f\0\0\1"
    s.sendto(query.replace(b"registry", b"nowhere1"),
             ("127.0.0.1", names.port))
    assert s.recv(512)[3] & 15 == 3
    s.close()
    names.stop()


def test_distribution_behind_tokens(up, distributions):
    """CNCF distribution takes the tokens that this upstream signs."""
    up.auth, up.users = "bearer", {"alice": "secret"}
    up.signer = Signer()
    up.grant("alice", "a", "pull,push")
    d = distributions(tokens=up)
    c = Client(d.url)
    r = c.post("/v2/a/blobs/uploads/")
    assert r.status_code == 401 and up.realm in r.headers["WWW-Authenticate"]
    good = {"Authorization": "Bearer " + token(
        up, ("alice", "secret"), "repository:a:pull,push")}
    assert c.post("/v2/a/blobs/uploads/", headers=good).status_code == 202
    other = {"Authorization": "Bearer " + token(
        up, ("alice", "secret"), "repository:b:pull,push")}
    assert c.post("/v2/b/blobs/uploads/", headers=other).status_code == 401
    c.close()


def test_distribution_pulls_through(up, distributions):
    data = os.urandom(100000)
    b = up.blob("a", data)
    c = Client(distributions(proxy=up.url).url)
    assert c.get(blob(b)).content == data
    # what it has sent is added up once it was sent; at times it fetches twice
    wait_for("the sum", lambda: up.sent(b) >= len(data))
    c.close()
