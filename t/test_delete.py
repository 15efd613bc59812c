"""Deletes of manifests, tags and blobs."""

import os

import pytest

from oci import absent, digest, error, ok, unique


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_manifest(reg, repo, alg):
    """By digest: the tags that point at it go too, at once."""
    data = reg.image(repo)
    d = digest(data, alg)
    ok(reg.put_manifest(repo, d + "?tag=a&tag=b", data), 201)
    other = reg.push_image(repo, "c")
    for ref in ("a", "b", d):
        assert reg.manifest(repo, ref, "HEAD").status_code == 200
    r = ok(reg.delete("/v2/%s/manifests/%s" % (repo, d)), 202)
    assert r.headers.get("Docker-Content-Digest") in (None, d)
    for ref in ("a", "b", d):
        error(reg.manifest(repo, ref), 404, "MANIFEST_UNKNOWN")
        assert reg.manifest(repo, ref, "HEAD").status_code == 404
    assert reg.tags(repo) == ["c"]
    assert reg.manifest(repo, other).status_code == 200
    error(reg.delete("/v2/%s/manifests/%s" % (repo, d)), 404,
          "MANIFEST_UNKNOWN")
    assert not os.path.lexists(reg.nginx.repo(repo, "_tags", "a"))


@pytest.mark.smoke
@pytest.mark.valgrind
def test_tag(reg, repo):
    """The tag alone."""
    d = reg.push_image(repo, "a", "b")
    ok(reg.delete("/v2/%s/manifests/a" % repo), 202)
    error(reg.manifest(repo, "a"), 404, "MANIFEST_UNKNOWN")
    error(reg.delete("/v2/%s/manifests/a" % repo), 404, "MANIFEST_UNKNOWN")
    assert reg.tags(repo) == ["b"]
    assert reg.manifest(repo, d).status_code == 200
    ok(reg.delete("/v2/%s/manifests/b" % repo), 202)
    assert reg.manifest(repo, d).status_code == 200
    assert reg.tags(repo) == []


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_blob(reg, repo, alg):
    d = reg.push(repo, alg=alg)
    url = "/v2/%s/blobs/%s" % (repo, d)
    r = ok(reg.delete(url), 202)
    assert r.headers.get("Docker-Content-Digest") in (None, d)
    error(reg.get(url), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")
    assert reg.head(url).status_code == 404
    error(reg.delete(url), 404, "BLOB_UNKNOWN", "NAME_UNKNOWN")


def test_again(reg, repo):
    """What was deleted can be pushed again."""
    for _ in range(3):
        data = unique()
        for _ in range(2):
            d = reg.push(repo, data)
            assert reg.blob(repo, d).content == data
            ok(reg.delete("/v2/%s/blobs/%s" % (repo, d)), 202)
        data = reg.image(repo)
        for _ in range(2):
            ok(reg.put_manifest(repo, "v1", data), 201)
            assert reg.manifest(repo, "v1").content == data
            ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(data))),
               202)


@pytest.mark.smoke
def test_unknown(reg, repo):
    for ref in ("tag", absent(), absent("sha512")):
        error(reg.delete("/v2/%s/manifests/%s" % (repo, ref)), 404,
              "MANIFEST_UNKNOWN", "NAME_UNKNOWN")
    error(reg.delete("/v2/%s/blobs/%s" % (repo, absent())), 404,
          "BLOB_UNKNOWN", "NAME_UNKNOWN")
    assert not os.path.exists(reg.nginx.repo(repo))


def test_only_in_its_repository(reg, repo):
    data = reg.index(annotations={"x": repo})
    blob = unique()
    for r in (repo + "/a", repo + "/b"):
        reg.push(r, blob)
        ok(reg.put_manifest(r, "v1", data, None), 201)
    ok(reg.delete("/v2/%s/a/manifests/%s" % (repo, digest(data))), 202)
    ok(reg.delete("/v2/%s/a/blobs/%s" % (repo, digest(blob))), 202)
    assert reg.manifest(repo + "/b", "v1").content == data
    assert reg.blob(repo + "/b", digest(blob)).content == blob


def test_a_referenced_blob(reg, repo):
    """May be deleted: the client knows."""
    import json
    data = reg.image(repo)
    ok(reg.put_manifest(repo, "v1", data), 201)
    d = json.loads(data)["layers"][0]["digest"]
    ok(reg.delete("/v2/%s/blobs/%s" % (repo, d)), 202)
    assert reg.manifest(repo, "v1").status_code == 200


def test_a_child_of_an_index(reg, repo):
    child = reg.image(repo)
    ok(reg.put_manifest(repo, digest(child), child), 201)
    ok(reg.put_manifest(repo, "v1", reg.index([child]), None), 201)
    ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(child))), 202)
    assert reg.manifest(repo, "v1").status_code == 200


def test_in_a_row_on_one_connection(raw, reg, repo):
    """DELETE and HEAD right behind it, many times."""
    c = raw()
    for i in range(30):
        data = reg.index(annotations={"i": str(i)})
        ok(reg.put_manifest(repo, "t", data, None), 201)
        url = "/v2/%s/manifests/%s" % (repo, digest(data))
        tag = "/v2/%s/manifests/t" % repo
        assert c.request("HEAD", tag).status == 200
        assert c.request("DELETE", url if i % 2 else tag).status == 202
        assert c.request("HEAD", tag).status == 404
        assert c.request("HEAD", url).status == (404 if i % 2 else 200)
