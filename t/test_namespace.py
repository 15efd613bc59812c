"""oci_namespace: registries that share a store and see nothing of each
other."""

import os

import pytest

from oci import absent, digest, error, ok, unique

SERVER = {
    "location": "oci_namespace one; oci_mount any;",
    "http": """
        server { listen 127.0.0.1:@PORT:two@;
            location /v2/ { oci main; oci_methods pull push delete;
                            oci_namespace two; oci_mount any; } }
        server { listen 127.0.0.1:@PORT:none@;
            location /v2/ { oci main; oci_methods pull push delete;
                            oci_mount any; } }
        server { listen 127.0.0.1:@PORT:arg@;
            location /v2/ { oci main; oci_methods pull push delete;
                            oci_namespace $arg_ns allow=docker.io
                            allow=ghcr.io; } }
        server { listen 127.0.0.1:@PORT:host@;
            location /v2/ { oci main; oci_methods pull push delete;
                            oci_namespace $host allow=a.example
                            allow=127.0.0.1; } }"""}


@pytest.fixture
def doors(server):
    from conftest import _client
    return {name: _client(server, "http://127.0.0.1:%d" % server.port(
        "main" if name == "one" else name))
        for name in ("one", "two", "none", "arg", "host")}


@pytest.mark.smoke
def test_apart(doors, repo):
    data = {k: unique() for k in ("one", "two", "none")}
    for k, d in data.items():
        doors[k].push(repo, d)
        doors[k].push_image(repo, k)
    for k in data:
        assert doors[k].tags(repo) == [k]
        for other, d in data.items():
            r = doors[k].blob(repo, digest(d))
            assert r.status_code == (200 if other == k else 404)
            for query in ("?mount=%s&from=%s" % (digest(d), repo),
                          "?mount=" + digest(d)):
                r = doors[k].post("/v2/%s/m/blobs/uploads/%s"
                                  % (repo, query))
                assert r.status_code == (201 if other == k else 202)


@pytest.mark.smoke
def test_on_disk(doors, repo, server):
    for k in ("one", "two", "none"):
        doors[k].push(repo)
    assert os.path.isdir(server.repo("@one/" + repo))
    assert os.path.isdir(server.repo("@two/" + repo))
    assert os.path.isdir(server.repo(repo))


def test_catalog(doors, repo):
    for k in ("one", "two", "none"):
        doors[k].push_image(repo + "/" + k, "v1")
        names = doors[k].get("/v2/_catalog").json()["repositories"]
        assert repo + "/" + k in names
        assert not [n for n in names if "@" in n]
        assert not [n for n in names if n.startswith(repo)
                    and not n.endswith("/" + k)]


def test_a_session_stays_in_its_namespace(doors, repo):
    loc = doors["one"].start(repo)
    for k in ("two", "none"):
        error(doors[k].get(loc), 404, "BLOB_UPLOAD_UNKNOWN")
        error(doors[k].patch(loc, data=b"x"), 404, "BLOB_UPLOAD_UNKNOWN")
    ok(doors["one"].get(loc), 204)


def test_a_name_is_no_way_in(doors, repo, raw):
    doors["two"].push_image(repo, "v1")
    for name in ("@two/" + repo, "%40two/" + repo):
        r = doors["none"].get("/v2/%s/manifests/v1" % name)
        error(r, 400, "NAME_INVALID")


@pytest.mark.smoke
def test_from_the_request(doors, repo, server):
    c = doors["arg"]
    for ns in ("docker.io", "ghcr.io"):
        data = c.index(annotations={"ns": ns})
        ok(c.put_manifest(repo, "v1?ns=" + ns, data, None), 201)
        assert os.path.isdir(server.repo("@%s/%s" % (ns, repo)))
        assert c.manifest(repo, "v1?ns=" + ns).content == data


@pytest.mark.smoke
@pytest.mark.parametrize("ns", ["quay.io", "..", "../..", "a/b", "%2e%2e",
                                "A", "x" * 5000, "", "%00", "docker.io%00"])
def test_not_listed(doors, repo, server, ns):
    before = os.listdir(server.path("repositories"))
    for method, tail in (("GET", "manifests/v1"), ("PUT", "manifests/v1"),
                         ("POST", "blobs/uploads/"),
                         ("GET", "blobs/" + absent())):
        r = doors["arg"].req(method, "/v2/%s/%s?ns=%s" % (repo, tail, ns),
                             data=b"{}" if method == "PUT" else None)
        error(r, (400, 403, 404), "NAME_UNKNOWN", "NAME_INVALID", "DENIED",
              "MANIFEST_UNKNOWN", "BLOB_UNKNOWN")
    assert os.listdir(server.path("repositories")) == before


def test_from_the_host(doors, repo, server):
    from raw import Raw
    c = Raw(("127.0.0.1", server.port("host")), host="a.example")
    r = c.request("PUT", "/v2/%s/manifests/v1" % repo,
                  body=doors["one"].index())
    ok(r, 201)
    assert os.path.isdir(server.repo("@a.example/" + repo))
    c = Raw(("127.0.0.1", server.port("host")), host="b.example")
    r = c.request("GET", "/v2/%s/manifests/v1" % repo)
    error(r, (400, 403, 404), "NAME_UNKNOWN", "NAME_INVALID", "DENIED",
          "MANIFEST_UNKNOWN")
