"""Referrers: the list, the filter, and what deletes do to it."""

import json
import os

import pytest

from oci import CONFIG, EMPTY, IMAGE, INDEX, absent, desc, digest, dumps, \
    ok, unique


def referrer(reg, repo, subject, i=0, ref=None, alg="sha256", **fields):
    """Pushes an artifact for a subject (its bytes); returns its bytes."""
    reg.push(repo, b"{}")
    m = {"schemaVersion": 2, "mediaType": IMAGE,
         "config": desc(b"{}", EMPTY), "layers": [desc(b"{}", EMPTY)],
         "artifactType": "application/vnd.sig+json",
         "annotations": {"i": str(i)}, "subject": desc(subject, IMAGE, alg)}
    m.update(fields)
    data = dumps({k: v for k, v in m.items() if v is not None})
    r = reg.put_manifest(repo, ref or digest(data), data, m["mediaType"])
    ok(r, 201)
    assert r.headers["OCI-Subject"] == m["subject"]["digest"]
    return data


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
@pytest.mark.parametrize("known", [False, True])
def test_unknown_subject(reg, repo, alg, known):
    """200 and an empty index, whether the repository exists or not."""
    if known:
        reg.push_image(repo, "v1")
    r, found = reg.referrers(repo, absent(alg))
    assert found == []
    assert r.headers["Content-Length"] == str(len(r.content))
    zero = alg + ":" + "0" * (64 if alg == "sha256" else 128)
    assert reg.referrers(repo, zero)[1] == []


@pytest.mark.smoke
@pytest.mark.valgrind
def test_list(reg, repo):
    subject = reg.image(repo)
    ok(reg.put_manifest(repo, "v1", subject), 201)
    sent = [referrer(reg, repo, subject, i, "tag%d" % i if i % 2 else None)
            for i in range(5)]
    _, found = reg.referrers(repo, digest(subject))
    assert {d["digest"] for d in found} == {digest(s) for s in sent}
    for i, s in enumerate(sent):
        d = [d for d in found if d["digest"] == digest(s)][0]
        assert d == {"mediaType": IMAGE, "digest": digest(s),
                     "size": len(s), "annotations": {"i": str(i)},
                     "artifactType": "application/vnd.sig+json"}


@pytest.mark.smoke
def test_missing_subject(reg, repo):
    """Taken all the same, and listed."""
    subject = unique()
    data = referrer(reg, repo, subject)
    assert [d["digest"] for d in reg.referrers(repo, digest(subject))[1]] \
        == [digest(data)]


def test_artifact_type_of_the_config(reg, repo):
    subject = reg.image(repo)
    config = unique()
    reg.push(repo, config)
    referrer(reg, repo, subject, artifactType=None,
             config=desc(config, CONFIG))
    d = reg.referrers(repo, digest(subject))[1][0]
    assert d["artifactType"] == CONFIG


def test_index_as_referrer(reg, repo):
    subject = unique()
    for kind in ("application/vnd.x+json", None):
        data = reg.index(subject=desc(subject, IMAGE), artifactType=kind,
                         annotations={"k": "é\u2028\"\\"})
        r = ok(reg.put_manifest(repo, digest(data), data, INDEX), 201)
        assert r.headers["OCI-Subject"] == digest(subject)
        d = [d for d in reg.referrers(repo, digest(subject))[1]
             if d["digest"] == digest(data)][0]
        assert d.get("artifactType") == kind
        assert d["mediaType"] == INDEX
        assert d["annotations"] == {"k": "é\u2028\"\\"}


@pytest.mark.smoke
def test_filter(reg, repo):
    subject = unique()
    kinds = ["a/x", "a/x", "a/y", "a/z+json", CONFIG]
    sent = [referrer(reg, repo, subject, i, artifactType=k)
            for i, k in enumerate(kinds)]
    for kind in ("a/x", "a/y", "a/z+json", CONFIG, "a/none", "a/"):
        for text in (kind, kind.replace("/", "%2F").replace("+", "%2B")):
            r, found = reg.referrers(repo, digest(subject),
                                     "?artifactType=" + text)
            assert r.headers["OCI-Filters-Applied"] == "artifactType"
            assert {d["digest"] for d in found} == {
                digest(s) for s, k in zip(sent, kinds) if k == kind}
    r, found = reg.referrers(repo, digest(subject))
    assert "OCI-Filters-Applied" not in r.headers and len(found) == 5


def test_empty_filter(reg, repo):
    """The key counts, not its value: only those without a type."""
    subject = unique()
    referrer(reg, repo, subject)
    data = reg.index(subject=desc(subject, IMAGE))
    ok(reg.put_manifest(repo, digest(data), data, INDEX), 201)
    r, found = reg.referrers(repo, digest(subject), "?artifactType=")
    if r.headers.get("OCI-Filters-Applied"):
        assert [d["digest"] for d in found] == [digest(data)]
    else:
        assert len(found) == 2


def test_each_algorithm_has_its_list(reg, repo):
    subject = unique()
    one = referrer(reg, repo, subject)
    two = referrer(reg, repo, subject, 1, alg="sha512")
    for alg, data in (("sha256", one), ("sha512", two)):
        found = reg.referrers(repo, digest(subject, alg))[1]
        assert [d["digest"] for d in found] == [digest(data)]


@pytest.mark.smoke
def test_deletes(reg, repo):
    subject = reg.image(repo)
    ok(reg.put_manifest(repo, "v1", subject), 201)
    sent = [referrer(reg, repo, subject, i) for i in range(3)]
    for i, s in enumerate(sent):
        ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(s))), 202)
        found = reg.referrers(repo, digest(subject))[1]
        assert {d["digest"] for d in found} == {digest(x) for x in
                                                sent[i + 1:]}
    again = referrer(reg, repo, subject, 0)
    ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(subject))), 202)
    found = reg.referrers(repo, digest(subject))[1]
    assert [d["digest"] for d in found] == [digest(again)]
    ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(again))), 202)
    assert reg.referrers(repo, digest(subject))[1] == []


def test_only_in_its_repository(reg, repo):
    subject = unique()
    referrer(reg, repo, subject)
    assert reg.referrers(repo + "/other", digest(subject))[1] == []


def test_on_disk(reg, repo):
    """One file holds one descriptor."""
    subject = unique()
    data = referrer(reg, repo, subject)
    path = reg.nginx.repo(repo, "_referrers", "sha256",
                          digest(subject)[7:],
                          digest(data).replace(":", "-"))
    with open(path, encoding="utf-8") as f:
        assert json.load(f)["digest"] == digest(data)
    ok(reg.delete("/v2/%s/manifests/%s" % (repo, digest(data))), 202)
    assert not os.path.exists(path)


@pytest.mark.smoke
def test_head_and_pages(reg, repo):
    """Large lists come in pages of at most 4 MiB, all disjoint."""
    subject = unique()
    count, seen = 12, []
    for i in range(count):
        referrer(reg, repo, subject, i,
                 annotations={"i": str(i), "x": "y" * 500000})
    url = "/v2/%s/referrers/%s?artifactType=%s" % (
        repo, digest(subject), "application/vnd.sig%2Bjson")
    pages = 0
    while url:
        r = ok(reg.get(url), 200)
        assert r.headers["OCI-Filters-Applied"] == "artifactType"
        assert len(r.content) <= 4 << 20
        head = reg.head(url)
        assert head.headers["Content-Length"] == r.headers["Content-Length"]
        seen += [d["digest"] for d in r.json()["manifests"]]
        pages += 1
        link = r.headers.get("Link")
        url = None
        if link:
            target, rel = link.split(";")
            assert rel.strip() == 'rel="next"'
            url = target.strip("<> ")
            assert url.startswith("/v2/")
        assert pages < count
    assert pages > 1
    assert len(seen) == len(set(seen)) == count
