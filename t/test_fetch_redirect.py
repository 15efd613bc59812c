"""Where an upstream may send an edge, and what goes along."""

import pytest

import probe as p
from edge import fresh
from probe import probe, prober
from upstream import Names, Proxy
from test_fetch import blob, group, sha, trust, where, whole
from test_fetch_auth import own, private


def test_to_object_storage(factory, upstreams):
    up = private(upstreams, storage=True)
    d, data = blob(up)
    n = own(factory, up)
    for _ in range(3):
        got = probe(n, "blobs/" + d)
        whole(got, data)
        assert got.hops == 1
    stored = up.seen(role="storage")
    assert len(stored) == 3
    for r in stored:
        # two ways to be authorised are one too many for S3
        assert "authorization" not in r.headers
        assert "if-none-match" not in r.headers
    # to each of the three places one connection
    assert up.accepted == 3
    got = probe(n, "blobs/" + d, start=5, end=9)
    assert (got.status, got.sha256) == (206, sha(data[5:10]))
    # what a URL that is signed holds is not for the log
    up.fault("/bucket/", role="storage", cut=10)
    assert probe(n, "blobs/" + d).rc == p.SHORT
    assert "Signature" not in n.log() and "bucket" not in n.log()


def test_a_body_for_another_host(factory, upstreams):
    """A place for an upload that lies elsewhere learns of no account."""
    up, other = private(upstreams, "basic"), upstreams()
    d, data = blob(up)
    n = own(factory, up, "oci_pass_redirect_allow 127.0.0.1;")
    whole(probe(n, "blobs/" + d), data)
    probe(n, other.url + "/v2/app/blobs/uploads/1", method="PUT",
          content="x", actions="pull,push")
    assert other.count("PUT") == 1
    assert "authorization" not in other.requests[0].headers


def test_an_expired_url(factory, upstreams):
    up = upstreams(storage=True)
    d, _ = blob(up)
    n = prober(factory, up)
    up.storage_life = -10
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.status, got.hops) == (p.OK, 403, 1)


@pytest.mark.parametrize("status", (301, 302, 303, 307, 308))
@pytest.mark.parametrize("method", ("GET", "HEAD"))
def test_statuses(factory, upstreams, status, method):
    up = upstreams()
    d, data = blob(up)
    up.blob("other", data)
    n = prober(factory, up)
    up.fault("/app/", status=status, headers=[
        ("Location", "../../other/blobs/" + d)])
    got = probe(n, "blobs/" + d, method=method)
    assert (got.rc, got.status, got.hops) == (p.OK, 200, 1)
    assert up.requests[-1].method == method
    assert up.requests[-1].target == "/v2/other/blobs/" + d
    assert up.accepted == 1


def test_others_are_not_followed(factory, upstreams):
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up)
    up.fault("/app/", status=307, headers=[("Location", "/v2/elsewhere")])
    got = probe(n, "blobs/uploads/", method="POST")
    assert (got.rc, got.status, got.hops) == (p.OK, 307, 0)
    assert got.location == up.url + "/v2/elsewhere"
    up.mend()
    up.fault("/app/", status=300, headers=[("Location", "/v2/elsewhere")])
    assert probe(n, "blobs/" + d).status == 300
    up.mend()
    up.fault("/app/", status=307)
    assert probe(n, "blobs/" + d).status == 307


def test_a_loop(factory, upstreams):
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up)
    up.fault("/app/", redirect=lambda r: r.target)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.hops, got.failed) == (p.REDIRECT, 10, 1)
    assert up.count() == 11 and up.accepted == 1


@pytest.mark.parametrize("to", (
    "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://[::1",
    "http://a b/", "http://user:word@127.0.0.1/", "http:127.0.0.1/",
    "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "gopher:x"))
def test_to_nowhere(factory, upstreams, to):
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up)
    up.fault("/app/", redirect=to)
    assert probe(n, "blobs/" + d).rc == p.REDIRECT
    assert up.count() == 1


@pytest.mark.parametrize("to", (
    "http://169.254.169.254/latest/meta-data", "http://169.254.1.1/",
    "http://0.0.0.0/", "http://224.0.0.1/", "http://100.100.100.200/",
    "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/"))
def test_never_there(factory, upstreams, to):
    """Not even where they are named."""
    up = upstreams()
    d, _ = blob(up)
    n = prober(factory, up, "oci_pass_redirect_allow 0.0.0.0/0 ::/0"
               " 169.254.169.254;")
    up.fault("/app/", redirect=to)
    assert probe(n, "blobs/" + d).rc == p.REDIRECT
    assert "must not go" in n.log()


def test_from_tls_to_none(factory, upstreams):
    up, plain = upstreams(tls=True), upstreams()
    d, data = blob(plain)
    n = prober(factory, up, trust() + "oci_pass_redirect_allow 127.0.0.1;")
    up.fault("/app/", redirect=plain.url + "/v2/app/blobs/" + d)
    assert probe(n, "blobs/" + d).rc == p.REDIRECT
    assert plain.count() == 0
    up.mend()
    # nor where it names a place without one (as of an upload)
    assert probe(n, plain.url + "/v2/app/blobs/" + d).rc != p.OK
    # nor by a detour
    first = upstreams()
    first.fault("/app/", redirect=up.url + "/v2/app/blobs/" + d)
    up.fault("/app/", redirect=plain.url + "/v2/app/blobs/" + d)
    assert probe(prober(factory, first, trust()),
                 "blobs/" + d).rc == p.REDIRECT
    assert (first.count(), plain.count()) == (1, 0)
    # the other way is no harm
    up.mend()
    d, data = blob(up)
    n = prober(factory, plain, trust())
    plain.fault("/app/", redirect=up.url + "/v2/app/blobs/" + d)
    whole(probe(n, "blobs/" + d), data)


class Outside:
    """
    An upstream of a name that lies on the internet, as a proxy of DNS would
    have it: by a proxy that the check must look through.
    """

    def __init__(self, up):
        self.proxy = Proxy(tls=False, table={
            "registry.test:443": ("127.0.0.1", up.port)})

    def conf(self, more=""):
        return trust() + "oci_pass_proxy %s; %s" % (self.proxy.url, more)


@pytest.mark.parametrize("to, allow, rc", (
    ("https://127.0.0.1:@/", "", p.REDIRECT),
    ("https://localhost:@/", "", p.REDIRECT),
    ("https://10.1.2.3:@/", "", p.REDIRECT),
    ("https://127.0.0.1:@/", "oci_pass_redirect_allow 127.0.0.0/8;", p.OK),
    ("https://127.0.0.1:@/", "oci_pass_redirect_allow 127.0.0.1;", p.OK),
    ("https://localhost:@/", "oci_pass_redirect_allow localhost;", p.OK),
    ("https://localhost:@/", "oci_pass_redirect_allow localhost:1;",
     p.REDIRECT),
    ("https://127.0.0.1:@/", "oci_pass_redirect_allow 10.0.0.0/8;",
     p.REDIRECT)))
def test_inside_from_outside(factory, upstreams, to, allow, rc):
    up = upstreams(tls=("registry.test", "127.0.0.1", "localhost"))
    d, data = blob(up)
    out = Outside(up)
    try:
        n = prober(factory, "https://registry.test", out.conf(allow))
        up.blob("other", data)
        up.fault("/app/", redirect=to.replace("@", str(up.port))
                 + "v2/other/blobs/" + d)
        got = probe(n, "blobs/" + d)
        assert got.rc == rc
        assert up.count("GET", "/other/") == (1 if rc == p.OK else 0)
    finally:
        out.proxy.stop()


def test_a_name_that_leads_inside(factory, upstreams):
    """The address counts that is connected to, not the name."""
    up = upstreams()
    d, data = blob(up)
    # nginx shifts octets over 127 beyond an int, which sanitizers mind
    names = Names(inside_test=["100.100.100.200"],
                  mixed_test=["100.100.100.200", "127.0.0.1"])
    try:
        n = prober(factory, up, "resolver 127.0.0.1:%d ipv6=off;"
                   % names.port)
        up.blob("other", data)
        rule = up.fault("/app/", redirect="http://inside.test:%d/v2/other/blobs/%s"
                        % (up.port, d))
        assert probe(n, "blobs/" + d).rc == p.REDIRECT
        up.mend(rule)
        up.fault("/app/", redirect="http://mixed.test:%d/v2/other/blobs/%s"
                 % (up.port, d))
        whole(probe(n, "blobs/" + d), data)
    finally:
        names.stop()


def test_within_a_group(factory, upstreams):
    """A redirect to the upstream's own name goes to the group again."""
    up = private(upstreams)
    d, data = blob(up)
    up.blob("other", data)
    n = own(factory, up, to="http://group", http=group("group", where(up)))
    up.fault("/app/", redirect="http://group/v2/other/blobs/" + d)
    got = probe(n, "blobs/" + d)
    assert (got.rc, got.hops) == (p.OK, 1)
    assert up.requests[-1].headers["host"] == "group"


def test_docker_hub(factory, upstreams):
    up = upstreams(tls=("registry-1.docker.io",))
    proxy = Proxy(table={
        "registry-1.docker.io:443": ("127.0.0.1", up.port)})
    try:
        d, data = blob(up, repo="library/nginx")
        up.blob("user/app", data)
        for host in "docker.io", "registry-1.docker.io":
            n = prober(factory, "https://" + host, trust()
                       + "oci_pass_proxy %s;" % proxy.url)
            got = probe(n, "blobs/" + d, repository="nginx")
            whole(got, data)
            assert got.name == "library/nginx"
            whole(probe(n, "blobs/" + d, repository="user/app"), data)
    finally:
        proxy.stop()


def test_names_upstream(factory, upstreams):
    a, b = upstreams(), upstreams()
    data = b"x" * 1000
    da, _ = a.blob("team/app", data), b.blob("app", data)
    http = """
        map $arg_repository $to {
            ~^a/ %s/;
            ~^b/ %s;
            ~^up/ %s;
            ~^bad/ ftp://x;
            default "";
        }
        map $arg_repository $name {
            ~^a/(?<rest>.+)$ team/$rest;
            ~^b/(?<rest>.+)$ $rest;
            default "../x";
        }
    """ % (a.url, b.url, b.url)
    n = prober(factory, "$to repository=$name", http=http)
    whole(probe(n, "blobs/" + da, repository="a/app"), data)
    whole(probe(n, "blobs/" + da, repository="b/app"), data)
    assert (a.count(), b.count()) == (1, 1)
    for repository, status in (("c/app", 404), ("bad/app", 500),
                               ("up/app", 500)):
        r = fresh(n, "GET", "/probe?path=x&repository=" + repository)
        assert r.status_code == status
    assert (a.count(), b.count()) == (1, 1)


def test_a_prefix(factory, upstreams):
    up = upstreams()
    n = prober(factory, up.url + "/api/docker/")
    probe(n, "manifests/v1", query="a=b")
    probe(n, "/v2/")
    assert [r.target for r in up.requests] == [
        "/api/docker/v2/app/manifests/v1?a=b", "/api/docker/v2/"]


@pytest.mark.parametrize("line", (
    "oci_pass harbor.test;", "oci_pass ftp://harbor.test;",
    "oci_pass http://;", "oci_pass http://a.test/?x;",
    "oci_pass http://127.0.0.1 name=x;", "oci_pass_proxy 127.0.0.1:3128;",
    "oci_pass_proxy http://127.0.0.1/x;", "oci_pass_redirect_allow a/b;",
    "oci_pass_realm_allow http://;", "oci_pass_timeout never;",
    "oci_pass_timeout 1s later;", "oci_pass_auth all;", "oci_push both;",
    "oci_fill_verify none;", "oci_fill_chunk 1;", "oci_fill_connections 0;",
    "oci_fill_connections 1000;", "oci_pass_ssl_protocols SSLv3;",
    "oci_pass_ssl_trusted_certificate /nonexistent;",
    "oci_pass_ssl_certificate /etc/passwd;"))
def test_directives_that_are_refused(factory, line):
    own_pass = "" if line.startswith("oci_pass ") else (
        "oci_pass http://127.0.0.1:1;")
    n = factory(start=False, v2="location /v2/ { oci main; %s %s }" % (
        own_pass, line))
    rc, said = n.config_test()
    assert rc == 1 and "[emerg]" in said


def test_directives_that_are_taken(factory):
    n = factory(start=False, server="""
        oci_pass http://127.0.0.1:1; oci_valid 5s; oci_valid_missing 1s;
        oci_push upstream; oci_use_stale off; oci_fill_verify all;
        oci_fill_chunk 1m; oci_fill_connections 8; oci_fill_background off;
        oci_pass_auth client; oci_pass_timeout 5s connect=500ms;
        oci_pass_redirect_allow 10.0.0.0/8 storage.test cdn.test:8443
            https://x.test;
        oci_pass_realm_allow http://auth.test [::1]:5000;
        oci_pass_ssl_protocols TLSv1.3; oci_pass_ssl_server_name off;
        oci_pass_ssl_name $host; oci_pass_ssl_ciphers HIGH;
        oci_pass_proxy http://me:word@127.0.0.1:3128;
        location /off/ { oci main; oci_pass off; }
    """)
    rc, said = n.config_test()
    assert rc == 0, said
