"""Requests to upstreams, one at a time: connections, retries, bodies."""

import hashlib
import os
import socket
import threading

import pytest

import probe as p
from edge import fresh
from gate import wait_for
from probe import probe, prober
from upstream import Authority, Names, Proxy

MB = 1 << 20
QUICK = "oci_pass_timeout 1s connect=1s;"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def blob(up, size=100000, repo="app"):
    data = os.urandom(size)
    return up.blob(repo, data), data


def access(n):
    with open(os.path.join(n.prefix, "logs", "access.log"),
              encoding="utf-8") as f:
        return f.read()


def whole(got, data):
    assert (got.rc, got.status, got.received, got.sha256) == (
        p.OK, 200, len(data), sha(data)), got
    assert got.headers == 1


# ---- bodies

@pytest.mark.parametrize("size", (0, 1, 65535, 65536, 3 * MB + 17))
@pytest.mark.parametrize("fields", ({}, {"chunked": True}))
def test_bodies(factory, upstreams, size, fields):
    up = upstreams()
    d, data = blob(up, size)
    n = prober(factory, up)
    if fields:
        up.fault("/blobs/", **fields)
    got = probe(n, "blobs/" + d)
    whole(got, data)
    assert got.digest == d
    assert got.length == (-1 if fields else size)


def test_a_range(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    got = probe(n, "blobs/" + d, start=1000, end=1999)
    assert (got.rc, got.status, got.start, got.end, got.total) == (
        p.OK, 206, 1000, 1999, len(data))
    assert got.sha256 == sha(data[1000:2000])
    got = probe(n, "blobs/" + d, start=99990)
    assert (got.status, got.received) == (206, 10)


def test_head_and_other_statuses(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    got = probe(n, "blobs/" + d, method="HEAD")
    assert (got.rc, got.status, got.length, got.received) == (
        p.OK, 200, len(data), 0)
    got = probe(n, "blobs/sha256:" + "0" * 64)
    assert (got.rc, got.status, got.failed) == (p.OK, 404, 0)
    assert got.received > 0
    up.too_many("/blobs/", seconds=7)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.status, got.retry_after, got.failed) == (
        p.OK, 429, 7, 1)
    up.mend()
    up.image("app", "v1")
    got = probe(n, "manifests/v1")
    assert got.status == 200 and got.etag
    again = probe(n, "manifests/v1", none_match=got.etag)
    assert (again.status, again.received) == (304, 0)
    assert up.accepted == 1


def test_a_pause_stops_reading(factory, upstreams):
    up = upstreams()
    d, data = blob(up, 1 * MB)
    n = prober(factory, up)
    whole(probe(n, "blobs/" + d, pause=1), data)
    up.fault("/blobs/", chunked=True)
    whole(probe(n, "blobs/" + d, pause=1), data)


# ---- connections

def test_connections_are_used_again(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    for _ in range(5):
        whole(probe(n, "blobs/" + d), data)
    assert up.accepted == 1
    # what is broken off is not
    assert probe(n, "blobs/" + d, cancel=10).rc == p.CANCELLED
    whole(probe(n, "blobs/" + d), data)
    assert up.accepted == 2
    up.fault("/blobs/", close=True, times=1)
    whole(probe(n, "blobs/" + d), data)
    whole(probe(n, "blobs/" + d), data)
    assert up.accepted == 3


def test_a_connection_that_died_while_idle(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    whole(probe(n, "blobs/" + d), data)
    up.fault("/blobs/", drop=True, times=1)
    whole(probe(n, "blobs/" + d), data)
    assert up.count("GET", "/blobs/") == 3


@pytest.mark.parametrize("fields, rc", (
    ({"drop": True}, p.RESET), ({"hang": True}, p.TIMEOUT),
    ({"garbage": True}, p.PROTOCOL), ({"cut": 1000}, p.SHORT),
    ({"reset": 1000}, p.RESET), ({"stall": 1000}, p.TIMEOUT)))
def test_failures(factory, upstreams, fields, rc):
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up, QUICK)
    up.fault("/blobs/", **fields)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.failed) == (rc, 1), got
    assert (got.headers or 0) == (1 if "cut" in fields or "stall" in fields
                                  or "reset" in fields else 0)


def test_a_slow_answer_in_time(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    rule = up.fault("/blobs/", hang=True)
    got = probe(n, "blobs/" + d, timeout=300)
    assert (got.rc, got.headers) == (p.TIMEOUT, 0)
    up.mend(rule)
    up.fault("/blobs/", rate=400000)
    whole(probe(n, "blobs/" + d, timeout=200), data)


def test_nobody_listens(factory):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        n = prober(factory, "http://127.0.0.1:%d" % s.getsockname()[1])
        assert probe(n, "blobs/x").rc == p.CONNECT


@pytest.mark.parametrize("args", (
    {"abort": 1}, {"abort": 2}, {"cancel": 0}, {"cancel": 1}))
def test_ends_in_callbacks(factory, upstreams, args):
    up = upstreams()
    d, data = blob(up, MB)
    n = prober(factory, up)
    got = probe(n, "blobs/" + d, **args)
    assert got.rc == (p.ABORTED if "abort" in args else p.CANCELLED)
    assert got.failed == 0
    whole(probe(n, "blobs/" + d), data)


def test_a_client_that_leaves(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    rule = up.fault("/blobs/", hold=True)
    with socket.create_connection(n.addr) as s:
        s.sendall(b"GET /probe?repository=app&path=blobs/%s HTTP/1.0\r\n\r\n"
                  % d.encode())
        wait_for("the request", lambda: up.count("GET", "/blobs/") == 1)
    wait_for("the client to be missed", lambda: " 499 " in access(n))
    # a connection that had an answer to the end would be kept
    rule.release()
    wait_for("its end", lambda: not up.open)
    up.mend(rule)
    whole(probe(n, "blobs/" + d), data)


# ---- groups

def group(names, *servers, more=""):
    return "upstream %s { %s %s }" % (names, more, " ".join(
        "server %s;" % s for s in servers))


def where(up):
    return "127.0.0.1:%d" % up.port


def test_a_group_hashes_by_digest(factory, upstreams):
    ups = [upstreams() for _ in range(3)]
    n = prober(factory, "http://group", http=group(
        "group", *map(where, ups), more="hash $oci_digest consistent;"))
    for _ in range(12):
        data = os.urandom(1000)
        for up in ups:
            d = up.blob("app", data)
        got = [probe(n, "blobs/" + d).peer for _ in range(3)]
        assert len(set(got)) == 1
        # also where the path is not that of the blob
        assert probe(n, "/v2/", digest=d).peer == got[0]
    assert all(up.count("GET", "/blobs/") for up in ups)


@pytest.mark.parametrize("keepalive", ("", "keepalive 4;"))
def test_the_next_of_a_group(factory, upstreams, keepalive):
    bad, good = upstreams(), upstreams()
    data = os.urandom(10000)
    for up in bad, good:
        d = up.blob("app", data)
    n = prober(factory, "http://group", QUICK, http=group(
        "group", where(bad) + " max_fails=0", where(good) + " max_fails=0",
        more=keepalive))
    for _ in range(4):
        whole(probe(n, "blobs/" + d), data)
    assert bad.accepted == good.accepted == 1
    for fields in ({"drop": True}, {"status": 503}, {"garbage": True},
                   {"hang": True}):
        rule = bad.fault("/blobs/", **fields)
        for _ in range(2):
            whole(probe(n, "blobs/" + d), data)
        assert rule.hits
        bad.mend(rule)
    bad.stop()
    for _ in range(4):
        whole(probe(n, "blobs/" + d), data)


def test_a_whole_group_that_fails(factory, upstreams):
    ups = [upstreams(), upstreams()]
    n = prober(factory, "http://group", http=group("group",
                                                   *map(where, ups)))
    for up in ups:
        up.fault("/blobs/", status=503)
    got = probe(n, "blobs/x")
    assert (got.rc, got.status, got.failed) == (p.OK, 503, 1)
    assert [up.count("GET", "/blobs/") for up in ups] == [1, 1]


# ---- names

def test_names_by_a_resolver(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    names = Names(registry_test=["127.0.0.1"])
    try:
        n = prober(factory, "http://$arg_host:%d" % up.port,
                   "resolver 127.0.0.1:%d ipv6=off; resolver_timeout 1s;"
                   % names.port)
        whole(probe(n, "blobs/" + d, host="registry.test"), data)
        assert probe(n, "blobs/" + d, host="no.test").rc == p.RESOLVE
        names.table["slow.test"] = None
        assert probe(n, "blobs/" + d, host="slow.test").rc == p.RESOLVE
        # an idle connection needs no name
        before = len(names.asked)
        whole(probe(n, "blobs/" + d, host="registry.test"), data)
        assert len(names.asked) == before and up.accepted == 1
        # the next address of a name, when one does not answer
        names.table["two.test"] = ["127.0.0.9", "127.0.0.1"]
        for _ in range(3):
            whole(probe(n, "blobs/" + d, host="two.test"), data)
    finally:
        names.stop()


def test_localhost_needs_no_resolver(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, "http://$arg_host:%d" % up.port)
    whole(probe(n, "blobs/" + d, host="localhost"), data)


# ---- TLS

def trust():
    return "oci_pass_ssl_trusted_certificate %s;" % Authority.one().ca


def test_tls(factory, upstreams):
    up = upstreams(tls=True)
    d, data = blob(up, MB)
    n = prober(factory, up, trust())
    for _ in range(3):
        whole(probe(n, "blobs/" + d), data)
    assert up.accepted == 1


def test_tls_and_whom_not_to_trust(factory, upstreams):
    for kind in (True, "self-signed", "wrong-name"):
        up = upstreams(tls=kind)
        d, data = blob(up)
        # by default whoever the system trusts
        n = prober(factory, up, trust() if kind == "wrong-name" else "")
        got = probe(n, "blobs/" + d)
        assert (got.rc, got.failed) == (p.TLS, 1), kind
        assert up.count() == 0
        n = prober(factory, up, "oci_pass_ssl_verify off;")
        whole(probe(n, "blobs/" + d), data)


def test_the_systems_certificates(factory, upstreams, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", Authority.one().ca)
    up = upstreams(tls=True)
    d, data = blob(up)
    n = prober(factory, up)
    whole(probe(n, "blobs/" + d), data)


def test_the_name_of_a_group(factory, upstreams):
    up = upstreams(tls=("registry.test",))
    d, data = blob(up)
    http = group("group", where(up), more="")
    n = prober(factory, "https://group", trust(), http=http)
    assert probe(n, "blobs/" + d).rc == p.TLS
    n = prober(factory, "https://group",
               trust() + "oci_pass_ssl_name registry.test;", http=http)
    whole(probe(n, "blobs/" + d), data)
    assert up.requests[-1].headers["host"] == "registry.test"


def test_a_group_shared_with_one_who_trusts_all(factory, upstreams):
    """A connection that nobody verified is not one for an edge."""
    up = upstreams(tls="self-signed")
    d, _ = blob(up)
    n = prober(factory, "https://group",
               "location /open/ { proxy_pass https://group/;"
               " proxy_http_version 1.1; proxy_set_header Connection ''; }",
               http=group("group", where(up), more="keepalive 4;"))
    assert fresh(n, "GET", "/open/v2/").status_code == 200
    assert up.open == 1
    assert probe(n, "blobs/" + d).rc == p.TLS
    assert up.count("GET", "/blobs/") == 0


def test_plain_text_for_tls(factory):
    with socket.create_server(("127.0.0.1", 0)) as s:
        def serve():
            c, _ = s.accept()
            c.recv(1 << 16)
            c.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                      b"Content-Length: 0\r\n\r\n")
            c.recv(1 << 16)
            c.close()

        t = threading.Thread(target=serve)
        t.start()
        n = prober(factory, "https://127.0.0.1:%d" % s.getsockname()[1],
                   QUICK)
        assert probe(n, "blobs/x").rc == p.TLS
        t.join()


# ---- proxies

@pytest.fixture
def proxies():
    made = []

    def make(**knobs):
        made.append(Proxy(**knobs))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("tls", (False, True))
@pytest.mark.parametrize("over", (False, True))
def test_a_proxy(factory, upstreams, proxies, tls, over):
    up = upstreams(tls=tls)
    proxy = proxies(tls=over, login="me:my word")
    d, data = blob(up, MB)
    # this proxy passes one request of http on each connection
    up.fault(close=not tls)
    url = proxy.url.replace("://", "://me:my%20word@")
    n = prober(factory, up, trust() + "oci_pass_proxy %s;" % url)
    for _ in range(2):
        whole(probe(n, "blobs/" + d), data)
    assert proxy.asked[0].startswith(
        where(up) if tls else up.url + "/v2/app/blobs/")
    if tls:
        assert len(proxy.asked) == 1
    assert "proxy-authorization" not in up.requests[0].headers


def test_a_proxy_that_refuses(factory, upstreams, proxies):
    up = upstreams(tls=True)
    proxy = proxies(login="me:word")
    n = prober(factory, up, trust() + "oci_pass_proxy %s;" % proxy.url)
    assert probe(n, "blobs/x").rc == p.PROXY
    assert up.count() == 0


def test_a_proxy_resolves(factory, upstreams, proxies):
    up = upstreams(tls=("registry.test",))
    proxy = proxies(table={"registry.test:443": ("127.0.0.1", up.port)})
    d, data = blob(up)
    n = prober(factory, "https://registry.test", trust()
               + "oci_pass_proxy %s;" % proxy.url)
    whole(probe(n, "blobs/" + d), data)


# ---- bodies that are sent

@pytest.mark.parametrize("args", ({}, {"chunked": 1}, {"pause": 1},
                                  {"chunked": 1, "pause": 1}))
@pytest.mark.parametrize("tls", (False, True))
def test_a_streamed_body(factory, upstreams, args, tls):
    up = upstreams(tls=tls)
    up.repo("app")
    n = prober(factory, up, trust())
    got = probe(n, "blobs/uploads/", method="POST", actions="pull,push")
    assert (got.rc, got.status) == (p.OK, 202) and got.location
    size = 300000
    data = b"x" * size
    got = probe(n, got.location, method="PATCH", send=size,
                type="application/octet-stream", **args)
    assert (got.rc, got.status) == (p.OK, 202), got
    got = probe(n, got.location, method="PUT",
                query="digest=sha256:" + sha(data))
    assert (got.rc, got.status) == (p.OK, 201)
    assert up.content["sha256:" + sha(data)]


def test_a_body_in_memory(factory, upstreams):
    up = upstreams()
    up.repo("app")
    n = prober(factory, up)
    text = '{"schemaVersion":2,"mediaType":"%s","layers":[],"config":{}}'
    kind = "application/vnd.oci.image.manifest.v1+json"
    got = probe(n, "manifests/v1", method="PUT", content=text % kind,
                type=kind, actions="pull,push")
    assert (got.rc, got.status) == (p.OK, 201)
    assert up.repo("app").tags["v1"] == "sha256:" + sha(
        (text % kind).encode())


# ---- the end of a worker

def test_a_reload_lets_a_fetch_end(factory, upstreams):
    up = upstreams()
    d, data = blob(up)
    n = prober(factory, up)
    rule = up.fault("/blobs/", hold=True)
    out = []
    t = threading.Thread(target=lambda: out.append(probe(n, "blobs/" + d)))
    t.start()
    wait_for("the request", lambda: up.count("GET", "/blobs/") == 1)
    old = n.reload()
    rule.release()
    t.join()
    whole(out[0], data)
    wait_for("old workers to leave",
             lambda: not set(old) & set(n.workers()))


@pytest.mark.waits
def test_a_worker_that_must_leave(factory, upstreams):
    """worker_shutdown_timeout: done() is called, nothing is left open."""
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up, "oci_pass_timeout 60s;")
    rule = up.fault("/blobs/", hold=True)
    s = socket.create_connection(n.addr)
    s.sendall(b"GET /probe?repository=app&path=blobs/%s HTTP/1.0\r\n\r\n"
              % d.encode())
    wait_for("the request", lambda: up.count("GET", "/blobs/") == 1)
    old = n.reload()
    wait_for("old workers to leave",
             lambda: not set(old) & set(n.workers()), 30)
    s.close()
    rule.release()
    wait_for("the upstream to see it", lambda: not up.open)
