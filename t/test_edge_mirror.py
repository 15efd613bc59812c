"""One edge in front of many registries, as clients' mirror settings want."""

import json
import os

import pytest
import requests

from edge import cache, edge, fresh
from gate import wait_for
from oci import digest, header, ok
from upstream import Authority, Names, Signer, Upstream

LONG = "oci_valid 1h; oci_valid_missing 1h;"


def by_name(n, path, ns=None, **kw):
    return fresh(n, "GET", path + ("?ns=" + ns if ns else ""), **kw)


@pytest.mark.smoke
def test_ns(factory, upstreams):
    """containerd: the registry that is meant stands in the query."""
    hub, ghcr = upstreams(), upstreams()
    images = {"docker.io": hub.image("library/app", "v1"),
              "ghcr.io": ghcr.image("library/app", "v1")}
    layer = os.urandom(5000)
    hub.blob("library/app", layer)
    n = edge(factory, "", v2="""
        location /v2/ { oci main; oci_namespace $arg_ns allow=docker.io
            allow=ghcr.io; oci_pass $registry; %s }""" % LONG, http="""
        map $arg_ns $registry {
            docker.io %s;
            ghcr.io %s;
        }""" % (hub.url, ghcr.url))
    path = "/v2/library/app/manifests/v1"
    for ns, d in images.items():
        for said in ("MISS", "HIT"):
            r = ok(by_name(n, path, ns), 200)
            assert header(r, "Docker-Content-Digest") == d
            assert cache(r) == said
        r = by_name(n, "/v2/library/app/manifests/" + d, ns)
        assert header(ok(r, 200), "Docker-Content-Digest") == d
    blob = "/v2/library/app/blobs/" + digest(layer)
    assert by_name(n, blob, "docker.io").content == layer
    assert by_name(n, blob, "ghcr.io").status_code == 404
    before = len(hub.requests) + len(ghcr.requests)
    for ns in ("evil.example", "127.0.0.1", "..", "%2e%2e", "@docker.io",
               "DOCKER.IO%00", "docker.io/x"):
        r = by_name(n, path, ns)
        assert r.status_code in (400, 403, 404), ns
        assert r.json()["errors"]
    assert len(hub.requests) + len(ghcr.requests) == before
    assert not [x for x in os.listdir(n.path("repositories"))
                if x not in ("@docker.io", "@ghcr.io")]
    # the query is the edge's, not the upstream's
    assert not [r for u in (hub, ghcr) for r in u.requests if "ns" in r.query]


def test_no_upstream_for_this_one(factory, upstreams):
    """Where the map has nothing, the location is an origin."""
    up = upstreams()
    up.image("a", "v1")
    n = edge(factory, "", methods="pull push", v2="""
        location /v2/ { oci main; oci_methods pull push; oci_pass $registry;
            %s }""" % LONG, http="""
        map $uri $registry { ~^/v2/mine/ ""; default %s; }""" % up.url)
    c = n.client()
    ok(c.manifest("a", "v1"), 200)
    seen = len(up.requests)
    d = c.push_image("mine/app", "v1")
    assert header(ok(c.manifest("mine/app", "v1"), 200),
                  "Docker-Content-Digest") == d
    assert c.manifest("mine/app", "v2").status_code == 404
    assert c.tags("mine/app") == ["v1"]
    assert len(up.requests) == seen


def test_by_host(factory, upstreams):
    """One name for each registry, and one location."""
    one, two = upstreams(), upstreams()
    images = {"one.test": one.image("a", "v1"),
              "two.test": two.image("a", "v1")}
    n = edge(factory, "", v2="""
        location /v2/ { oci main; oci_namespace $host allow=one.test
            allow=two.test; oci_pass $registry; %s }""" % LONG, http="""
        map $host $registry { one.test %s; two.test %s; }
        """ % (one.url, two.url))
    for name, d in images.items():
        r = fresh(n, "GET", "/v2/a/manifests/v1", headers={"Host": name})
        assert header(ok(r, 200), "Docker-Content-Digest") == d
    r = fresh(n, "GET", "/v2/a/manifests/v1", headers={"Host": "no.test"})
    assert r.status_code in (400, 403, 404)


def test_group(factory, upstreams):
    """upstream {} with keepalive: connections are used again."""
    up = upstreams()
    n = edge(factory, "http://registry", LONG, workers=1, http="""
        upstream registry { server 127.0.0.1:%d; keepalive 8; }""" % up.port)
    for i in range(20):
        d = up.image("a", "v%d" % i)
        r = fresh(n, "GET", "/v2/a/manifests/v%d" % i)
        assert header(ok(r, 200), "Docker-Content-Digest") == d
    assert up.registry.accepted <= 3


def test_group_by_digest(factory, upstreams):
    """hash $oci_digest: each blob has one peer that fetches it."""
    peers = [upstreams(), upstreams()]
    layers = [os.urandom(2000) for _ in range(12)]
    for up in peers:
        for x in layers:
            up.blob("a", x)
    n = edge(factory, "http://registries", LONG, http="""
        upstream registries {
            hash $oci_digest consistent;
            server 127.0.0.1:%d;
            server 127.0.0.1:%d;
        }""" % (peers[0].port, peers[1].port))
    for x in layers:
        assert fresh(n, "GET", "/v2/a/blobs/" + digest(x)).content == x
    given = [{r.digest for r in up.seen(path="/blobs/") if r.digest}
             for up in peers]
    assert not given[0] & given[1]
    assert len(given[0] | given[1]) == 12 and all(given)


@pytest.fixture
def hub():
    """Docker Hub, as far as a client of it can tell."""
    names = ("registry-1.docker.io", "auth.docker.io")
    up = Upstream(tls=names, auth="bearer", host=names[0])
    up.realm = "https://auth.docker.io:%d/token" % up.token.port
    up.service = "registry.docker.io"
    dns = Names()
    dns.table = {name: ["127.0.0.1"] for name in names}
    up.resolver = "resolver 127.0.0.1:%d ipv6=off;" % dns.port
    yield up
    up.stop()
    dns.stop()


@pytest.mark.smoke
def test_docker_hub(factory, hub):
    """A name of one part stands below library/ there."""
    layer = os.urandom(50000)
    hub.image("library/alpine", "v1", layers=[layer])
    hub.image("team/app", "v1")
    n = edge(factory, "https://registry-1.docker.io:%d" % hub.port, LONG
             + hub.resolver + "oci_pass_ssl_trusted_certificate %s;"
             % Authority.one().ca)
    for name in ("alpine", "library/alpine", "team/app"):
        r = ok(fresh(n, "GET", "/v2/%s/manifests/v1" % name), 200)
        assert r.headers["Docker-Content-Digest"] == digest(r.content)
        r = ok(fresh(n, "GET", "/v2/%s/tags/list" % name), 200)
        assert r.json() == {"name": name, "tags": ["v1"]}
    for name in ("alpine", "library/alpine"):
        r = fresh(n, "GET", "/v2/%s/blobs/%s" % (name, digest(layer)))
        assert r.content == layer
    assert hub.sent(digest(layer)) == len(layer)
    asked = {r.path.split("/")[2] for r in hub.seen(path="/v2/.")}
    assert asked == {"library", "team"}
    scopes = {s for r in hub.seen(role="token")
              for s in r.query.get("scope", ())}
    assert scopes == {"repository:library/alpine:pull",
                      "repository:team/app:pull"}


def test_library_is_docker_hubs_alone(factory, upstreams):
    up = upstreams()
    up.image("library/alpine", "v1")
    d = up.image("alpine", "v1")
    n = edge(factory, up, LONG)
    r = fresh(n, "GET", "/v2/alpine/manifests/v1")
    assert header(ok(r, 200), "Docker-Content-Digest") == d


@pytest.mark.parametrize("kind", ["self-signed", "wrong-name"])
def test_certificates(factory, upstreams, kind):
    """Verified unless the configuration says otherwise."""
    up = upstreams(tls=kind)
    d = up.image("a", "v1")
    ca = "oci_pass_ssl_trusted_certificate %s;" % Authority.one().ca
    n = edge(factory, up, LONG + ca)
    r = fresh(n, "GET", "/v2/a/manifests/v1")
    assert r.status_code == 502 and r.json()["errors"]
    assert not up.requests
    n = edge(factory, up, LONG + "oci_pass_ssl_verify off;")
    r = fresh(n, "GET", "/v2/a/manifests/v1")
    assert header(ok(r, 200), "Docker-Content-Digest") == d


def test_distribution_behind(factory, upstreams, distributions):
    """CNCF distribution as the upstream, behind a token service."""
    tokens = upstreams(auth="bearer", users={"edge": "secret"})
    tokens.signer = Signer()
    tokens.grant("edge", ".*", "pull,push")
    d = distributions(tokens=tokens)
    login = ("edge", "secret")
    push = {"Authorization": "Bearer " + requests.get(
        tokens.realm, auth=login, timeout=10, params={
            "service": tokens.service, "scope": "repository:a:pull,push"}
    ).json()["token"]}
    data = os.urandom(3 << 20)
    image = d.push_image("a", "v1", data, push)
    n = edge(factory, d.url, LONG
             + "oci_pass_credentials @PREFIX@/files/config.json;",
             files={"config.json": json.dumps({"auths": {
                 "127.0.0.1:%d" % d.port: {"username": login[0],
                                           "password": login[1]}}})})
    r = ok(fresh(n, "GET", "/v2/a/manifests/v1"), 200)
    assert r.headers["Docker-Content-Digest"] == image
    blob = "/v2/a/blobs/" + digest(data)
    assert ok(fresh(n, "GET", blob), 200).content == data
    d.down()
    tokens.stop()
    r = ok(fresh(n, "GET", blob), 200)
    assert r.content == data and cache(r) == "HIT"


def test_this_module_behind(factory):
    """An edge in front of an edge in front of an origin."""
    origin = factory()
    c = origin.client()
    image = c.push_image("a", "v1")
    layer = c.push("a", os.urandom(3 << 20))
    middle = edge(factory, origin.url, LONG)
    n = edge(factory, middle.url, LONG)
    r = ok(fresh(n, "GET", "/v2/a/manifests/v1"), 200)
    assert r.headers["Docker-Content-Digest"] == image

    def again():
        r = ok(fresh(n, "GET", "/v2/a/blobs/" + layer), 200)
        assert digest(r.content) == layer
        return cache(r)
    wait_for("the end of its fill", lambda: again() == "HIT")
    r = fresh(n, "GET", "/v2/a/blobs/" + layer,
              headers={"Range": "bytes=100-199"})
    assert r.status_code == 206 and len(r.content) == 100
