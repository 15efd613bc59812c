"""oci_huggingface: the models of a store, for clients of the hub."""

import json
import os
import re
import urllib.parse

import pytest

from edge import fresh
from hub import MODEL, PATH, RAW, commit, manifest, push, refused, tar_of
from metrics import Metrics
from nginx import wait_for
from oci import IMAGE, absent, desc, digest, dumps, header, ok
from raw import Raw, trickle

HUB = "location / { oci_huggingface main; }"
PAGES = """
    location = /metrics { oci_metrics; access_log off; }
"""
LOG = ("log_format h '$request_method $uri $status o=$oci_operation "
       "r=$oci_repository d=$oci_digest c=$oci_cache_status';\n"
       "access_log logs/hub.log h;")
SERVER = dict(http=LOG, server=HUB + PAGES, methods="pull push delete")

FILES = {"config.json": b'{"model_type": "test"}',
         "model.safetensors": os.urandom(300000),
         "README.md": b"# A model\n",
         "empty.txt": b"",
         "tok/a.json": b"[1]",
         "tok/deep/b c+%.json": b"[2, 2]",
         "tok/deep/z.bin": os.urandom(70000)}
BIG = "model.safetensors"


def unversioned(resp):
    """Without what OCI's own answers have."""
    for name in ("Location", "Docker-Content-Digest", "Content-Encoding",
                 "Docker-Distribution-API-Version"):
        assert header(resp, name) is None, name
    return resp


def resolve(repo, rev, name):
    return "/%s/resolve/%s/%s" % (repo, urllib.parse.quote(rev, safe=""),
                                  urllib.parse.quote(name))


@pytest.fixture(scope="module")
def model(reg):
    """(id, digest of the manifest)"""
    return "Org/Model.Name", push(reg, "org/model.name", FILES, "latest",
                                  "v1.0")


@pytest.mark.smoke
@pytest.mark.parametrize("rev", [None, "main", "latest", "v1.0", "commit",
                                 "digest"])
def test_info(reg, model, rev):
    repo, d = model
    path = "/api/models/" + repo
    if rev:
        path += "/revision/" + {"commit": commit(d), "digest": d}.get(rev,
                                                                      rev)
    r = unversioned(reg.get(path))
    assert r.status_code == 200
    assert header(r, "X-Repo-Commit") == commit(d)
    info = r.json()
    assert info["id"] == info["modelId"] == repo
    assert info["sha"] == commit(d)
    assert info["private"] is info["disabled"] is False
    assert sorted(s["rfilename"] for s in info["siblings"]) == sorted(FILES)
    assert all(set(s) == {"rfilename"} for s in info["siblings"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z",
                        info["lastModified"])
    h = reg.head(path)
    assert h.status_code == 200 and h.content == b""
    assert header(h, "Content-Length") == str(len(r.content))


@pytest.mark.parametrize("yes", ["true", "True", "1"])
def test_info_with_blobs(reg, model, yes):
    repo, _ = model
    r = ok_json(reg.get("/api/models/%s?blobs=%s&expand=a&expand=b"
                        % (repo, yes)))
    for s in r["siblings"]:
        data = FILES[s["rfilename"]]
        assert s["size"] == len(data)
        assert s["lfs"]["sha256"] == digest(data)[7:]
        assert s["lfs"]["size"] == len(data)


def ok_json(r):
    assert r.status_code == 200, (r.status_code, r.text)
    assert header(r, "Content-Type") == "application/json"
    return r.json()


@pytest.mark.smoke
@pytest.mark.valgrind
def test_tree(reg, model):
    repo, d = model
    base = "/api/models/%s/tree/" % repo
    for rev in "main", commit(d):
        entries = ok_json(reg.get(base + rev + "?recursive=true&expand=false"
                                  ))
        files = {e["path"]: e for e in entries if e["type"] == "file"}
        assert set(files) == set(FILES)
        for name, data in FILES.items():
            assert files[name]["size"] == len(data)
            assert files[name]["lfs"]["oid"] == digest(data)[7:]
            assert re.fullmatch("[0-9a-f]{40}", files[name]["oid"])
            assert "xetHash" not in files[name]
        assert {e["path"] for e in entries if e["type"] == "directory"} == {
            "tok", "tok/deep"}

    def names(path, query=""):
        return {(e["type"][0], e["path"])
                for e in ok_json(reg.get(base + path + query))}
    assert names("main") == {("f", n) for n in FILES if "/" not in n} | {
        ("d", "tok")}
    assert names("main/tok") == {("f", "tok/a.json"), ("d", "tok/deep")}
    assert names("main/tok%2Fdeep", "?recursive=True") == {
        ("f", "tok/deep/b c+%.json"), ("f", "tok/deep/z.bin")}
    for folder in "nope", "to", "tok/deep/x", "config.json", "tok/..":
        refused(reg.get(base + "main/"
                        + urllib.parse.quote(folder, safe="")),
                404, "EntryNotFound", commit(d))


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("name", list(FILES))
def test_file(reg, model, name):
    repo, d = model
    data = FILES[name]
    etag = '"%s"' % digest(data)[7:]
    for rev, cached in (("main", "no-cache"), (commit(d), "immutable"),
                        (d, "immutable")):
        for verb in "resolve", "raw":
            path = resolve(repo, rev, name).replace("resolve", verb, 1)
            r = unversioned(reg.get(path, headers={
                "Accept-Encoding": "gzip, zstd, br"}))
            assert r.status_code == 200
            assert r.content == data
            assert header(r, "X-Repo-Commit") == commit(d)
            assert header(r, "ETag") == header(r, "X-Linked-Etag") == etag
            assert header(r, "X-Linked-Size") == str(len(data))
            assert header(r, "Content-Length") == str(len(data))
            assert header(r, "Accept-Ranges") == "bytes"
            assert cached in header(r, "Cache-Control")
            h = reg.head(path, headers={"Accept-Encoding": "identity"})
            same = dict(h.headers)
            for x in r.headers:
                if x not in ("Date", "X-Worker"):
                    assert same.get(x) == r.headers[x], x
    r = reg.get("/api/resolve-cache/models/%s/%s/%s" % (
        repo, commit(d), urllib.parse.quote(name)))
    assert r.content == data


@pytest.mark.smoke
@pytest.mark.parametrize("first, last", [
    (0, 0), (0, 99), (100, 199), (299999, 299999), (299000, 999999999),
    (5, ""), ("", 10), ("", 400000), (0, 299999)])
def test_range(reg, model, first, last):
    repo, d = model
    data = FILES[BIG]
    r = unversioned(reg.get(resolve(repo, commit(d), BIG), headers={
        "Range": "bytes=%s-%s" % (first, last)}))
    assert r.status_code == 206
    if first == "":
        start, end = max(0, len(data) - last), len(data)
    else:
        start = first
        end = min(len(data), last + 1 if last != "" else len(data))
    assert r.content == data[start:end]
    assert header(r, "Content-Range") == "bytes %d-%d/%d" % (
        start, end - 1, len(data))
    assert header(r, "X-Linked-Size") == str(len(data))


def test_range_that_is_none(reg, model):
    repo, _ = model
    path = resolve(repo, "main", BIG)
    for text in "bytes=300000-", "bytes=300000-300001", "bytes=9-1":
        r = refused(reg.get(path, headers={"Range": text}), 416, None)
        assert header(r, "Content-Range") == "bytes */300000"
    r = reg.get(path, headers={"Range": "bytes=0-9,20-29"})
    assert r.status_code == 206
    assert FILES[BIG][:10] in r.content and FILES[BIG][20:30] in r.content
    assert r.content.count(b"Content-Range: bytes ") == 2
    # the sort of client that reads a header of safetensors
    r = reg.get(resolve(repo, "main", "config.json"),
                headers={"Range": "bytes=0-100000"})
    assert r.status_code == 206
    assert r.content == FILES["config.json"]


@pytest.mark.parametrize("name", [BIG, "config.json"])
def test_conditions(reg, model, name):
    repo, d = model
    data = FILES[name]
    sha = digest(data)
    path = resolve(repo, "main", name)
    for method in "GET", "HEAD":
        for text in ('"%s"' % sha[7:], 'W/"%s"' % sha[7:],
                     '"a", "%s"' % sha[7:], "*"):
            r = unversioned(reg.req(method, path,
                                    headers={"If-None-Match": text}))
            assert r.status_code == 304, text
            assert r.content == b""
            assert header(r, "ETag") == '"%s"' % sha[7:]
            assert header(r, "X-Repo-Commit") == commit(d)
        for text in ('"%s"' % sha, '"%s"' % d, '"%s"' % absent()[7:],
                     '"%s"' % sha[7:-1]):
            r = reg.req(method, path, headers={"If-None-Match": text})
            assert r.status_code == 200, text
            if method == "GET":
                assert r.content == data
    half = {"Range": "bytes=2-", "If-Range": '"%s"' % sha[7:]}
    assert reg.get(path, headers=half).content == data[2:]
    half["If-Range"] = '"%s"' % sha
    assert reg.get(path, headers=half).content == data


@pytest.mark.smoke
def test_not_found(reg, model):
    repo, d = model
    for what in ("/api/models/%s", "/api/models/%s/tree/main",
                 "/api/models/%s/refs", "/%s/resolve/main/config.json",
                 "/api/models/%s/commits/main"):
        for other in "org/none", "none", "Org/Model.Name2":
            refused(reg.get(what % other), 404, "RepoNotFound")
            assert reg.head(what % other).status_code == 404
    for rev in ("v2", "0" * 40, absent(), "refs%2Fpr%2F1", "a" * 200,
                commit(d).upper(), commit(d)[:39]):
        for what in ("/api/models/%s/revision/%s", "/api/models/%s/tree/%s",
                     "/%s/resolve/%s/config.json"):
            refused(reg.get(what % (repo, rev)), 404, "RevisionNotFound")
    for name in ("x", "tok", "tok/deep", "config.json/x", "CONFIG.json",
                 "tok%2f%2fa.json"):
        for method in "GET", "HEAD":
            refused(reg.req(method, "/%s/resolve/main/%s" % (repo, name)),
                    404, "EntryNotFound", commit(d))
    for path in ("/api/datasets/a/b", "/datasets/a/b/resolve/main/x",
                 "/api/spaces/a/b", "/spaces/a/b/resolve/main/x"):
        refused(reg.get(path), 404, "RepoNotFound")
    for path in ("/", "/x", "/api/", "/api/models", "/api/models?search=x",
                 "/api/models/%s/discussions?x=y" % repo,
                 "/api/models/%s/xet-read-token/main" % repo):
        refused(reg.get(path), 404, None)
    refused(reg.get("/api/whoami-v2"), 401, None)


@pytest.mark.smoke
@pytest.mark.parametrize("path", [
    "/../model.name/resolve/main/config.json",
    "/org/../model.name/resolve/main/config.json",
    "/org%2f..%2fmodel.name/resolve/main/config.json",
    "/org/model.name%2f..%2fmodel.name/resolve/main/config.json",
    "/..%2f..%2fblobs/resolve/main/config.json",
    "/%2e%2e/blobs/resolve/main/config.json",
    "/org/model.name/resolve/..%2fmain/config.json",
    "/org/model.name/resolve/..%2f..%2f_tags%2flatest/config.json",
    "/org/model.name/resolve/main/..%2f..%2fx",
    "/org/model.name/resolve/main/tok%2f..%2fconfig.json",
    "/org/model.name/resolve/main/tok/%2e%2e/config.json",
    "/org/model.name/resolve/main/%2fetc%2fpasswd",
    "/org/model.name/resolve/main//etc/passwd",
    "/org/model.name/resolve/main/tok%5c..%5cconfig.json",
    "/org/model.name/resolve/main/config.json%00",
    "/org/model.name%00/resolve/main/config.json",
    "/org/model.name/resolve/main%00/config.json",
    "/org/model.name/resolve/main/config.json%0d%0aX: y",
    "/org/model.name/resolve/main/./config.json%2f.",
    "/org/model.name/resolve/main/%",
    "/org/model.name/resolve/main/config%2",
    "/_blobs/sha256/resolve/main/x",
    "/@ns/model/resolve/main/x",
    "/org/_manifests/resolve/main/x",
    "/api/models/..%2f..%2fetc",
    "/api/models/org/..%2fmodel.name/tree/main",
    "/api/models/%2e%2e/%2e%2e/tree/main"])
def test_hostile_path(model, server, path):
    with Raw(server.addr) as raw:
        r = raw.request("GET", path.replace(" ", "%20"))
    assert r.status in (400, 404), r
    if r.status == 404:
        assert r.get("X-Error-Code") in (None, "EntryNotFound",
                                         "RepoNotFound", "RevisionNotFound")
    assert b"model_type" not in r.body and b"root:" not in r.body


def test_hostile_names(reg, repo):
    """Of a manifest: none of them is ever listed or sent."""
    names = ["../up", "/etc/passwd", "a/../b", "a//b", "a\\b", "./c", ".",
             "..", "", "a\nb", "x/", "/", "ok/../../x"]
    files = {"good": b"good"}
    body, blobs = manifest(files)
    m = json.loads(body)
    for i, name in enumerate(names):
        data = b"bad %d" % i
        blobs.append(data)
        m["layers"].append(desc(data, RAW, annotations={PATH: name}))
    # and below a file, where no client could put it
    blobs.append(b"below")
    m["layers"].append(desc(b"below", RAW, annotations={PATH: "good/x"}))
    for data in blobs:
        reg.push(repo, data)
    r = reg.put_manifest(repo, "latest", dumps(m))
    assert r.status_code == 201
    listed = ok_json(reg.get("/api/models/%s/tree/main?recursive=true"
                             % repo))
    assert [e["path"] for e in listed] == ["good"]
    for name in names + ["good/x"]:
        r = reg.get("/%s/resolve/main/%s" % (
            repo, urllib.parse.quote(name, safe="")))
        assert r.status_code in (400, 404), name
        assert b"bad" not in r.content


TARRED = {"a.txt": b"A" * 1000, "dir/b.bin": os.urandom(200000),
          "none": b"", "dir/c.txt": b"C" * 513}


@pytest.mark.smoke
@pytest.mark.valgrind
def test_tar(reg, repo):
    archive = tar_of(TARRED)
    d = push(reg, repo, {"config.json": b"{}"}, tars=[archive])
    every = dict(TARRED, **{"config.json": b"{}"})
    listed = {e["path"]: e for e in ok_json(reg.get(
        "/api/models/%s/tree/main?recursive=true" % repo))
        if e["type"] == "file"}
    assert {n: e["size"] for n, e in listed.items()} == {
        n: len(x) for n, x in every.items()}
    for name, data in TARRED.items():
        path = resolve(repo, "main", name)
        r = unversioned(reg.get(path))
        assert r.status_code == 200 and r.content == data
        etag = header(r, "ETag")
        # not 64 digits: clients would take them for its sha256
        assert re.fullmatch('"[0-9a-f]{40}"', etag)
        assert "lfs" not in listed[name]
        assert header(r, "X-Linked-Etag") == etag
        assert header(r, "X-Linked-Size") == str(len(data))
        h = reg.head(path)
        assert header(h, "Content-Length") == str(len(data))
        assert header(h, "ETag") == etag
        assert reg.get(path, headers={"If-None-Match": etag}
                       ).status_code == 304
        assert header(r, "X-Repo-Commit") == commit(d)
    assert len({header(reg.head(resolve(repo, "main", n)), "ETag")
                for n in TARRED}) == len(TARRED)


@pytest.mark.parametrize("size", ["small", "large"])
def test_range_within_a_tar(reg, repo, size):
    """Never a byte of what lies beside the file."""
    data = os.urandom(5000)
    files = {"before": b"<" * 600, "it": data, "after": b">" * 600}
    if size == "large":
        files["far"] = os.urandom(2000000)
    push(reg, repo, {"c": b"{}"}, tars=[tar_of(files)])
    path = resolve(repo, "main", "it")

    def get(text):
        return reg.get(path, headers={"Range": "bytes=" + text})
    for text, start, end in (("0-", 0, 5000), ("0-99999999", 0, 5000),
                             ("-99999999", 0, 5000), ("4999-5000", 4999,
                                                      5000),
                             ("100-199", 100, 200), ("-1", 4999, 5000)):
        r = get(text)
        assert r.status_code == 206
        assert r.content == data[start:end]
        assert header(r, "Content-Range") == "bytes %d-%d/5000" % (start,
                                                                   end - 1)
    for text in "5000-", "5000-5001", "6000-7000":
        r = refused(get(text), 416, None)
        assert header(r, "Content-Range") == "bytes */5000"
    r = get("0-0,4990-6000")
    assert r.status_code == 206
    assert data[4990:] in r.content and b">>>" not in r.content
    assert b"<<<" not in r.content and b"/5000\r\n" in r.content


def test_not_a_tar(reg, repo):
    """Its other layers are a model still."""
    push(reg, repo, {"c": b"{}"}, tars=[os.urandom(5000), b"", tar_of(
        {"../x": b"bad", "good": b"1"}), tar_of(TARRED)[:3000]])
    listed = ok_json(reg.get("/api/models/%s/tree/main?recursive=true"
                             % repo))
    assert [e["path"] for e in listed] == ["c", "good"]


@pytest.mark.smoke
def test_methods(reg, model):
    repo, _ = model
    for path in ("/api/models/%s" % repo, resolve(repo, "main", BIG),
                 "/api/models/%s/refs" % repo):
        for method in "POST", "PUT", "DELETE", "PATCH":
            r = refused(reg.req(method, path, data=b"x" * 100), 405, None)
            assert header(r, "Allow") == "GET, HEAD"
    path = "/api/models/%s/paths-info/main" % repo
    for method in "GET", "HEAD", "PUT":
        r = refused(reg.req(method, path), 405, None)
        assert header(r, "Allow") == "POST"
    for path in ("/api/models/%s/commit/main" % repo, "/api/repos/create",
                 "/api/models/%s/preupload/main" % repo):
        refused(reg.post(path, data=b"{}"), 405, None)


@pytest.mark.smoke
def test_pull_is_a_right(factory):
    n = factory(server=HUB.replace(
        "}", "oci_methods push delete; }"))
    c = n.client()
    push(c, "m", FILES)
    for path in ("/api/models/m", "/m/resolve/main/config.json",
                 "/api/models/m/refs"):
        r = refused(c.get(path), 405, None)
        assert header(r, "Allow") == ""
    refused(c.post("/api/models/m/paths-info/main", data={"paths": "x"}),
            405, None)


@pytest.mark.smoke
def test_membership(factory):
    """What a repository does not hold is not shown by way of it."""
    n = factory(location="oci_sparse on;", server=HUB)
    c = n.client()
    secret = os.urandom(5000)
    archive = tar_of({"secret-name": b"hidden", "b": os.urandom(3000)})
    d = push(c, "mine", {"secret": secret}, tars=[archive])
    for path in ("/api/models/yours/revision/" + commit(d),
                 "/yours/resolve/%s/secret" % commit(d),
                 "/yours/resolve/%s/secret" % d):
        refused(c.get(path), 404, "RepoNotFound")
    # a manifest alone gives no right to what it names
    body, _ = manifest({"secret": secret}, [archive])
    for _ in range(4):
        assert fresh(n, "GET", "/api/models/mine").status_code == 200
    assert c.put_manifest("yours", "latest", body).status_code == 201
    for _ in range(4):
        r = fresh(n, "GET", "/api/models/yours")
        assert [s["rfilename"] for s in r.json()["siblings"]] == ["secret"]
        refused(fresh(n, "GET", "/yours/resolve/main/secret"), 404,
                "EntryNotFound")
        refused(fresh(n, "GET", "/yours/resolve/main/secret-name"), 404,
                "EntryNotFound", commit(d))
        assert fresh(n, "GET", "/mine/resolve/main/secret-name"
                     ).content == b"hidden"
    # once it holds the archive it has its files
    c.push("yours", archive)
    for _ in range(6):
        r = fresh(n, "GET", "/yours/resolve/main/secret-name")
        assert r.content == b"hidden"


def test_namespaces(factory):
    n = factory(v2="", server="""
        location /v2/ { oci main; oci_methods pull push;
            oci_namespace $arg_ns allow=a allow=b; }
        location / { oci_huggingface main;
            oci_namespace $arg_ns allow=a allow=b; }""")
    c = n.client()
    body, blobs = manifest({"f": b"1"})
    for b in blobs:
        loc = c.post("/v2/m/blobs/uploads/?ns=a").headers["Location"]
        r = c.put(loc + ("&" if "?" in loc else "?") + "ns=a&digest="
                  + digest(b), data=b)
        assert r.status_code == 201, r.text
    r = c.put("/v2/m/manifests/latest?ns=a", data=body,
              headers={"Content-Type": IMAGE})
    assert r.status_code == 201
    assert c.get("/m/resolve/main/f?ns=a").content == b"1"
    refused(c.get("/m/resolve/main/f?ns=b"), 404, "RepoNotFound")
    refused(c.get("/m/resolve/main/f?ns=c"), 404, "RepoNotFound")
    refused(c.get("/m/resolve/main/f"), 404, "RepoNotFound")


@pytest.mark.parametrize("base", ["/hf", "/a/b", "/hf.x/"])
def test_below_a_path(factory, base):
    n = factory(server="""location %s { oci_huggingface main
        main=stable prefix=models/x/; }""" % base)
    c = n.client()
    d = push(c, "models/x/org/m", FILES, "stable")
    push(c, "org/m", {"wrong": b"1"}, "latest", "stable")
    base = base.rstrip("/")
    assert ok_json(c.get(base + "/api/models/Org/M"))["sha"] == commit(d)
    assert c.get(base + "/Org/M/resolve/main/config.json").content == FILES[
        "config.json"]
    refused(c.get(base + "/api/models/Org/M/revision/latest"), 404,
            "RevisionNotFound")
    refused(c.get(base + "/api/models/x/org/m"), 404, None)
    assert c.get("/Org/M/resolve/main/config.json").status_code == 404
    # an escape of what the location's name says is not seen through
    with Raw(n.addr) as raw:
        r = raw.request("GET", base.replace("h", "%68").replace("a", "%61")
                        + "/api/models/Org/M")
        assert r.status == 404


def test_paths_info(reg, model):
    repo, d = model
    path = "/api/models/%s/paths-info/main" % repo
    want = ["config.json", "tok", "nope", "../x", "tok/deep/b c+%.json", ""]

    def seen(r):
        return [(e["type"], e["path"]) for e in ok_json(r)]
    found = [("file", "config.json"), ("directory", "tok"),
             ("file", "tok/deep/b c+%.json")]
    r = reg.post(path, data={"paths": want, "expand": False})
    assert seen(r) == found
    assert "lastCommit" not in r.text
    r = reg.post(path, data={"paths": want, "expand": "True"})
    assert r.json()[0]["lastCommit"]["id"] == commit(d)
    r = reg.post(path, json={"paths": want, "expand": False})
    assert seen(r) == found
    assert seen(reg.post(path, data={})) == []
    # longer than a buffer: by way of a file
    many = ["x" * 200 + str(i) for i in range(400)] + ["README.md"]
    assert seen(reg.post(path, data={"paths": many})) == [
        ("file", "README.md")]
    refused(reg.post(path, data={"paths": ["x"] * 1001}), 400, None)
    refused(reg.post(path, data=b"[1", headers={
        "Content-Type": "application/json"}), 400, None)
    refused(reg.post("/api/models/none/paths-info/main",
                     data={"paths": "x"}), 404, "RepoNotFound")
    r = reg.post(path, data=b"x" * 1100000)
    assert r.status_code == 413
    assert "error" in r.json()


@pytest.mark.parametrize("piece", [3000, 7001, 16000])
def test_paths_info_in_parts(model, server, piece):
    """A body that comes bit by bit, within and beyond nginx's buffers."""
    repo, _ = model
    for n in 10, 300, 700:
        body = b"&".join([b"paths=" + b"x" * 50] * n + [b"paths=README.md"])
        with Raw(server.addr) as raw:
            raw.head("POST", "/api/models/%s/paths-info/main" % repo,
                     ("Content-Length", str(len(body))),
                     ("Content-Type", "application/x-www-form-urlencoded"))
            trickle(raw, body, piece, 0.02)
            r = raw.response("POST")
        assert r.status == 200, r
        assert [e["path"] for e in r.json()] == ["README.md"]


def test_refs_and_commits(reg, repo):
    a = push(reg, repo, {"f": b"1"}, "v1")
    none = ok_json(reg.get("/api/models/%s/refs" % repo))
    assert none["branches"] == [] and none["converts"] == []
    assert [t["name"] for t in none["tags"]] == ["v1"]
    b = push(reg, repo, {"f": b"2"}, "latest")
    refs = ok_json(reg.get("/api/models/%s/refs" % repo))
    assert refs["branches"] == [{"name": "main", "ref": "refs/heads/main",
                                 "targetCommit": commit(b)}]
    assert {t["name"]: t["targetCommit"] for t in refs["tags"]} == {
        "v1": commit(a), "latest": commit(b)}
    assert refs["tags"][0]["ref"].startswith("refs/tags/")
    for rev in "main", commit(b):
        log = ok_json(reg.get("/api/models/%s/commits/%s" % (repo, rev)))
        assert [x["id"] for x in log] == [commit(b)]
    refused(reg.get("/api/models/%s/commits/none" % repo), 404,
            "RevisionNotFound")


def test_tag_moves(server, reg, repo):
    old = push(reg, repo, {"f": b"old"})
    for _ in range(6):
        assert fresh(server, "GET", resolve(repo, "main", "f")
                     ).content == b"old"
    new = push(reg, repo, {"f": b"new"})
    for _ in range(6):
        r = fresh(server, "GET", resolve(repo, "main", "f"))
        assert r.content == b"new"
        assert header(r, "X-Repo-Commit") == commit(new)
        # who began with the old one ends with it
        r = fresh(server, "GET", resolve(repo, commit(old), "f"))
        assert r.content == b"old"
        assert "immutable" in header(r, "Cache-Control")
    assert reg.delete("/v2/%s/manifests/%s" % (repo, old)).status_code == 202
    for _ in range(6):
        for rev in commit(old), old:
            refused(fresh(server, "GET", resolve(repo, rev, "f")), 404,
                    "RevisionNotFound")
            refused(fresh(server, "HEAD", resolve(repo, rev, "f")), 404,
                    "RevisionNotFound")
    assert reg.delete("/v2/%s/blobs/%s" % (repo, digest(b"new"))
                      ).status_code == 202
    refused(reg.get(resolve(repo, "main", "f")), 404, "EntryNotFound")


def test_many_files(server, reg, repo):
    """A manifest longer than what the zone keeps of one."""
    files = {"d%d/f%d.bin" % (i % 7, i): b"%d" % i for i in range(700)}
    d = push(reg, repo, files)
    for _ in range(4):
        r = ok_json(fresh(server, "GET", "/api/models/%s" % repo))
        assert {s["rfilename"] for s in r["siblings"]} == set(files)
        listed = ok_json(fresh(server, "GET",
                               "/api/models/%s/tree/%s?recursive=true"
                               % (repo, commit(d))))
        assert {e["path"] for e in listed if e["type"] == "file"} == set(
            files)
        for name in "d0/f0.bin", "d6/f699.bin":
            r = fresh(server, "GET", resolve(repo, commit(d), name))
            assert r.content == files[name]
    assert len(ok_json(reg.get("/api/models/%s/tree/main" % repo))) == 7


def test_same_content_twice(reg, repo):
    """Two paths of one blob; of one path twice the later layer counts."""
    push(reg, repo, {"a": b"same", "b": b"same", "e": b"", "f": b""})
    for name, data in (("a", b"same"), ("b", b"same"), ("e", b""),
                       ("f", b"")):
        assert reg.get(resolve(repo, "main", name)).content == data
    body, blobs = manifest({"x": b"1"})
    m = json.loads(body)
    m["layers"].append(desc(b"2", RAW, annotations={PATH: "x"}))
    for data in blobs + [b"2"]:
        reg.push(repo, data)
    assert reg.put_manifest(repo, "latest", dumps(m)).status_code == 201
    assert reg.get(resolve(repo, "main", "x")).content == b"2"


def test_no_model(reg, repo):
    reg.push_image(repo, "latest")
    refused(reg.get("/api/models/" + repo), 404, "RepoNotFound")
    refused(reg.get(resolve(repo, "main", "x")), 404, "RepoNotFound")
    m = reg.image(repo)
    reg.put_manifest(repo, digest(m), m)
    reg.put_manifest(repo, "index", reg.index([m]),
                     "application/vnd.oci.image.index.v1+json")
    refused(reg.get("/api/models/%s/revision/index" % repo), 404,
            "RepoNotFound")


def test_size_that_is_wrong(factory):
    """A manifest may say anything of a blob's size."""
    n = factory(location="oci_sparse on;", server=HUB)
    n.allow(r"bytes, its manifest says")
    c = n.client()
    body, blobs = manifest({"f": b"12345"})
    m = json.loads(body)
    m["layers"][0]["size"] = 4
    for data in blobs:
        c.push("m", data)
    r = c.put_manifest("m", "latest", dumps(m))
    if r.status_code != 201:
        assert r.status_code == 400
        return
    r = c.get("/m/resolve/main/f")
    assert r.status_code == 500
    assert b"1234" not in r.content


def test_logins(factory):
    n = factory(files={"htpasswd": "u:{PLAIN}p\n"}, server="""
        location / { oci_huggingface main; auth_basic hub;
                     auth_basic_user_file @PREFIX@/files/htpasswd; }
        location /closed/ { oci_huggingface main; deny all; }""")
    c = n.client()
    push(c, "m", FILES)
    r = refused(c.get("/api/models/m"), 401, "RepoNotFound")
    assert header(r, "WWW-Authenticate") == 'Basic realm="hub"'
    r = c.get("/m/resolve/main/config.json", auth=("u", "p"))
    assert r.content == FILES["config.json"]
    refused(c.get("/closed/api/models/m"), 403, "GatedRepo")


def test_too_many_requests(factory):
    n = factory(http="limit_req_zone $binary_remote_addr zone=l:1m rate=1r/m;",
                server="location / { oci_huggingface main; "
                       "limit_req zone=l; }")
    n.allow(r"limiting requests")
    c = n.client()
    assert c.get("/api/models/m").status_code == 404
    r = refused(c.get("/api/models/m"), 429, None)
    assert header(r, "Retry-After") == "1"


def test_what_is_counted(factory):
    n = factory(workers=1, http=LOG, server=HUB + PAGES)
    c = n.client()
    push(c, "m", FILES)
    c.get("/api/models/M")
    c.get("/api/models/m/tree/main")
    c.get("/M/resolve/main/" + BIG)
    c.head("/m/resolve/main/" + BIG)
    c.get("/m/resolve/main/none")
    c.get("/what")
    m = Metrics(c.get("/metrics").text)
    name = "requests_total"
    assert m.get(name, operation="hub_info", status="2xx") == 2
    assert m.get(name, operation="hub_file", status="2xx") == 2
    assert m.get(name, operation="hub_file", status="4xx") == 1
    assert m.get("sent_bytes_total", source="file") == 300000

    def lines():
        with open(os.path.join(n.prefix, "logs", "hub.log"), encoding="ascii") as f:
            return f.read().splitlines()
    wait_for("the log", lambda: any("/what" in x for x in lines()))
    log = lines()
    d = digest(FILES[BIG])
    assert any(x.startswith("GET /M/resolve/main/model.safetensors 200 "
                            "o=pull r=m d=%s" % d) for x in log), log
    assert any(x.startswith("GET /api/models/M 200 o=pull r=m") for x in log)
    assert any("/what 404 o=- r=-" in x for x in log)


def test_within_a_location(factory):
    """An "if" and a "limit_except" are the location's; another is not."""
    n = factory(server="""
        location /hf/ {
            oci_huggingface main;
            if ($arg_x) { add_header X-If yes always; }
            limit_except GET POST { deny all; }
            location /hf/sub/ { return 200 sub; }
            location /hf/v2/ { }
        }
        location ~ ^/api/ { oci_huggingface main; }
        location /re/ { rewrite ^/re(/.*)$ /hf$1 last; }
        """)
    c = n.client()
    push(c, "m", FILES)
    r = c.get("/hf/m/resolve/main/config.json?x=1")
    assert r.content == FILES["config.json"]
    assert header(r, "X-If") == "yes"
    assert c.get("/hf/m/resolve/main/config.json").status_code == 200
    refused(c.put("/hf/m/resolve/main/config.json", data=b"x"), 403,
            "GatedRepo")
    assert c.get("/hf/sub/m").text == "sub"
    assert c.get("/hf/v2/m/manifests/latest").status_code == 404
    assert ok_json(c.get("/api/models/m"))["id"] == "m"
    assert c.get("/re/m/resolve/main/config.json").content == FILES[
        "config.json"]
    # what is escaped twice is not guessed at after a rewrite
    assert c.get("/re/m/resolve/main/config%252ejson").status_code == 400


def test_registry_within_a_location(factory):
    """A location inside is none, unless it says so."""
    n = factory(v2="", server="""
        location / {
            oci_huggingface main;
            location /v2/ { }
            location /v2/a/ { oci main; }
        }""")
    r = fresh(n, "GET", "/v2/")
    assert r.status_code in (403, 404)
    assert header(r, "Docker-Distribution-API-Version") is None
    r = fresh(n, "GET", "/v2/a/tags/list")
    assert header(r, "Docker-Distribution-API-Version") == "registry/2.0"


def test_never_compressed(factory):
    """What is compressed for /v2/ is sent here as it is."""
    n = factory(**dict(SERVER, http=LOG + "\noci_zstd on;"))
    c = n.client()
    files = {"vocab.txt": b"a word\n" * 2000}
    d = push(c, "re/m", files, tars=[tar_of({"in.txt": b"b word\n" * 2000})])
    zstd = {"Accept-Encoding": "zstd"}
    blobs = [digest(data) for data in files.values()] + [
        x["digest"] for x in c.manifest("re/m", d).json()["layers"]]
    for path in ["blobs/" + b for b in blobs] + ["manifests/latest"]:
        for _ in range(3):
            r = fresh(n, "GET", "/v2/re/m/" + path, headers=zstd, stream=True)
            assert r.status_code == 200
            r.raw.read()
    assert header(r, "Content-Encoding") == "zstd"
    for name, data in dict(files, **{"in.txt": b"b word\n" * 2000}).items():
        for _ in range(3):
            r = fresh(n, "GET", resolve("re/m", "main", name), headers=zstd,
                      stream=True)
            assert r.status_code == 200
            assert header(r, "Content-Encoding") is None
            assert r.raw.read() == data
    assert json.loads(fresh(n, "GET", "/api/models/re/m", headers=zstd,
                            stream=True).raw.read())["sha"] == commit(d)


@pytest.mark.parametrize("text, why", [
    ("oci_huggingface none;", 'unknown "oci_store" zone "none"'),
    ("oci_huggingface main main=a/b;", 'invalid parameter "main=a/b"'),
    ("oci_huggingface main prefix=A;", 'invalid parameter "prefix=A"'),
    ("oci_huggingface main prefix=;", 'invalid parameter "prefix="'),
    ("oci_huggingface off;", "needs the zone of a store"),
    ("oci_huggingface main x=1;", 'invalid parameter "x=1"'),
    ("oci_huggingface main; oci_huggingface main;", "is duplicate"),
    ("oci_huggingface main; oci main;", "is duplicate"),
    ("oci main; oci_huggingface main;", "is duplicate")])
def test_configuration(factory, text, why):
    n = factory(start=False, server="location /x/ { %s }" % text)
    rc, said = n.config_test()
    assert rc != 0
    assert why in said


def test_other_families(reg, repo):
    """Docker's models, ORAS' titles: they have files too."""
    def one(name, media_type, key):
        body = dumps({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": desc(b"{}", "application/vnd.docker.ai.model.config"
                                  ".v0.2+json"),
            "layers": [desc(b"data", media_type, annotations={key: name})]})
        reg.push(repo, b"{}")
        reg.push(repo, b"data")
        assert reg.put_manifest(repo, "latest", body).status_code == 201
        r = reg.get(resolve(repo, "main", name))
        assert r.status_code == 200 and r.content == b"data", (name, r.text)
    one("m.gguf", "application/vnd.docker.ai.gguf.v3", PATH)
    one("sub/o.bin", "application/octet-stream",
        "org.opencontainers.image.title")
    assert MODEL
    assert ok(reg.manifest(repo, "latest"), 200).status_code == 200
