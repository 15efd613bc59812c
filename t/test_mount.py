"""Mounts across repositories."""

import os

import pytest

from oci import absent, digest, error, location, ok, unique


def mount(reg, repo, d, source=None, status=201):
    query = "?mount=" + d + ("&from=" + source if source else "")
    r = ok(reg.post("/v2/%s/blobs/uploads/%s" % (repo, query)), status)
    if status == 201:
        assert r.headers["Location"] == "/v2/%s/blobs/%s" % (repo, d)
        assert r.headers["Docker-Content-Digest"] == d
        assert r.headers["Content-Length"] == "0"
    return r


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_mount_from(reg, repo, alg):
    data = unique()
    a, b = repo + "/a", repo + "/b"
    d = reg.push(a, data, alg)
    mount(reg, b, d, a)
    assert reg.blob(b, d).content == data
    one = os.stat(reg.nginx.repo(a, "_blobs", alg, d[7:]))
    two = os.stat(reg.nginx.repo(b, "_blobs", alg, d[7:]))
    assert one.st_ino == two.st_ino and one.st_nlink == 3
    # each of the two survives the other's delete
    ok(reg.delete("/v2/%s/blobs/%s" % (a, d)), 202)
    error(reg.blob(a, d), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")
    assert reg.blob(b, d).content == data


def test_mount_encoded(reg, repo):
    d = reg.push(repo + "/a")
    r = reg.post("/v2/%s/b/blobs/uploads/?from=%s&mount=%s" % (
        repo, (repo + "/a").replace("/", "%2F"), d.replace(":", "%3A")))
    ok(r, 201)


def test_mount_of_its_own(reg, repo):
    d = reg.push(repo)
    mount(reg, repo, d, repo)
    # it is here already, so a 201 would be true as well
    for source in ("&from=" + repo + "/nowhere", ""):
        r = reg.post("/v2/%s/blobs/uploads/?mount=%s%s" % (repo, d, source))
        assert r.status_code in (201, 202)


@pytest.mark.smoke
@pytest.mark.parametrize("source", ["nowhere", "with/other/content"])
def test_mount_missing(reg, repo, source):
    """202 with a session that works."""
    if source != "nowhere":
        reg.push(source)
    data = unique()
    r = mount(reg, repo, digest(data), source, 202)
    ok(reg.finish(location(r), digest(data), data), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_mount_of_what_the_source_lacks(reg, repo):
    """The store holds it, but not the repository that is named."""
    d = reg.push(repo + "/holder")
    reg.push(repo + "/source")
    for source in (repo + "/source", repo + "/nowhere"):
        location(mount(reg, repo, d, source, 202))
        assert not reg.has(repo, d)


def test_mount_without_from_is_off(reg, repo):
    d = reg.push(repo + "/a")
    r = mount(reg, repo + "/b", d, status=202)
    location(r)
    error(reg.blob(repo + "/b", d), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")


@pytest.mark.parametrize("query", [
    "?mount=sha256:bad&from=a", "?mount=&from=a", "?mount=sha256:bad",
    "?mount=md5:" + "0" * 32 + "&from=a"])
def test_mount_of_a_bad_digest(reg, repo, query):
    """Never more than an ordinary session."""
    r = reg.post("/v2/%s/blobs/uploads/%s" % (repo, query))
    if r.status_code == 202:
        location(r)
    else:
        error(r, 400, "DIGEST_INVALID")


@pytest.mark.parametrize("source", ["..", "../../blobs", "A", "_blobs", "",
                                    "a%00b", "%2e%2e", "/etc", "@x/a"])
def test_mount_from_a_bad_name(reg, repo, source):
    d = reg.push(repo + "/a")
    r = reg.post("/v2/%s/b/blobs/uploads/?mount=%s&from=%s" % (
        repo, d, source))
    if r.status_code == 202:
        location(r)
    else:
        error(r, 400, "NAME_INVALID")
    assert not reg.has(repo + "/b", d)


@pytest.mark.parametrize("way", ["%s/../%s/a", "./%s/a", "%s//a", "%s/./a",
                                 "%s/a/"])
def test_mount_from_a_roundabout_name(reg, repo, way):
    """Names that lead to the content on disk, and yet are none."""
    d = reg.push(repo + "/a")
    top = repo.split("/")[0]
    source = way % ((top, repo) if way.count("%s") == 2 else repo)
    r = ok(reg.post("/v2/%s/b/blobs/uploads/?mount=%s&from=%s" % (
        repo, d, source)), 202)
    location(r)
    assert not reg.has(repo + "/b", d)


def test_a_manifest_is_not_mounted(reg, repo):
    data = reg.index()
    assert reg.put_manifest(repo + "/a", "t", data, None).status_code == 201
    mount(reg, repo + "/b", digest(data), repo + "/a", 202)


@pytest.mark.smoke
def test_mount_any(factory):
    n = factory(location="oci_mount any;")
    c = n.client()
    data = unique()
    d = c.push("deep/down/here", data)
    mount(c, "b", d)
    assert c.blob("b", d).content == data
    mount(c, "c", d, "b")
    mount(c, "x", d, "nowhere", 202)
    mount(c, "d", absent(), status=202)
    other = c.push("e", unique(), "sha512")
    mount(c, "f", other)
    # only what a repository holds, never what is in blobs/ alone
    for name in ("deep/down/here", "b", "c"):
        ok(c.delete("/v2/%s/blobs/%s" % (name, d)), 202)
    mount(c, "g", d, status=202)


def test_mount_makes_manifests_acceptable(reg, repo):
    data = reg.image(repo + "/a")
    error(reg.put_manifest(repo + "/b", "v1", data), (400, 404),
          "MANIFEST_BLOB_UNKNOWN")
    import json
    m = json.loads(data)
    for d in [m["config"]] + m["layers"]:
        mount(reg, repo + "/b", d["digest"], repo + "/a")
    assert reg.put_manifest(repo + "/b", "v1", data).status_code == 201


USERS = {"users": "alice:{PLAIN}secret\n"}
LOGIN = 'auth_basic "r"; auth_basic_user_file @PREFIX@/files/users;'


@pytest.mark.smoke
@pytest.mark.valgrind
def test_mount_from_another_location(factory):
    """Rights belong to locations: no way round the source's login."""
    opts = "oci main; oci_methods pull push delete; oci_mount from;"
    n = factory(files=USERS, v2="""
        location /v2/ { %s }
        location /v2/open/ { %s }
        location /v2/private/ { %s %s }
        location /v2/static/ { return 200 "no registry"; }
        location /v2/limited/ { %s limit_except GET { allow all; } }
        """ % (opts, opts, LOGIN, opts, opts))
    c, alice = n.client(), n.client(auth=("alice", "secret"))
    d = alice.push("private/a")
    mount(c, "open/b", d, "private/a", 202)
    assert not c.has("open/b", d)
    mount(alice, "private/b", d, "private/a")
    mount(c, "open/b", d, "static/a", 202)
    mount(c, "open/b", d, "elsewhere", 202)
    mount(c, "open/b", d, "open/b/../../private/a".replace("..", "x"), 202)
    o = c.push("open/a")
    mount(c, "open/b", o, "open/a")
    mount(c, "elsewhere", o, "open/a", 202)
    e = c.push("limited/a")
    mount(c, "limited/b", e, "limited/a")
    r = mount(c, "open/c", d, "private/a", 202)
    ok(c.finish(location(r), digest(b"z"), b"z"), 201)


def test_mount_off(factory):
    n = factory(location="oci_mount off;")
    c = n.client()
    d = c.push("a")
    mount(c, "b", d, "a", 202)
    mount(c, "b", d, None, 202)
    assert not c.has("b", d)
