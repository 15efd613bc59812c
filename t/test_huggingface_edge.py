"""oci_huggingface before an upstream: models that are filled from there."""

import os

import pytest

from edge import HTTP, cache, fresh
from hub import commit, manifest, refused, tar_of
from nginx import SLOWDOWN, wait_for
from oci import digest, header

MIB = 1 << 20
WAIT = 30 * SLOWDOWN
HUB = "location / { oci_huggingface main; oci_pass %s; %s }"
FILES = {"config.json": b'{"model_type": "test"}', "README.md": b"# A\n",
         "w/model.safetensors": os.urandom(5 * MIB + 12345)}
BIG = "w/model.safetensors"
LATE = r"circuit|the answer is cut|an answer was cut|while |upstream"


def model(up, repo, files, *tags, tars=()):
    body, blobs = manifest(files, tars)
    for data in blobs:
        up.blob(repo, data)
    return up.manifest(repo, body, *(tags or ("latest",)))


@pytest.fixture
def pair(factory, upstreams):
    """An upstream and an edge for clients of the hub; small chunks."""
    def make(location="", up=None, **knobs):
        up = up or upstreams()
        n = factory(http=HTTP, v2="", server=HUB % (
            up.url, "oci_fill_chunk 1m; " + location), **knobs)
        return up, n
    return make


def get(n, path, **headers):
    return fresh(n, "GET", path, headers=headers)


def fills(n):
    return os.listdir(n.path("fills", "sha256"))


@pytest.mark.smoke
@pytest.mark.parametrize("workers", [1, 2])
def test_snapshot(pair, workers):
    """As clients do it: the revision, the tree, each file by the commit."""
    up, n = pair(workers=workers)
    d = model(up, "org/m", FILES)
    r = get(n, "/api/models/Org/M/revision/main")
    assert r.status_code == 200, r.text
    sha = r.json()["sha"]
    assert sha == commit(d) == header(r, "X-Repo-Commit")
    r = get(n, "/api/models/Org/M/tree/%s?recursive=true" % sha)
    assert {e["path"] for e in r.json() if e["type"] == "file"} == set(FILES)
    for name, data in FILES.items():
        path = "/Org/M/resolve/%s/%s" % (sha, name)
        h = fresh(n, "HEAD", path)
        assert h.status_code == 200
        assert header(h, "Content-Length") == str(len(data))
        assert header(h, "ETag") == '"%s"' % digest(data)[7:]
        assert header(h, "X-Repo-Commit") == sha
        # a HEAD fetches nothing
        assert up.count(path="/blobs/" + digest(data)) == 0
        r = get(n, path)
        assert r.status_code == 200 and r.content == data
        assert cache(r) == "FILL"
        wait_for("the fill", lambda: not fills(n), WAIT)
        r = get(n, path)
        assert r.content == data and cache(r) == "HIT"
        wait_for("the upstream to count", lambda x=digest(data), y=len(
            data): up.sent(x) == y)
    for data in FILES.values():
        assert up.sent(digest(data)) == len(data)


def test_range_of_what_is_cold(pair):
    up, n = pair("oci_fill_background off;")
    d = model(up, "m", FILES)
    data = FILES[BIG]
    path = "/m/resolve/main/" + BIG
    r = get(n, path, Range="bytes=3000000-3000099")
    assert r.status_code == 206
    assert r.content == data[3000000:3000100]
    assert header(r, "Content-Range") == "bytes 3000000-3000099/%d" % len(
        data)
    assert header(r, "X-Repo-Commit") == commit(d)
    assert up.sent(digest(data)) < len(data)
    r = refused(get(n, path, Range="bytes=%d-" % len(data)), 416, None)
    assert header(r, "Content-Range") == "bytes */%d" % len(data)
    r = get(n, path, Range="bytes=3000000-")
    assert r.content == data[3000000:]
    assert get(n, path).content == data


@pytest.mark.smoke
@pytest.mark.parametrize("chunked", [False, True])
def test_cold_tar(pair, chunked):
    """It comes once, and then its files are known, and are here."""
    up, n = pair()
    files = {"a": b"A" * 700, "big": os.urandom(3 * MIB), "b": b"B"}
    more = {"c": b"C" * 10}
    archives = [tar_of(files), tar_of(more)]
    if chunked:
        up.fault("/blobs/", chunked=True)
    model(up, "m", {"config.json": b"{}"}, tars=archives)
    r = fresh(n, "GET", "/api/models/m/tree/main?recursive=true")
    assert r.status_code == 200, r.text
    assert {e["path"] for e in r.json()} == {"a", "big", "b", "c",
                                             "config.json"}
    assert cache(r) == "FILL"
    assert int(header(r, "X-Upstream-Bytes")) >= sum(map(len, archives))
    for name, data in dict(files, **more).items():
        path = "/m/resolve/main/" + name
        assert get(n, path).content == data
        if data:
            r = get(n, path, Range="bytes=0-")
            assert r.status_code == 206 and r.content == data
    wait_for("the fills", lambda: not fills(n), WAIT)
    for a in archives:
        assert up.sent(digest(a)) == len(a)


def test_file_in_a_tar_that_is_gone(pair):
    """Its table is known; its bytes come as a range of the blob."""
    up, n = pair("oci_fill_background off;", workers=1)
    files = {"a": os.urandom(700), "big": os.urandom(5 * MIB),
             "b": os.urandom(1000)}
    archive = tar_of(files)
    model(up, "m", {"config.json": b"{}"}, tars=[archive])
    assert get(n, "/m/resolve/main/b").content == files["b"]
    wait_for("the fill", lambda: not fills(n), WAIT)
    d = digest(archive)
    os.unlink(n.repo("m", "_cached", "sha256", d[7:]))
    os.unlink(n.path("blobs", "sha256", d[7:9], d[7:]))
    up.clear()
    r = get(n, "/m/resolve/main/b", Range="bytes=100-99999999")
    assert r.status_code == 206
    assert r.content == files["b"][100:]
    assert header(r, "Content-Range") == "bytes 100-999/1000"
    assert up.sent(d) < len(archive)
    assert get(n, "/m/resolve/main/a").content == files["a"]
    assert get(n, "/m/resolve/main/big").content == files["big"]


def test_commit_that_is_not_here(pair):
    """Of a client that goes on at another edge."""
    up, n = pair(workers=1)
    old = model(up, "m", {"f": b"old"}, "v1")
    new = model(up, "m", {"f": b"new"}, "latest")
    r = get(n, "/m/resolve/%s/f" % commit(new))
    assert r.status_code == 200 and r.content == b"new"
    refused(get(n, "/m/resolve/%s/f" % commit(old)), 404,
            "RevisionNotFound")
    # a tag's is known once the tag was asked for
    assert get(n, "/m/resolve/v1/f").content == b"old"
    assert get(n, "/m/resolve/%s/f" % commit(old)).content == b"old"
    # and a whole digest needs no tag
    third = model(up, "m", {"f": b"third"}, "x")
    assert get(n, "/m/resolve/%s/f" % third).content == b"third"


def test_tag_is_asked_for(pair):
    up, n = pair("oci_valid 0;")
    model(up, "m", {"f": b"1"})
    assert get(n, "/m/resolve/main/f").content == b"1"
    r = get(n, "/m/resolve/main/f")
    assert r.content == b"1"
    model(up, "m", {"f": b"2"})
    assert get(n, "/m/resolve/main/f").content == b"2"
    refs = get(n, "/api/models/m/refs").json()
    assert [b["name"] for b in refs["branches"]] == ["main"]


def test_what_the_upstream_refuses(pair):
    up, n = pair("oci_valid_missing 0;")
    n.allow(LATE)
    refused(get(n, "/api/models/none"), 404, "RepoNotFound")
    refused(get(n, "/api/models/none/refs"), 404, "RepoNotFound")
    model(up, "m", FILES)
    assert get(n, "/api/models/m").status_code == 200
    refused(get(n, "/api/models/m/revision/v9"), 404, "RevisionNotFound")
    d = digest(FILES[BIG])
    up.fault("/blobs/" + d, status=404)
    refused(get(n, "/m/resolve/main/" + BIG), 404, "EntryNotFound")
    up.mend()
    up.too_many("/manifests/v2")
    r = refused(get(n, "/api/models/m/revision/v2"), 429, None)
    assert header(r, "Retry-After") == "1"
    up.mend()
    up.fault("/manifests/v3", status=500)
    refused(get(n, "/api/models/m/revision/v3"), 502, None)


@pytest.mark.parametrize("fault", [dict(status=404), dict(status=403),
                                   dict(flip=5000), dict(length=-512)])
def test_tar_that_can_not_be_had(pair, fault):
    """Nothing is told of what was not verified."""
    up, n = pair()
    n.allow(LATE + "|digest")
    archive = tar_of({"a": b"A", "b": os.urandom(9000)})
    model(up, "m", {"config.json": b"{}"}, tars=[archive])
    up.fault("/blobs/" + digest(archive), **fault)
    for path in "/api/models/m", "/m/resolve/main/a":
        refused(get(n, path), 502, None)
    up.mend()


def test_upstream_that_is_gone(pair):
    up, n = pair("oci_valid 0;")
    n.allow(LATE + "|connect")
    d = model(up, "m", FILES)
    path = "/m/resolve/main/config.json"
    assert get(n, path).status_code == 200
    wait_for("the fill", lambda: not fills(n), WAIT)
    up.stop()
    r = get(n, path)
    assert r.content == FILES["config.json"]
    assert header(r, "X-Repo-Commit") == commit(d)
    assert get(n, "/api/models/m").json()["sha"] == commit(d)


def test_content_that_is_wrong(pair):
    """Never whole: a client has nothing to check it by."""
    up, n = pair()
    n.allow(LATE + "|digest")
    model(up, "m", FILES)
    up.fault("/blobs/" + digest(FILES[BIG]), flip=len(FILES[BIG]) - 10)
    try:
        r = get(n, "/m/resolve/main/" + BIG)
        assert len(r.content) < len(FILES[BIG])
    except OSError:
        pass
    up.mend()


@pytest.mark.smoke
def test_right_of_each_client(pair, upstreams):
    up = upstreams(auth="bearer", users={"a": "pa", "b": "pb"})
    up.grant("a", "m")
    archive = tar_of({"in-it": b"1"})
    model(up, "m", FILES, tars=[archive])
    _, n = pair("oci_pass_auth client;", up=up)
    n.allow(LATE)

    def bearer(user):
        r = up_token(up, user)
        return {"Authorization": "Bearer " + r}
    mine, other = bearer("a"), bearer("b")
    for path in ("/api/models/m", "/m/resolve/main/README.md",
                 "/m/resolve/main/in-it", "/api/models/m/refs"):
        for _ in range(2):
            assert fresh(n, "GET", path, headers=mine).status_code == 200
    # whether there is a repository is not told where others' rights count
    refused(fresh(n, "GET", "/api/models/m/revision/v9", headers=mine), 404,
            "RepoNotFound")
    sha = fresh(n, "GET", "/api/models/m", headers=mine).json()["sha"]
    for rev in "main", "latest", sha, "v9", "0" * 40:
        for path in ("/api/models/m/revision/" + rev,
                     "/api/models/m/tree/" + rev,
                     "/m/resolve/%s/README.md" % rev,
                     "/m/resolve/%s/in-it" % rev):
            for headers in ({}, other):
                for method in "GET", "HEAD":
                    r = fresh(n, method, path, headers=headers)
                    assert r.status_code in (401, 403, 404), (path, r)
                    assert header(r, "X-Error-Code") in ("RepoNotFound",
                                                         "GatedRepo")
                    assert b"README" not in r.content
    for headers in ({}, other):
        r = fresh(n, "GET", "/api/models/m/refs", headers=headers)
        assert r.status_code in (401, 403, 404)
        r = fresh(n, "POST", "/api/models/m/paths-info/main",
                  data={"paths": "README.md"}, headers=headers)
        assert r.status_code in (401, 403, 404)


def up_token(up, user):
    """A token that the upstream gives to a user."""
    import requests
    with requests.Session() as s:
        s.trust_env = False
        r = s.get(up.url + "/v2/m/manifests/latest", timeout=10)
        challenge = r.headers["WWW-Authenticate"]
        fields = dict(x.split("=", 1) for x in challenge.partition(" ")[2]
                      .split(","))
        r = s.get(fields["realm"].strip('"'), timeout=10, params={
            "service": fields["service"].strip('"'),
            "scope": "repository:m:pull"}, auth=(user, up.users[user]))
        return r.json()["token"]


def test_token_of_the_hub_stays_here(pair):
    """It is no login for a registry, and is sent to none."""
    up, n = pair()
    model(up, "m", FILES)
    r = get(n, "/m/resolve/main/" + BIG, Authorization="Bearer hf_secret")
    assert r.content == FILES[BIG]
    assert up.requests
    for req in up.requests:
        assert "hf_secret" not in str(req.headers)


def test_namesake_at_the_upstream(factory, upstreams):
    up = upstreams()
    n = factory(http=HTTP, v2="", server="""location /hf/ {
        oci_huggingface main main=prod prefix=ai;
        oci_pass %s; }""" % up.url)
    d = model(up, "ai/org/m", FILES, "prod")
    r = get(n, "/hf/api/models/Org/M")
    assert r.status_code == 200 and r.json()["sha"] == commit(d)
    assert get(n, "/hf/Org/M/resolve/main/README.md").content == FILES[
        "README.md"]
    assert all(r.target.startswith("/v2/ai/org/m/") for r in up.seen(
        path="/(blobs|manifests)/"))
