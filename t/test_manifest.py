"""Manifests that must be taken: every shape, by tag and by digest."""

import json

import pytest

from oci import CONFIG, DOCKER, EMPTY, FOREIGN, IMAGE, INDEX, LAYER, desc, \
    digest, dumps, header, ok, unique


def check(reg, repo, ref, data, media_type, d):
    """GET and HEAD give exactly what was pushed."""
    get = ok(reg.manifest(repo, ref), 200)
    head = ok(reg.manifest(repo, ref, "HEAD"), 200)
    assert get.content == data and head.content == b""
    for r in (get, head):
        assert r.headers["Content-Type"] == media_type
        assert r.headers["Content-Length"] == str(len(data))
        assert r.headers["Docker-Content-Digest"] == d
        assert r.headers["ETag"] == '"%s"' % d
        cache = r.headers.get("Cache-Control", "")
        assert ("immutable" in cache) == (":" in ref)


def push(reg, repo, ref, data, media_type=IMAGE, d=None):
    d = d or (ref if ":" in ref else digest(data))
    r = ok(reg.put_manifest(repo, ref, data, media_type), 201)
    assert r.headers["Location"] == "/v2/%s/manifests/%s" % (repo, d)
    assert r.headers["Docker-Content-Digest"] == d
    assert r.headers["Content-Length"] == "0"
    check(reg, repo, ref, data, media_type, d)
    check(reg, repo, d, data, media_type, d)
    return r


@pytest.mark.smoke
@pytest.mark.valgrind
def test_by_tag(reg, repo):
    push(reg, repo, "v1", reg.image(repo))


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_by_digest(reg, repo, alg):
    data = reg.image(repo, alg=alg)
    push(reg, repo, digest(data, alg), data)


def test_by_both_algorithms(reg, repo):
    data = reg.image(repo)
    for alg in ("sha512", "sha256"):
        push(reg, repo, digest(data, alg), data)
    check(reg, repo, digest(data, "sha512"), data, IMAGE,
          digest(data, "sha512"))


@pytest.mark.smoke
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_tag_parameters(reg, repo, alg):
    """?tag= makes tags, named in OCI-Tag, and keeps the algorithm."""
    data = reg.image(repo, alg=alg)
    d = digest(data, alg)
    names = ["t%d" % i for i in range(10)]
    r = reg.put_manifest(repo, d + "?" + "&".join(
        "tag=" + t for t in names), data)
    ok(r, 201)
    tags = [t.strip() for t in r.headers["OCI-Tag"].split(",")]
    assert sorted(tags) == sorted(names)
    for t in names:
        check(reg, repo, t, data, IMAGE, d)
    assert reg.tags(repo) == sorted(names)


@pytest.mark.parametrize("bad", [".x", "a/b", "x" * 129, "", "a%00",
                                 "..%2F..%2Fx"])
def test_bad_tag_parameter(reg, repo, bad):
    """400 and nothing stored."""
    data = reg.image(repo)
    r = reg.put_manifest(repo, digest(data) + "?tag=good&tag=" + bad, data)
    from oci import error
    error(r, 400, "MANIFEST_INVALID", "TAG_INVALID", "UNSUPPORTED")
    assert reg.manifest(repo, digest(data)).status_code == 404
    assert reg.manifest(repo, "good").status_code == 404


def test_too_many_tag_parameters(reg, repo):
    data = reg.image(repo)
    r = reg.put_manifest(repo, digest(data) + "?" + "&".join(
        "tag=t%d" % i for i in range(3000)), data)
    if r.status_code == 201:
        assert len(reg.tags(repo)) == 3000
    else:
        assert r.status_code in (400, 414)
        assert reg.manifest(repo, digest(data)).status_code == 404


@pytest.mark.smoke
def test_tag_moves(reg, repo):
    one, two = reg.image(repo), reg.image(repo)
    push(reg, repo, "latest", one)
    push(reg, repo, "latest", two)
    check(reg, repo, digest(one), one, IMAGE, digest(one))
    push(reg, repo, "latest", one)


@pytest.mark.smoke
@pytest.mark.valgrind
def test_exact_bytes(reg, repo):
    """Spaces, order of keys, escapes, numbers: nothing is rewritten."""
    data = (b'  {\n\t"schemaVersion" : 2 , "x":1.50,"u":"\\u00e9\xc3\xa9",'
            b'"manifests":[ ] ,"big":123456789012345678,'
            b'"mediaType":"' + INDEX.encode() + b'" }\r\n\n')
    push(reg, repo, "odd", data, INDEX)


def test_chunked_body(reg, repo):
    data = reg.image(repo)
    r = reg.put_manifest(repo, "v1", iter([data[:5], data[5:]]))
    ok(r, 201)
    check(reg, repo, "v1", data, IMAGE, digest(data))


@pytest.mark.parametrize("sent,stored", [
    (IMAGE + "; charset=utf-8", IMAGE), (None, IMAGE), (IMAGE, IMAGE)])
def test_content_type_of_the_request(reg, repo, sent, stored):
    data = reg.image(repo)
    ok(reg.put_manifest(repo, "v1", data, sent), 201)
    check(reg, repo, "v1", data, stored, digest(data))


def test_without_media_type_field(reg, repo):
    data = reg.image(repo, mediaType=None)
    push(reg, repo, "v1", data)


@pytest.mark.parametrize("media_type", [
    DOCKER, "application/vnd.cncf.model.manifest.v1+json",
    "application/vnd.wasm.config.v0+json",
    "application/vnd.example.very-Odd_Type.v1+json"])
def test_media_type_is_kept(reg, repo, media_type):
    data = reg.image(repo, mediaType=media_type)
    push(reg, repo, "v1", data, media_type)


def test_docker_list(reg, repo):
    child = reg.image(repo, mediaType=DOCKER)
    push(reg, repo, digest(child), child, DOCKER)
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    data = reg.index([], mediaType=kind, manifests=[desc(child, DOCKER)])
    push(reg, repo, "v1", data, kind)


@pytest.mark.smoke
def test_index_and_nested_index(reg, repo):
    children = [reg.image(repo) for _ in range(2)]
    for c in children:
        push(reg, repo, digest(c), c)
    inner = reg.index(children)
    push(reg, repo, digest(inner), inner, INDEX)
    outer = reg.index([], manifests=[desc(inner, INDEX)])
    push(reg, repo, "outer", outer, INDEX)


@pytest.mark.parametrize("name", [
    "no-layers", "empty-index", "artifact", "no-artifact-layers", "custom",
    "data", "artifact-index", "odd-layers", "no-config"])
def test_shapes(reg, repo, name):
    empty = b"{}"
    reg.push(repo, empty)
    layer = unique()
    reg.push(repo, layer)
    media_type = IMAGE
    if name == "no-layers":
        data = reg.image(repo, layers=0)
    elif name == "empty-index":
        data, media_type = reg.index(), INDEX
    elif name == "artifact":
        data = reg.image(repo, artifactType="application/vnd.x+json",
                         config=desc(empty, EMPTY))
    elif name == "no-artifact-layers":
        data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                      "artifactType": "application/vnd.x+json",
                      "config": desc(empty, EMPTY),
                      "layers": [desc(empty, EMPTY)]})
    elif name == "custom":
        data = reg.image(repo, org={"deep": [1, {"a": None}]}, x=True)
    elif name == "data":
        data = reg.image(repo, config=dict(desc(empty, EMPTY),
                                           data="e30="))
    elif name == "artifact-index":
        data = reg.index(artifactType="application/vnd.x+json")
        media_type = INDEX
    elif name == "odd-layers":
        data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                      "config": desc(empty, "application/x.y"),
                      "layers": [desc(layer, "text/plain", foo=[1]),
                                 desc(layer, "a/b; c=d")]})
    else:
        m = json.loads(reg.image(repo))
        del m["config"]
        data = dumps(m)
    push(reg, repo, "v1", data, media_type)


def test_the_empty_descriptor(reg, repo):
    """The two bytes {} must be pushed like any other blob, or may be
    known; either way a manifest that names them after a push is good."""
    reg.push(repo, b"{}")
    data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                  "artifactType": "a/b", "config": desc(b"{}", EMPTY),
                  "layers": [desc(b"{}", EMPTY)]})
    push(reg, repo, "v1", data)


@pytest.mark.smoke
@pytest.mark.parametrize("kind", [
    FOREIGN, FOREIGN.replace("+gzip", ""), FOREIGN.replace("gzip", "zstd"),
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "urls"])
def test_foreign_layers(reg, repo, kind):
    """They need not be here."""
    config = unique()
    reg.push(repo, config)
    layer = desc(unique(), LAYER if kind == "urls" else kind)
    if kind == "urls":
        layer["urls"] = ["https://example.com/layer"]
    data = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                  "config": desc(config, CONFIG), "layers": [layer]})
    push(reg, repo, "v1", data)


@pytest.mark.smoke
def test_3_9_megabytes(reg, repo):
    notes = {"n%d" % i: "x" * 10000 for i in range(390)}
    data = reg.image(repo, annotations=notes)
    assert 3_900_000 < len(data) < 4 << 20
    r = reg.put_manifest(repo, "big", iter([data]))
    ok(r, 201)
    check(reg, repo, "big", data, IMAGE, digest(data))
    push(reg, repo, digest(data), data)


def test_if_none_match(reg, repo):
    d = reg.push_image(repo, "v1")
    for ref in ("v1", d):
        r = reg.manifest(repo, ref, **{"If-None-Match": '"%s"' % d})
        assert r.status_code == 304 and r.content == b""
        assert r.headers["Docker-Content-Digest"] == d
        r = reg.manifest(repo, ref, **{"If-None-Match": '"no"'})
        assert r.status_code == 200


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-9", "bytes=5-9"])
def test_range(reg, repo, value):
    """containerd asks for bytes=0- everywhere: right 206 or plain 200."""
    d = reg.push_image(repo)
    whole = reg.manifest(repo, d).content
    r = reg.manifest(repo, d, Range=value)
    if r.status_code == 206:
        a, b = int(value[6]), len(whole) - 1 if value.endswith("-") else 9
        assert r.headers["Content-Range"] == "bytes %d-%d/%d" % (
            a, b, len(whole))
        assert r.content == whole[a:b + 1]
    else:
        assert r.status_code == 200 and r.content == whole
        assert "Content-Range" not in r.headers


@pytest.mark.parametrize("accept", [
    "text/html", INDEX, "*/*", IMAGE + ";q=0", "nonsense", ""])
def test_accept_is_ignored(reg, repo, accept):
    d = reg.push_image(repo, "v1")
    r = reg.manifest(repo, "v1", Accept=accept)
    assert r.status_code == 200
    assert r.headers["Content-Type"] == IMAGE
    assert digest(r.content) == d


def test_many_accept_lines(raw, reg, repo):
    reg.push_image(repo, "v1")
    r = raw().request("GET", "/v2/%s/manifests/v1" % repo,
                      ("Accept", INDEX), ("Accept", IMAGE))
    assert header(r, "Content-Type") == IMAGE


@pytest.mark.smoke
def test_sparse(factory):
    n = factory(location="oci_sparse on;")
    c = n.client()
    data = c.image("a", blobs=False)
    push(c, "a", "v1", data)
    data = c.index([c.image("a", blobs=False)])
    push(c, "a", "v2", data, INDEX)
