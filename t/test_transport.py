"""HTTP/2, TLS, a Unix socket, and a proxy in front that ends TLS."""

import concurrent.futures
import json
import ssl
import subprocess

import httpx
import pytest

from nginx import SLOWDOWN
from oci import IMAGE, Client, add_query, desc, digest, dumps, error, header, \
    location, ok, unique
from raw import Raw

TLS = ("ssl_certificate @PREFIX@/files/cert.pem;"
       " ssl_certificate_key @PREFIX@/files/key.pem;")
V2 = "location /v2/ { oci main; oci_methods pull push delete; }"


def certificate(n):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
         n.prefix + "/files/key.pem", "-out", n.prefix + "/files/cert.pem"],
        check=True, stderr=subprocess.DEVNULL)
    return n.prefix + "/files/cert.pem"


@pytest.fixture(scope="module")
def tls():
    """https with and without HTTP/2, h2c, a socket and a TLS proxy."""
    import nginx
    n = nginx.Nginx(start=False, server=(
        "listen unix:@PREFIX@/files/reg.sock;"
        "listen 127.0.0.1:@PORT:tls@ ssl;" + TLS),
        http="""
        server { listen 127.0.0.1:@PORT:h2@ ssl http2; %s %s }
        server { listen 127.0.0.1:@PORT:h2c@ http2; %s }
        server {
            listen 127.0.0.1:@PORT:front@ ssl; %s
            location / {
                proxy_pass http://127.0.0.1:@PORT@;
                proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-Proto $scheme;
                proxy_http_version 1.1;
                proxy_request_buffering off;
                client_max_body_size 0;
            }
        }""" % (TLS, V2, V2, TLS))
    cert = certificate(n)
    n.start()
    n.cert = cert
    yield n
    n.stop()


def url(n, name):
    return "https://127.0.0.1:%d" % n.port(name)


@pytest.fixture
def h2(tls):
    ctx = ssl.create_default_context(cafile=tls.cert)
    with httpx.Client(http2=True, verify=ctx, base_url=url(tls, "h2"),
                      trust_env=False, timeout=30 * SLOWDOWN) as c:
        yield c


def push_and_pull(c, repo, base):
    """The usual way over whatever transport the client has."""
    data = unique(200000)
    r = ok(c.post("/v2/%s/blobs/uploads/" % repo), 202)
    loc = location(r)
    assert header(r, "Docker-Upload-Location") == base + loc
    r = ok(c.chunk(loc, 0, data[:100000]), 202)
    r = ok(c.patch(location(r), data=iter([data[100000:150000],
                                           data[150000:]])), 202)
    ok(c.finish(location(r), digest(data)), 201)
    assert c.blob(repo, digest(data)).content == data
    r = c.blob(repo, digest(data), Range="bytes=5-9,100-199")
    assert r.status_code == 206 and data[100:200] in r.content
    d = c.push_image(repo, "v1")
    assert c.manifest(repo, "v1").headers["Docker-Content-Digest"] == d
    ok(c.delete("/v2/%s/manifests/v1" % repo), 202)
    error(c.manifest(repo, "v1"), 404, "MANIFEST_UNKNOWN")


@pytest.mark.smoke
def test_tls(tls, repo):
    c = Client(url(tls, "tls"), verify=tls.cert)
    push_and_pull(c, repo, url(tls, "tls"))
    c.close()


@pytest.mark.smoke
def test_behind_a_proxy(tls, repo):
    """Paths survive; absolute URLs name the host that the client sees."""
    c = Client(url(tls, "front"), verify=tls.cert)
    r = ok(c.post("/v2/%s/blobs/uploads/" % repo), 202)
    assert r.headers["Location"].startswith("/v2/")
    where = r.headers["Docker-Upload-Location"]
    assert where.endswith("127.0.0.1:%d%s" % (tls.port("front"),
                                              r.headers["Location"]))
    data = unique(300000)
    ok(c.patch(r.headers["Location"], data=iter([data])), 202)
    ok(c.finish(r.headers["Location"], digest(data)), 201)
    assert c.blob(repo, digest(data)).content == data
    c.push_image(repo, "v1")
    r = ok(c.manifest(repo, "v1"), 200)
    for i in range(3):
        c.put_manifest(repo, "t%d" % i, r.content)
    r = ok(c.get("/v2/%s/tags/list?n=2" % repo), 200)
    assert r.headers["Link"].startswith("</v2/")
    c.close()


def test_public_url(factory):
    n = factory(location="oci_public_url https://registry.example:8443;")
    c = n.client()
    r = ok(c.post("/v2/a/blobs/uploads/"), 202)
    assert r.headers["Location"].startswith("/v2/")
    assert r.headers["Docker-Upload-Location"] \
        == "https://registry.example:8443" + r.headers["Location"]
    r = ok(c.patch(r.headers["Location"], data=b"abc"), 202)
    assert r.headers["Docker-Upload-Location"].startswith(
        "https://registry.example:8443/v2/")


@pytest.mark.smoke
def test_unix_socket(tls, repo):
    c = Raw(tls.prefix + "/files/reg.sock")
    data = unique(70000)
    r = c.request("POST", "/v2/%s/blobs/uploads/" % repo, body=b"")
    loc = location(ok(r, 202))
    ok(c.request("PUT", add_query(loc, "digest=" + digest(data)),
                 body=data), 201)
    r = c.request("GET", "/v2/%s/blobs/%s" % (repo, digest(data)))
    assert r.body == data


@pytest.mark.smoke
def test_http2(tls, h2, repo):
    data = unique(300000)
    r = ok(h2.post("/v2/%s/blobs/uploads/" % repo), 202)
    assert r.http_version == "HTTP/2"
    loc = location(r)
    assert r.headers["docker-upload-location"] == url(tls, "h2") + loc
    r = ok(h2.patch(loc, content=data[:100000],
                    headers={"Content-Range": "0-99999"}), 202)
    # a body without a length
    r = ok(h2.patch(location(r), content=iter(
        [data[100000:100001], data[100001:250000], data[250000:]])), 202)
    assert r.headers["range"] == "0-299999"
    ok(h2.put(add_query(loc, "digest=" + digest(data))), 201)
    get = ok(h2.get("/v2/%s/blobs/%s" % (repo, digest(data))), 200)
    assert get.content == data
    assert get.headers["content-length"] == "300000"
    head = ok(h2.head("/v2/%s/blobs/%s" % (repo, digest(data))), 200)
    assert head.headers["content-length"] == "300000"
    r = h2.get("/v2/%s/blobs/%s" % (repo, digest(data)),
               headers={"Range": "bytes=1-2,7-"})
    assert r.status_code == 206 and data[7:] in r.content


@pytest.mark.smoke
def test_http2_errors(h2, repo):
    """
    Early refusals; the connection goes on.  The bodies fit into a stream's
    first window: nginx itself resets a stream whose larger body it skips.
    """
    data = unique(500000)
    part = data[:50000]
    loc = location(ok(h2.post("/v2/%s/blobs/uploads/" % repo), 202))
    for _ in range(3):
        r = h2.patch(loc, content=part,
                     headers={"Content-Range": "7-50006"})
        error(r, 416, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
        r = h2.post("/v2/A/blobs/uploads/", content=part)
        error(r, 400, "NAME_INVALID")
        r = h2.patch(loc, content=iter([part]),
                     headers={"Content-Range": "0-99"})
        error(r, 400, "SIZE_INVALID")
    r = h2.put("/v2/%s/manifests/x" % repo, content=data)
    error(r, 400, "MANIFEST_INVALID")
    ok(h2.get("/v2/"), 200)
    ok(h2.put(add_query(loc, "digest=" + digest(data)), content=data), 201)


def test_http2_without_tls(tls, repo):
    """curl with prior knowledge."""
    base = "http://127.0.0.1:%d/v2/%s" % (tls.port("h2c"), repo)
    data = unique(100000)
    path = tls.file("body", "")
    with open(path, "wb") as f:
        f.write(data)

    def curl(*args):
        p = subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "--noproxy", "*",
             "-o", path + ".out", "-w",
             "%{http_code} %{http_version}", *args],
            check=True, stdout=subprocess.PIPE)
        return p.stdout.decode()

    d = digest(data)
    assert curl("-X", "POST", "--data-binary", "@" + path,
                base + "/blobs/uploads/?digest=" + d) == "201 2"
    assert curl(base + "/blobs/" + d) == "200 2"
    with open(path + ".out", "rb") as f:
        assert f.read() == data
    assert curl(base + "/blobs/" + digest(b"no")) == "404 2"
    with open(path + ".out", encoding="utf-8") as f:
        assert json.load(f)["errors"][0]["code"] == "BLOB_UNKNOWN"


def test_http2_reset_in_a_body(tls, h2, repo):
    """A stream that is reset keeps what came, like a connection."""
    loc = location(ok(h2.post("/v2/%s/blobs/uploads/" % repo), 202))
    data = unique(100000)

    def body():
        yield data
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        h2.patch(loc, content=body())
    from nginx import wait_for
    c = Client(url(tls, "tls"), verify=tls.cert)

    def resume():
        r = c.patch(loc, data=b"")
        return r if r.status_code != 409 else None

    r = ok(wait_for("the session", resume), 202)
    at = int(r.headers["Range"].split("-")[1]) + 1
    at = 0 if at == 1 else at
    assert at in (0, 100000)
    ok(c.finish(loc, digest(data), data[at:]), 201)
    c.close()


@pytest.fixture(scope="module")
def slow():
    """One worker, and answers that take three seconds to send."""
    import nginx
    v2 = V2.replace("}", "oci_sparse on; limit_rate 4k; }")
    n = nginx.Nginx(start=False, workers=1, v2=v2, http="""
        server { listen 127.0.0.1:@PORT:tls@ ssl; %s %s }
        server { listen 127.0.0.1:@PORT:h2@ ssl http2; %s %s }"""
        % (TLS, v2, TLS, v2))
    cert = certificate(n)
    n.start()
    n.cert = cert
    yield n
    n.stop()


@pytest.mark.parametrize("kind", ["blobs", "manifests"])
@pytest.mark.parametrize("name", ["main", "tls", "h2"])
def test_answers_that_leave_slowly(slow, repo, name, kind):
    """What waits to be sent is nobody else's, whatever comes meanwhile."""
    c, sent = Client(slow.url), {}
    for i in range(5):
        text = "%d%s" % (i, name) * 2000
        if kind == "blobs":
            d = c.push(repo, text.encode())
            sent[d] = text.encode()
        else:
            body = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                          "layers": [], "annotations": {"x": text},
                          "config": desc(b"{}")})
            sent[digest(body)] = body
            ok(c.put_manifest(repo, digest(body), body), 201)
    base = ("http" if name == "main" else "https") + "://127.0.0.1:%d" \
        % slow.port(name)

    ctx = ssl.create_default_context(cafile=slow.cert)

    def read(d):
        with httpx.Client(base_url=base, verify=ctx, trust_env=False,
                          timeout=30 * SLOWDOWN, http2=name == "h2") as h:
            r = ok(h.get("/v2/%s/%s/%s" % (repo, kind, d)), 200)
            assert r.http_version == ("HTTP/2" if name == "h2"
                                      else "HTTP/1.1")
            return d, r.content

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for d, got in pool.map(read, 2 * list(sent)):
            assert got == sent[d]
