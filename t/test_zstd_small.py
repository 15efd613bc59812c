"""oci_zstd: manifests, small blobs and referrers, compressed at once."""

import os
import time

import pytest

from coding import ZSTD, answered, fetch, unpack
from edge import edge, metric, METRICS
from gate import wait_for
from nginx import SLOWDOWN
from oci import CONFIG, IMAGE, INDEX, LAYER, desc, digest, dumps, header
from raw import Raw

ON = "oci_zstd on;"
LONG = ON + "oci_valid 1h; oci_valid_missing 1h;"
HISTORY = dumps({"history": [{"created_by": "RUN step %d" % i}
                             for i in range(100)]})


def manifest(layers=20, text=""):
    """Of what is not there: with oci_sparse."""
    return dumps({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": desc(HISTORY, CONFIG),
        "layers": [desc(b"%d%s" % (i, text.encode()), LAYER)
                   for i in range(layers)]})


MANIFEST = manifest()


def by_digest(data=MANIFEST, repo="a"):
    return "/v2/%s/manifests/%s" % (repo, digest(data))


def blob(data=HISTORY):
    return "/v2/a/blobs/" + digest(data)


def packed(r, data, media_type=IMAGE):
    """The compressed form, and all that is said of it."""
    answered(r, 200)
    assert header(r, "Content-Encoding") == "zstd"
    assert header(r, "Content-Length") == str(len(r.body))
    assert len(r.body) < len(data) * 0.9
    assert header(r, "Vary") == "Accept-Encoding"
    assert header(r, "Accept-Ranges") is None
    assert header(r, "ETag") == '"%s-zstd"' % digest(data)
    assert header(r, "Docker-Content-Digest") == digest(data)
    assert header(r, "Content-Type") == media_type
    assert unpack(r.body) == data


def plain(r, data, status=200, body=True):
    answered(r, status)
    assert header(r, "Content-Encoding") is None
    assert header(r, "Vary") == "Accept-Encoding"
    assert header(r, "Accept-Ranges") == "bytes"
    assert header(r, "ETag") == '"%s"' % digest(data)
    assert header(r, "Docker-Content-Digest") == digest(data)
    if status == 200:
        assert header(r, "Content-Length") == str(len(data))
        assert r.body == (data if body else b"")


def registry(factory, location=LONG, **kw):
    n = factory(location=location + "oci_sparse on;", server=METRICS, **kw)
    put(n, MANIFEST)
    n.client().push("a", HISTORY)
    return n


def put(n, data, ref=None, repo="a", media_type=IMAGE):
    r = n.client().put_manifest(repo, ref or digest(data), data, media_type)
    assert r.status_code == 201, r.text


@pytest.fixture
def reg1(factory):
    return registry(factory, workers=1)


OCTETS = "application/octet-stream"


@pytest.mark.smoke
@pytest.mark.valgrind
def test_compressed(reg1):
    """From the disk, from the zone, by digest and by tag."""
    n = reg1
    put(n, MANIFEST, "v1")
    for _ in range(3):
        packed(fetch(n, by_digest(), **ZSTD), MANIFEST)
        packed(fetch(n, "/v2/a/manifests/v1", **ZSTD), MANIFEST)
        packed(fetch(n, blob(), **ZSTD), HISTORY, OCTETS)
        # who comes between gets what it is
        plain(fetch(n, by_digest()), MANIFEST)
        plain(fetch(n, blob()), HISTORY)


@pytest.mark.smoke
@pytest.mark.parametrize("headers", [
    {}, {"Accept-Encoding": "gzip, deflate"}, {"Accept-Encoding": "*"},
    {"Accept-Encoding": "zstd;q=0"}, {"Accept-Encoding": "xzstd"}])
def test_for_whom(reg1, headers):
    n = reg1
    for _ in range(2):
        plain(fetch(n, by_digest(), **headers), MANIFEST)
        plain(fetch(n, blob(), **headers), HISTORY)
        # as it is, also where the other form is there
        fetch(n, by_digest(), **ZSTD)
        fetch(n, blob(), **ZSTD)


def test_for_whom_lines(reg1):
    """Of several lines, one that refuses it is enough."""
    n = reg1
    with Raw(n.addr) as raw:
        for lines, form in ((("zstd", "gzip"), "zstd"),
                            (("gzip", "zstd"), "zstd"),
                            (("zstd", "zstd;q=0"), None)):
            for path in (by_digest(), blob()):
                r = raw.request("GET", path, *(("Accept-Encoding", x)
                                               for x in lines))
                answered(r, 200)
                assert header(r, "Content-Encoding") == form


@pytest.mark.smoke
def test_heads_and_ranges(reg1):
    n = reg1
    for path, data in ((by_digest(), MANIFEST), (blob(), HISTORY)):
        for _ in range(2):
            plain(fetch(n, path, "HEAD", **ZSTD), data, body=False)
            r = fetch(n, path, **dict(ZSTD, Range="bytes=5-99"))
            plain(r, data, 206)
            assert r.body == data[5:100]
            r = fetch(n, path, **dict(ZSTD, Range="bytes=0-"))
            plain(r, data, 206)
            assert r.body == data
            assert header(fetch(n, path, **ZSTD),
                          "Content-Encoding") == "zstd"


def test_conditions(reg1):
    n = reg1
    for path, data in ((by_digest(), MANIFEST), (blob(), HISTORY)):
        for _ in range(2):
            for tag in ('"%s"', '"%s-zstd"'):
                tag = tag % digest(data)
                r = fetch(n, path, **dict(ZSTD, **{"If-None-Match": tag}))
                answered(r, 304)
                assert header(r, "ETag") == tag and r.body == b""
            fetch(n, path, **ZSTD)


def test_kept(reg1):
    """One entry more for each, and no third one."""
    n = reg1

    def entries():
        return metric(n, "oci_zone_entries")

    for path in (by_digest(), blob()):
        fetch(n, path)
        was = entries()
        fetch(n, path, **ZSTD)
        assert entries() == was + 1
        fetch(n, path, **ZSTD)
        fetch(n, path)
        assert entries() == was + 1


def test_what_is_not(factory):
    """What is short, long, compressed already or known not to pay."""
    n = registry(factory, workers=1)
    long = manifest(250)
    assert len(long) > 33000
    put(n, long)
    short = manifest(1)[:500]
    noise = os.urandom(2000)
    archive = b"\x1f\x8b\x08" + HISTORY
    for data in (short, noise, archive):
        n.client().push("a", data)
    for _ in range(3):
        plain(fetch(n, by_digest(long), **ZSTD), long)
        for data in (short, noise, archive):
            plain(fetch(n, blob(data), **ZSTD), data)


def test_that_does_not_pay(factory):
    """Remembered too: what is kept of it is empty."""
    n = registry(factory, LONG + "oci_zstd_min_ratio 0.95;", workers=1)
    plain(fetch(n, by_digest()), MANIFEST)
    was = metric(n, "oci_zone_entries")
    for _ in range(3):
        plain(fetch(n, by_digest(), **ZSTD), MANIFEST)
        assert metric(n, "oci_zone_entries") == was + 1


def test_off(factory):
    n = registry(factory, "")
    for _ in range(2):
        for path in (by_digest(), blob()):
            r = fetch(n, path, **ZSTD)
            answered(r, 200)
            assert header(r, "Vary") is None
            assert header(r, "Content-Encoding") is None


def test_rights(reg1):
    """Compressed or not, a repository gives what it has."""
    n = reg1
    packed(fetch(n, by_digest(), **ZSTD), MANIFEST)
    packed(fetch(n, blob(), **ZSTD), HISTORY, OCTETS)
    for path in (by_digest(repo="b"), blob().replace("/a/", "/b/")):
        assert fetch(n, path, **ZSTD).status_code == 404
    c = n.client()
    assert c.delete(by_digest()).status_code == 202
    assert c.delete(blob()).status_code == 202
    for path in (by_digest(), blob()):
        assert fetch(n, path, **ZSTD).status_code == 404


def damage(n, data):
    """The record as somebody else has written it; what it has then."""
    other = data.replace(b"schemaVersion", b"schemaversion")
    path = n.repo("a", "_manifests", "sha256", digest(data)[7:])
    with open(path, "r+b") as f:
        f.seek(512)
        f.write(other)
    return path, other


def test_is_as_old_as_what_it_is_of(reg1):
    """What was compressed before a change of the repository is not sent."""
    n = reg1
    packed(fetch(n, by_digest(), **ZSTD), MANIFEST)
    _, other = damage(n, MANIFEST)
    assert unpack(fetch(n, by_digest(), **ZSTD).body) == MANIFEST
    put(n, manifest(3))
    assert fetch(n, by_digest()).body == other
    assert unpack(fetch(n, by_digest(), **ZSTD).body) == other


def test_changed_elsewhere(factory):
    """By another machine: no counter here says so."""
    n = registry(factory, ON + "oci_valid 1s; oci_valid_missing 1s;",
                 workers=1)

    def settled(path):
        # a file that changed just now has no stamp
        return time.time() - os.stat(path).st_ctime > 2.5

    path = n.repo("a", "_manifests", "sha256", digest(MANIFEST)[7:])
    wait_for("the file to be old", lambda: settled(path))
    packed(fetch(n, by_digest(), **ZSTD), MANIFEST)
    packed(fetch(n, by_digest(), **ZSTD), MANIFEST)
    _, other = damage(n, MANIFEST)
    wait_for("the change to be old", lambda: settled(path))
    wait_for("the change to be seen",
             lambda: fetch(n, by_digest()).body == other)
    assert unpack(fetch(n, by_digest(), **ZSTD).body) == other


@pytest.mark.smoke
def test_referrers(reg1):
    n = reg1
    path = "/v2/a/referrers/" + digest(MANIFEST)

    def attach(count):
        put(n, dumps({
            "schemaVersion": 2, "mediaType": IMAGE,
            "artifactType": "application/x-%d" % count,
            "config": desc(HISTORY, CONFIG), "layers": [],
            "subject": desc(MANIFEST, IMAGE)}))

    r = fetch(n, path, **ZSTD)
    answered(r, 200)
    assert header(r, "Content-Encoding") is None
    for count in range(1, 5):
        attach(count)
        # the first from the disk, the others from the zone
        for _ in range(3):
            r = fetch(n, path, **ZSTD)
            answered(r, 200)
            assert header(r, "Vary") == "Accept-Encoding"
            assert header(r, "Content-Type") == INDEX
            body = fetch(n, path).body
            if len(body) >= 512:
                assert header(r, "Content-Encoding") == "zstd"
                assert header(r, "Content-Length") == str(len(r.body))
                assert len(r.body) < len(body)
                r.body = unpack(r.body)
            assert r.body == body and body.count(b"x-") == count
    assert len(body) >= 512
    one = fetch(n, path + "?artifactType=application/x-1", **ZSTD)
    assert one.body.count(b"x-") == 1


def test_referrers_are_kept(reg1):
    """Once the folder's stamp is known."""
    n = reg1
    for i in range(5):
        put(n, dumps({
            "schemaVersion": 2, "mediaType": IMAGE,
            "artifactType": "application/x-%d" % i,
            "config": desc(HISTORY, CONFIG), "layers": [],
            "subject": desc(MANIFEST, IMAGE)}))
    path = "/v2/a/referrers/" + digest(MANIFEST)
    folder = n.repo("a", "_referrers", "sha256", digest(MANIFEST)[7:])
    wait_for("it to be old",
             lambda: time.time() - os.stat(folder).st_ctime > 2.5)
    fetch(n, path)
    was = metric(n, "oci_zone_entries")
    for _ in range(3):
        r = fetch(n, path, **ZSTD)
        assert unpack(r.body) == fetch(n, path).body
        assert metric(n, "oci_zone_entries") == was + 1


def test_edge(factory, upstreams):
    up = upstreams()
    up.manifest("a", MANIFEST, "v1")
    up.blob("a", HISTORY)
    n = edge(factory, up, LONG)
    for _ in range(3):
        packed(fetch(n, "/v2/a/manifests/v1", **ZSTD), MANIFEST)
        packed(fetch(n, by_digest(), **ZSTD), MANIFEST)

    def compressed():
        r = fetch(n, blob(), **ZSTD)
        return header(r, "Content-Encoding") == "zstd"

    # what is cold is sent as it is
    r = fetch(n, blob(), **ZSTD)
    assert r.body == HISTORY
    wait_for("the fill to end", compressed, 10 * SLOWDOWN)
    packed(fetch(n, blob(), **ZSTD), HISTORY, OCTETS)
