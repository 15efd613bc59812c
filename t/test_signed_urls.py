"""oci_signed_urls: a blob by a URL that needs no login, for a while."""

import os
import threading

import pytest
import requests

from edge import by_workers, edge, fresh
from gate import wait_for
from nginx import Nginx
from oci import Client, absent, digest, error, header, ok
from raw import Raw
from test_edge_auth import LONG, OWN, Private, basic, credentials

USERS = {"users": "alice:{PLAIN}secret\n"}
BASIC = 'auth_basic "registry"; auth_basic_user_file @PREFIX@/files/users;'
ALICE = ("alice", "secret")
ON = "oci_signed_urls on;"
BLOB = os.urandom(300000)
D = digest(BLOB)


def login(n, path, method="GET", **headers):
    return fresh(n, method, path, auth=ALICE, headers=headers)


def led(r, d=D):
    """The path and query that a 307 leads to."""
    ok(r, 307)
    assert r.content == b"" and header(r, "Content-Length") == "0"
    assert header(r, "Docker-Content-Digest") == d
    assert header(r, "Cache-Control") == "no-store"
    for word in ("alice", "secret", "Basic", "Bearer"):
        assert word not in header(r, "Location")
    scheme, _, rest = header(r, "Location").partition("://")
    assert scheme in ("http", "https")
    return "/" + rest.partition("/")[2]


def parts(url):
    path, _, query = url.partition("?")
    return path, dict(a.split("=") for a in query.split("&"))


def join(path, args):
    return path + "?" + "&".join("%s=%s" % a for a in args.items())


@pytest.fixture(scope="module")
def home():
    """A registry with a login for everything, and one blob."""
    n = Nginx(start=False, methods="pull push delete", location=BASIC + ON)
    n.file("users", USERS["users"])
    n.start()
    c = Client(n.url, auth=ALICE)
    for repo in ("a", "b"):
        c.push(repo, BLOB)
    c.close()
    yield n
    n.stop()


@pytest.mark.smoke
@pytest.mark.valgrind
def test_redirect(home):
    n = home
    path = "/v2/a/blobs/" + D
    error(fresh(n, "GET", path), 401, "UNAUTHORIZED")
    r = login(n, path)
    assert header(r, "Location").startswith(n.url + path + "?")
    url = led(r)
    r = ok(fresh(n, "GET", url), 200)
    assert r.content == BLOB
    # Ollama takes the URL of the parts from the 200
    assert header(r, "Location") == url
    for first, last in (0, 9), (1000, 2999), (299990, 299999):
        r = ok(fresh(n, "GET", url, headers={
            "Range": "bytes=%d-%d" % (first, last)}), 206)
        assert r.content == BLOB[first:last + 1]
        assert header(r, "Content-Range") == "bytes %d-%d/300000" % (first,
                                                                    last)
    r = ok(fresh(n, "HEAD", url), 200)
    assert header(r, "Content-Length") == "300000"
    # a login on top changes nothing, and leads round no circle
    assert login(n, url).content == BLOB


def test_what_is_not_redirected(home):
    n = home
    path = "/v2/a/blobs/" + D
    r = ok(login(n, path, "HEAD"), 200)
    assert header(r, "Content-Length") == "300000"
    assert header(r, "Location") == path
    error(login(n, "/v2/a/blobs/" + absent()), 404, "BLOB_UNKNOWN")
    error(login(n, "/v2/a/blobs/sha256:x"), 400, "DIGEST_INVALID")
    ok(login(n, path, **{"If-None-Match": '"%s"' % D}), 304)
    ok(login(n, "/v2/"), 200)
    error(login(n, "/v2/a/manifests/v1"), 404, "MANIFEST_UNKNOWN")


@pytest.mark.smoke
@pytest.mark.parametrize("what", [
    "signature", "expires", "digest", "repository", "missing", "twice",
    "client", "upper", "zero", "other"])
def test_altered(home, what):
    n = home
    path, args = parts(led(login(n, "/v2/a/blobs/" + D)))
    ok(fresh(n, "GET", join(path, args)), 200)
    more = ""
    if what == "signature":
        last = args["oci_signature"][-1]
        args["oci_signature"] = args["oci_signature"][:-1] + (
            "0" if last != "0" else "1")
    elif what == "expires":
        args["oci_expires"] = str(int(args["oci_expires"]) + 1)
    elif what == "digest":
        c = Client(n.url, auth=ALICE)
        path = "/v2/a/blobs/" + c.push("a")
        c.close()
    elif what == "repository":
        path = path.replace("/v2/a/", "/v2/b/")
    elif what == "missing":
        del args["oci_expires"]
    elif what == "twice":
        more = "&oci_signature=" + args["oci_signature"]
    elif what == "client":
        args["oci_client"] = "0" * 32
    elif what == "upper":
        args["oci_signature"] = args["oci_signature"].upper()
        assert not args["oci_signature"].isdigit()
    elif what == "zero":
        args["oci_expires"] = "0" + args["oci_expires"]
    else:
        args["oci_signature"] = ""
    for method in "GET", "HEAD":
        r = fresh(n, method, join(path, args) + more)
        assert r.status_code == 403
        if method == "GET":
            error(r, 403, "DENIED")
            assert "oci_" not in r.text
    # a login gets the blob by a new URL
    url = led(login(n, join(path, args) + more),
              path.rpartition("/")[2])
    assert url.count("oci_signature=") == url.count("oci_expires=") == 1
    ok(fresh(n, "GET", url), 200)


def test_only_reads_of_blobs(home):
    n = home
    path, args = parts(led(login(n, "/v2/a/blobs/" + D)))
    query = join("", args)
    for method, at in (("DELETE", path), ("GET", "/v2/a/tags/list"),
                       ("GET", "/v2/"), ("GET", "/v2/a/manifests/" + D),
                       ("PUT", "/v2/a/manifests/v1"),
                       ("POST", "/v2/a/blobs/uploads/"),
                       ("GET", "/v2/a/referrers/" + D)):
        error(fresh(n, method, at + query), 401, "UNAUTHORIZED")
    assert fresh(n, "GET", join(path, args)).content == BLOB


def test_expired(factory):
    n = factory(location=BASIC + "oci_signed_urls on lifetime=1s;",
                files=USERS)
    n.client(auth=ALICE).push("a", BLOB)
    url = led(login(n, "/v2/a/blobs/" + D))
    wait_for("the end of a signed URL",
             lambda: fresh(n, "GET", url).status_code == 403)
    error(fresh(n, "GET", url), 403, "DENIED")
    assert "the time of a signed URL is over" in n.log()
    # who logs in is led on
    assert fresh(n, "GET", led(login(n, url))).content == BLOB


def test_workers_and_reload(factory):
    n = factory(location=BASIC + ON, files=USERS, workers=2)
    n.client(auth=ALICE).push("a", BLOB)
    url = led(login(n, "/v2/a/blobs/" + D))
    for r in by_workers(n, "GET", url).values():
        assert ok(r, 200).content == BLOB
    n.reload(gone=True)
    assert fresh(n, "GET", url).content == BLOB
    n.restart()
    # the zone, and its secret, are new
    error(fresh(n, "GET", url), 403, "DENIED")


def test_key_of_a_file(factory):
    """Two servers, and one after a restart, take each other's URLs."""
    key = {"key": "0123456789abcdef 0123456789abcdef\n"}
    files = dict(USERS, **key)
    with_key = BASIC + "oci_signed_urls on key=@PREFIX@/files/key;"
    one = factory(location=with_key, files=files)
    two = factory(location=with_key, files=files)
    three = factory(location=with_key,
                    files=dict(USERS, key="another one, as long as it\n"))
    for n in (one, two, three):
        n.client(auth=ALICE).push("a", BLOB)
    url = led(login(one, "/v2/a/blobs/" + D))
    assert fresh(two, "GET", url).content == BLOB
    error(fresh(three, "GET", url), 403, "DENIED")
    one.restart()
    assert fresh(one, "GET", url).content == BLOB


def test_off(factory):
    """Where it is off, a signature is an argument like any other."""
    n = factory(v2="location /v2/ { oci main; oci_methods pull push; %s %s }"
                % (BASIC, ON), files=USERS, server="""
        location /v2/off/ { oci main; oci_methods pull push;
            %s oci_signed_urls off; }
        location /v2/open/ { oci main; oci_methods pull push; %s }"""
                % (BASIC, ON))
    for repo in ("a", "off/a", "open/a"):
        n.client(auth=ALICE).push(repo, BLOB)
    _, args = parts(led(login(n, "/v2/a/blobs/" + D)))
    error(fresh(n, "GET", join("/v2/off/a/blobs/" + D, args)), 401,
          "UNAUTHORIZED")
    assert login(n, "/v2/off/a/blobs/" + D).content == BLOB
    # nobody has logged in: nothing to be carried on
    assert ok(fresh(n, "GET", "/v2/open/a/blobs/" + D), 200).content == BLOB


@pytest.mark.smoke
def test_rules_of_addresses(factory):
    """deny holds for a signed URL, unless one of both is enough."""
    one = "location /v2/ { oci main; oci_methods pull push; %s %s %s }"
    far = "allow 127.0.0.2; deny all;"
    n = factory(v2=one % (BASIC, ON, ""), files=USERS, server="""
        location /v2/near/ { oci main; oci_methods pull push; %s %s
            allow 127.0.0.1; deny all; }
        location /v2/far/ { oci main; oci_methods pull push; %s %s
            %s }
        location /v2/any/ { oci main; oci_methods pull push; %s %s
            satisfy any; %s }"""
                % (BASIC, ON, BASIC, ON, far, BASIC, ON, far))
    c = n.client(auth=ALICE)
    for repo in ("near/a", "any/a", "a"):
        c.push(repo, BLOB)
    assert fresh(n, "GET", led(login(n, "/v2/near/a/blobs/" + D))
                 ).content == BLOB
    # from 127.0.0.1 the far one is denied, with a signature that is right
    error(login(n, "/v2/far/a/blobs/" + D), 403, "DENIED")
    url = led(login(n, "/v2/any/a/blobs/" + D))
    assert ok(fresh(n, "GET", url), 200).content == BLOB
    path, args = parts(url)
    args["oci_expires"] = "1"
    error(fresh(n, "GET", join(path, args)), (401, 403), "DENIED",
          "UNAUTHORIZED")


def test_denied_afterwards(factory):
    """The address counts at each request, not when the URL was made."""
    loc = ("location /v2/ { oci main; oci_methods pull push; %s %s %%s }"
           % (BASIC, ON))
    n = factory(v2=loc % "", files=USERS)
    n.client(auth=ALICE).push("a", BLOB)
    url = led(login(n, "/v2/a/blobs/" + D))
    ok(fresh(n, "GET", url), 200)
    n.parts["V2"] = loc % "deny all;"
    n._configure()
    n.reload(gone=True)
    error(fresh(n, "GET", url), 403, "DENIED")


def test_auth_request(factory):
    """A login by a subrequest is passed by as well."""
    n = factory(location="auth_request /may; " + ON, files=USERS, server="""
        location = /may { internal;
            proxy_pass http://127.0.0.1:@PORT@/check;
            proxy_pass_request_body off; proxy_set_header Content-Length '';
        }
        location = /check { %s empty_gif; }""" % BASIC)
    n.client(auth=ALICE).push("a", BLOB)
    error(fresh(n, "GET", "/v2/a/blobs/" + D), 401, "UNAUTHORIZED")
    assert fresh(n, "GET", led(login(n, "/v2/a/blobs/" + D))
                 ).content == BLOB


def test_namespaces(factory):
    """The rest of the query stays, and what it chooses is signed."""
    n = factory(location="oci_namespace $arg_ns allow=one.test"
                " allow=two.test; " + BASIC + ON, files=USERS)
    c = n.client(auth=ALICE)
    for ns in ("one.test", "two.test"):
        r = c.post("/v2/a/blobs/uploads/?digest=%s&ns=%s" % (D, ns),
                   data=BLOB)
        ok(r, 201)
    url = led(login(n, "/v2/a/blobs/" + D + "?x=y&ns=one.test"))
    assert "?x=y&ns=one.test&oci_expires=" in url
    assert fresh(n, "GET", url).content == BLOB
    error(fresh(n, "GET", url.replace("one", "two")), 403, "DENIED")
    error(fresh(n, "GET", url.replace("ns=one.test&", "")), 403, "DENIED")


def test_another_place(factory):
    """url=: Ollama's tensor transfer takes one of another host or port."""
    n = factory(location=BASIC, files=USERS, http="""
        oci_signed_urls on url=http://127.0.0.1:@PORT:blobs@/;
        server { listen 127.0.0.1:@PORT:blobs@;
            location /v2/ { oci main; %s } }""" % BASIC)
    n.client(auth=ALICE).push("a", BLOB)
    r = login(n, "/v2/a/blobs/" + D)
    where = "http://127.0.0.1:%d/v2/a/blobs/" % n.port("blobs")
    led(r)
    assert header(r, "Location").startswith(where + D + "?")
    with requests.Session() as s:
        s.trust_env = False
        assert s.get(header(r, "Location"), timeout=30).content == BLOB
        assert s.get(where + D, timeout=30).status_code == 401


def test_public_url(factory):
    n = factory(location=BASIC + ON
                + "oci_public_url https://registry.test;", files=USERS)
    n.client(auth=ALICE).push("a", BLOB)
    r = login(n, "/v2/a/blobs/" + D)
    assert header(r, "Location").startswith(
        "https://registry.test/v2/a/blobs/%s?" % D)
    assert fresh(n, "GET", led(r)).content == BLOB


def test_without_host(home):
    c = Raw(home.addr)
    c.send(b"GET /v2/a/blobs/" + D.encode() + b" HTTP/1.0\r\nAuthorization: "
           + basic("alice", "secret").encode() + b"\r\n\r\n")
    r = c.response()
    ok(r, 307)
    assert header(r, "Location").startswith("/v2/a/blobs/%s?oci_" % D)


@pytest.mark.parametrize("args, text", [
    ("maybe", 'must be "on" or "off"'),
    ("on lifetime=0", 'invalid parameter "lifetime=0"'),
    ("on lifetime=x", 'invalid parameter "lifetime=x"'),
    ("on url=ftp://x", 'invalid parameter "url=ftp://x"'),
    ("on what=1", 'invalid parameter "what=1"'),
    ("on key=@PREFIX@/files/none", "failed (2: No such file"),
    ("on key=@PREFIX@/files/short", "is no key"),
    ("on; oci_signed_urls off", "is duplicate")])
def test_configuration(factory, args, text):
    n = factory(location="oci_signed_urls %s;" % args, start=False,
                files={"short": "0123456789abcde"})
    rc, said = n.config_test()
    assert rc != 0 and text in said, said


# ---- Ollama's client, replayed from its source

class Ollama:
    """HEAD, GET with redirects of one host, parts without Authorization."""

    def __init__(self, n, path, auth):
        self.n, self.path, self.auth = n, path, auth

    def pull(self, size, part):
        with requests.Session() as s:
            s.trust_env = False
            head = s.head(self.n.url + self.path, auth=self.auth,
                          timeout=30)
            ok(head, 200)
            assert int(header(head, "Content-Length")) == size
            r = s.get(self.n.url + self.path, auth=self.auth, timeout=30,
                      stream=True)
            assert r.status_code == 200 and r.history[0].status_code == 307
            direct = requests.compat.urljoin(r.url, header(r, "Location"))
            r.close()
        out = {}

        def get(first):
            with requests.Session() as s:
                s.trust_env = False
                last = min(first + part, size) - 1
                r = s.get(direct, timeout=30, headers={
                    "Range": "bytes=%d-%d" % (first, last)})
                out[first] = (r.status_code, r.content)

        threads = [threading.Thread(target=get, args=(first,))
                   for first in range(0, size, part)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert {s for s, _ in out.values()} == {206}, out
        return b"".join(out[k][1] for k in sorted(out))


@pytest.mark.smoke
def test_ollama(home):
    assert Ollama(home, "/v2/a/blobs/" + D, ALICE).pull(
        len(BLOB), 40000) == BLOB


@pytest.mark.smoke
def test_ollama_cold(factory, upstreams):
    """Through an edge that asks for a login and has one of its own."""
    w = Private(upstreams)
    n = edge(factory, w.up, LONG + OWN + BASIC + ON,
             files=dict(credentials(w.up), **USERS))
    data = os.urandom(3000000)
    d = w.up.blob("a", data)
    path = "/v2/a/blobs/" + d
    error(fresh(n, "GET", path), 401, "UNAUTHORIZED")
    assert Ollama(n, path, ALICE).pull(len(data), 300000) == data
    assert w.up.sent(d) <= len(data) * 1.1
    error(login(n, "/v2/a/blobs/" + absent()), 404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_right_of_a_client(factory, upstreams, auth):
    """With oci_pass_auth client a URL stands for the client's own right."""
    w = Private(upstreams, auth)
    w.n = n = edge(factory, w.up, LONG + ON + "oci_pass_auth client;"
                   "oci_fill_background off; oci_fill_chunk 64k;")
    data = os.urandom(600000)
    d = w.up.blob("a", data)
    path = "/v2/a/blobs/" + d
    alice, bob = w.login("alice"), w.login("bob", "b")
    assert fresh(n, "GET", path).status_code in (401, 403, 404)
    assert fresh(n, "GET", path, headers=bob).status_code in (401, 403, 404)
    r = fresh(n, "GET", path, headers=alice)
    url = led(r, d)
    assert alice["Authorization"].split()[1] not in header(r, "Location")
    assert "oci_client=" in url
    # cold, in the middle, without Authorization, on any worker
    for r in by_workers(n, "GET", url,
                        headers={"Range": "bytes=400000-400099"}).values():
        assert ok(r, 206).content == data[400000:400100]
    assert ok(fresh(n, "GET", url), 200).content == data
    # of its client only
    path2, args = parts(url)
    for client in ("0" * 32, None):
        other = dict(args, oci_client=client)
        if client is None:
            del other["oci_client"]
        error(fresh(n, "GET", join(path2, other)), 403, "DENIED")
    # what a client sends along is no part of it
    assert fresh(n, "GET", url, headers=bob).content == data


def test_of_another_upstream(factory, upstreams):
    """What one location has signed is nothing to one of another upstream."""
    one, two = upstreams(), upstreams()
    n = edge(factory, one, BASIC + ON, files=USERS, http="""server { listen 127.0.0.1:@PORT:other@;
            location /v2/ { oci main; oci_pass %s; %s %s } }"""
             % (two.url, BASIC, ON))
    d = one.blob("a", BLOB)
    two.blob("a", BLOB)
    url = led(login(n, "/v2/a/blobs/" + d), d)
    assert fresh(n, "GET", url).content == BLOB
    with requests.Session() as s:
        s.trust_env = False
        r = s.get("http://127.0.0.1:%d%s" % (n.port("other"), url),
                  timeout=30)
        error(r, 403, "DENIED")
