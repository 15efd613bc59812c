"""Manifests that must be refused, and that nothing of them stays."""

import json
import os

import pytest

from oci import CONFIG, DOCKER, IMAGE, INDEX, LAYER, absent, desc, digest, \
    dumps, error, ok, unique


def refused(reg, repo, data, media_type=IMAGE, status=400,
            codes=("MANIFEST_INVALID",)):
    for ref in ("v1", digest(data)):
        error(reg.put_manifest(repo, ref, data, media_type), status, *codes)
        assert reg.manifest(repo, ref).status_code == 404
    path = reg.nginx.repo(repo, "_manifests")
    assert not os.path.exists(path) or not [
        f for _, _, files in os.walk(path) for f in files]
    reg.nginx.no_tmp()


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("data", [
    b"", b" ", b"nothing", b"[]", b"1", b"null", b'"text"', b"{", b"{}}",
    b"[{}]", b'{"a":}', b"\xff\xfe", b'{"a":"\xff"}', b"{}garbage",
    b'{"schemaVersion":2,}', b"\x00", b'{"a":"\\ud800"}',
    b"\xef\xbb\xbf{}", b"{'a':1}"])
def test_not_an_object(reg, repo, data):
    refused(reg, repo, data)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("depth", [65, 100, 2000, 100000])
@pytest.mark.parametrize("form", ["array", "object"])
def test_deep(reg, repo, depth, form):
    inner = (b"[" * depth + b"]" * depth if form == "array"
             else b'{"a":' * depth + b"1" + b"}" * depth)
    refused(reg, repo, b'{"schemaVersion":2,"mediaType":"'
            + IMAGE.encode() + b'","layers":[],"x":' + inner + b"}")


def test_as_deep_as_allowed(reg, repo):
    data = reg.index(x=json.loads("[" * 40 + "]" * 40))
    ok(reg.put_manifest(repo, "v1", data, INDEX), 201)


@pytest.mark.smoke
@pytest.mark.parametrize("data", [
    b'{"schemaVersion":2,"layers":[],"layers":[]}',
    b'{"schemaVersion":2,"mediaType":"a/b","mediaType":"%s","layers":[]}'
    % IMAGE.encode(),
    b'{"schemaVersion":2,"layers":[],"\\u006cayers":[]}'])
def test_duplicate_keys(reg, repo, data):
    refused(reg, repo, data)


@pytest.mark.smoke
def test_manifests_and_layers(reg, repo):
    """Type confusion: one set of bytes must not be two kinds."""
    m = json.loads(reg.image(repo))
    m["manifests"] = []
    for media_type in (IMAGE, INDEX):
        m["mediaType"] = media_type
        refused(reg, repo, dumps(m), media_type)
    del m["mediaType"]
    refused(reg, repo, dumps(m), IMAGE)


@pytest.mark.smoke
def test_media_type_is_not_the_content_type(reg, repo):
    refused(reg, repo, reg.image(repo), INDEX)
    refused(reg, repo, reg.index(), IMAGE)
    refused(reg, repo, reg.image(repo), DOCKER)


@pytest.mark.smoke
def test_same_bytes_under_another_type(reg, repo):
    data = reg.image(repo, mediaType=None)
    other = "application/vnd.docker.distribution.manifest.v2+json"
    ok(reg.put_manifest(repo, "v1", data, IMAGE), 201)
    error(reg.put_manifest(repo, "v2", data, other), 400,
          "MANIFEST_INVALID")
    error(reg.put_manifest(repo, digest(data), data, other), 400,
          "MANIFEST_INVALID")
    assert reg.manifest(repo, "v1").headers["Content-Type"] == IMAGE
    assert reg.tags(repo) == ["v1"]
    # another repository has a record of its own
    for d in [json.loads(data)["config"]] + json.loads(data)["layers"]:
        ok(reg.post("/v2/%s/b/blobs/uploads/?mount=%s&from=%s" % (
            repo, d["digest"], repo)), 201)
    ok(reg.put_manifest(repo + "/b", "v1", data, other), 201)
    assert reg.manifest(repo, digest(data)).headers["Content-Type"] == IMAGE
    assert reg.manifest(repo + "/b", digest(data)).headers[
        "Content-Type"] == other


@pytest.mark.parametrize("media_type", [
    "text", "/", "a/", "/b", "a/b/c", "a b/c", "x" * 300 + "/y",
    "a/" + "y" * 300, "a/b\x7f"])
def test_bad_content_type(reg, repo, media_type):
    data = reg.index(mediaType=None)
    refused(reg, repo, data, media_type)


@pytest.mark.parametrize("field,value", [
    ("layers", {}), ("layers", [1]), ("layers", [{}]), ("layers", "x"),
    ("layers", [None]), ("config", []), ("config", "x"), ("config", {}),
    ("layers", [{"mediaType": LAYER, "digest": "sha256:bad", "size": 1}]),
    ("layers", [{"mediaType": LAYER, "digest": 5, "size": 1}]),
    ("layers", [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64}]),
    ("layers", [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64,
                 "size": -1}]),
    ("layers", [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64,
                 "size": "5"}]),
    ("layers", [{"mediaType": LAYER, "size": 1,
                 "digest": "sha256:../../../../etc/passwd"}]),
    ("subject", "x"), ("subject", {}), ("subject", {"digest": "x:y"}),
    ("mediaType", 5)])
def test_bad_fields(reg, repo, field, value):
    data = reg.image(repo, **{field: value})
    refused(reg, repo, data, IMAGE if field != "mediaType" else "a/b")


@pytest.mark.parametrize("manifests", [
    {}, "x", [1], [{}], [{"mediaType": IMAGE, "digest": "no", "size": 1}]])
def test_bad_children(reg, repo, manifests):
    refused(reg, repo, reg.index(manifests=manifests), INDEX)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("what", ["layer", "config", "child", "elsewhere",
                                  "manifest-as-layer", "blob-as-child"])
def test_missing_content(reg, repo, what):
    """MANIFEST_BLOB_UNKNOWN, naming what is missing."""
    config, layer = unique(), unique()
    media_type = IMAGE
    if what != "config":
        reg.push(repo, config)
    else:
        reg.push(repo, layer)
    if what == "elsewhere":
        reg.push(repo + "/other", layer)
    data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                  "config": desc(config, CONFIG),
                  "layers": [desc(layer, LAYER)]})
    missing = config if what == "config" else layer
    if what == "child":
        missing = reg.image(repo)
        data, media_type = reg.index([missing]), INDEX
    if what == "manifest-as-layer":
        missing = reg.index()
        ok(reg.put_manifest(repo + "/m", "t", missing, INDEX), 201)
        data = reg.image(repo + "/m", layers=0)
        m = json.loads(data)
        m["layers"] = [desc(missing, INDEX)]
        e = error(reg.put_manifest(repo + "/m", "x", dumps(m)), (400, 404),
                  "MANIFEST_BLOB_UNKNOWN")
        return
    if what == "blob-as-child":
        missing = reg.index()
        reg.push(repo, missing)
        data, media_type = reg.index(
            manifests=[desc(missing, INDEX)]), INDEX
    refused(reg, repo, data, media_type, (400, 404),
            ("MANIFEST_BLOB_UNKNOWN",))
    e = reg.put_manifest(repo, "v1", data, media_type).json()["errors"][0]
    assert digest(missing) in json.dumps(e)


def test_unsupported_digest_in_a_layer(reg, repo):
    """A digest that can't be checked can't be here."""
    config = unique()
    reg.push(repo, config)
    data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                  "config": desc(config, CONFIG),
                  "layers": [{"mediaType": LAYER, "size": 1,
                              "digest": "blake3:" + "0" * 64}]})
    refused(reg, repo, data, IMAGE, (400, 404),
            ("MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID"))


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_wrong_digest(reg, repo, alg):
    data = reg.image(repo)
    error(reg.put_manifest(repo, digest(data, alg), data + b"  "), 400,
          "DIGEST_INVALID")
    error(reg.put_manifest(repo, absent(alg), data), 400, "DIGEST_INVALID")
    assert reg.manifest(repo, digest(data, alg)).status_code == 404


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_over_the_limit(reg, raw, repo, coding):
    data = reg.index(annotations={"a": "x" * (4 << 20)})
    c = raw()
    url = "/v2/%s/manifests/big" % repo
    if coding == "length":
        r = c.request("PUT", url, ("Content-Type", INDEX), body=data)
    else:
        c.head("PUT", url, ("Content-Type", INDEX),
               ("Transfer-Encoding", "chunked"))
        for i in range(0, len(data), 1 << 20):
            c.try_send(b"%x\r\n" % len(data[i:i + (1 << 20)])
                       + data[i:i + (1 << 20)] + b"\r\n")
        c.try_send(b"0\r\n\r\n")
        r = c.response()
    error(r, 413, "SIZE_INVALID", "MANIFEST_INVALID")
    assert reg.manifest(repo, "big").status_code == 404


def test_another_limit(factory):
    n = factory(location="oci_manifest_max_size 2k;")
    c = n.client()
    for size, status in ((1000, 201), (3000, 413)):
        data = c.index(annotations={"a": "x" * size})
        r = c.put_manifest("a", "t%d" % size, data, INDEX)
        assert r.status_code == status, r.text
    # blobs are not meant
    d = c.push("a", unique(10000))
    assert c.has("a", d)


@pytest.mark.parametrize("media_type", [
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json"])
def test_schema_1(reg, repo, media_type):
    data = dumps({"schemaVersion": 1, "name": "x", "tag": "y",
                  "fsLayers": [], "history": []})
    refused(reg, repo, data, media_type, (400, 415),
            ("MANIFEST_INVALID", "UNSUPPORTED"))


def test_cut_body(reg, raw, repo):
    data = reg.image(repo)
    c = raw()
    c.head("PUT", "/v2/%s/manifests/v1" % repo, ("Content-Type", IMAGE),
           ("Content-Length", str(len(data))))
    c.send(data[:-1])
    c.half_close()
    try:
        assert c.response().status == 400
    except ConnectionError:
        pass
    assert reg.manifest(repo, "v1").status_code == 404


def test_unknown(reg, repo):
    for ref in ("nothing", absent(), absent("sha512")):
        for _ in range(2):
            error(reg.manifest(repo, ref), 404, "MANIFEST_UNKNOWN",
                  "NAME_UNKNOWN")
    reg.push_image(repo, "here")
    for ref in ("nothing", absent(), absent("sha512")):
        error(reg.manifest(repo, ref), 404, "MANIFEST_UNKNOWN")
