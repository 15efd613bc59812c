"""oci_zstd: whole blobs, compressed, for who names zstd."""

import os
import random

import pytest

from coding import ZSTD, answered, fetch, unpack
from edge import edge, fresh, metric, METRICS
from gate import wait_for
from oci import digest, header, ok

ON = "oci_zstd on;"
TEXT = b"".join(b"line %d of a layer that is no archive\n" % i
                for i in range(20000))
D = digest(TEXT)
NOISE = os.urandom(200000)


def companion(n, d):
    return n.path("zstd", d.split(":")[0], d.split(":")[1][:2],
                  d.split(":")[1])


def get(n, d=D, method="GET", **headers):
    return fetch(n, "/v2/a/blobs/" + d, method, **headers)


def plain(r, data=TEXT, status=200):
    answered(r, status)
    assert header(r, "Content-Encoding") is None
    assert header(r, "Vary") == "Accept-Encoding"
    assert header(r, "Accept-Ranges") == "bytes"
    assert header(r, "ETag") == '"%s"' % digest(data)
    assert header(r, "Docker-Content-Digest") == digest(data)


def made(n, d=D):
    """Waits until the companion, or the word that there is none, is there."""
    wait_for("a companion", lambda: os.path.exists(companion(n, d)))
    wait_for("an empty tmp/", lambda: not os.listdir(n.path("tmp")))
    return os.path.getsize(companion(n, d))


@pytest.fixture
def reg1(factory):
    n = factory(location=ON)
    c = n.client()
    c.push("a", TEXT)
    plain(get(n, **ZSTD))
    made(n)
    return n


@pytest.mark.smoke
@pytest.mark.valgrind
def test_companion(reg1):
    n = reg1
    size = os.path.getsize(companion(n, D))
    assert 0 < size < len(TEXT) / 2
    r = get(n, **ZSTD)
    answered(r, 200)
    assert header(r, "Content-Encoding") == "zstd"
    assert header(r, "Content-Length") == str(size)
    assert header(r, "Vary") == "Accept-Encoding"
    assert header(r, "Accept-Ranges") is None
    assert header(r, "ETag") == '"%s-zstd"' % D
    assert header(r, "Docker-Content-Digest") == D
    assert unpack(r.body) == TEXT
    assert oct(os.stat(companion(n, D)).st_mode & 0o777) == "0o444"


@pytest.mark.smoke
@pytest.mark.parametrize("headers", [
    {}, {"Accept-Encoding": "gzip, deflate"}, {"Accept-Encoding": "*"},
    {"Accept-Encoding": "zstd;q=0"}, {"Accept-Encoding": "zstd;q=0.000"},
    {"Accept-Encoding": "xzstd"}, {"Accept-Encoding": ""}])
def test_who_does_not_name_it(reg1, headers):
    r = get(reg1, **headers)
    plain(r)
    assert r.body == TEXT


@pytest.mark.smoke
def test_ranges_and_heads(reg1):
    n = reg1
    for first, last in ((0, 9), (1000, 1999)):
        r = get(n, **dict(ZSTD, Range="bytes=%d-%d" % (first, last)))
        plain(r, status=206)
        assert r.body == TEXT[first:last + 1]
    r = get(n, **dict(ZSTD, Range="bytes=0-"))
    plain(r, status=206)
    assert r.body == TEXT
    r = get(n, method="HEAD", **ZSTD)
    plain(r)
    assert header(r, "Content-Length") == str(len(TEXT))
    # a range on the condition of the other's tag is the whole, as it is
    r = get(n, **dict(ZSTD, **{"Range": "bytes=0-9",
                               "If-Range": '"%s-zstd"' % D}))
    plain(r)
    assert r.body == TEXT


def test_conditions(reg1):
    n = reg1
    for tag in (D, D + "-zstd"):
        for headers in ({}, ZSTD):
            for method in ("GET", "HEAD"):
                r = get(n, method=method, **dict(
                    headers, **{"If-None-Match": '"x", W/"%s"' % tag}))
                answered(r, 304)
                assert r.body == b""
                assert header(r, "ETag") == '"%s"' % tag
                assert header(r, "Docker-Content-Digest") == D
    r = get(n, **dict(ZSTD, **{"If-None-Match": '"%s-gzip"' % D}))
    assert header(r, "Content-Encoding") == "zstd"


@pytest.mark.smoke
def test_not_worth_it(factory):
    """Remembered by an empty file, so that nobody tries again."""
    n = factory(location=ON)
    d = n.client().push("a", NOISE)
    plain(get(n, d, **ZSTD), NOISE)
    assert made(n, d) == 0
    was = os.stat(companion(n, d)).st_mtime_ns
    for _ in range(5):
        r = get(n, d, **ZSTD)
        plain(r, NOISE)
        assert r.body == NOISE
    assert os.stat(companion(n, d)).st_mtime_ns == was


@pytest.mark.parametrize("head", [
    b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh9",
    b"\x50\x2a\x4d\x18"])
def test_compressed_already(factory, head):
    """No try, and no file that says so."""
    n = factory(location=ON, workers=1)
    data = head + TEXT
    c = n.client()
    d = c.push("a", data)
    c.push("a", TEXT)
    for _ in range(3):
        plain(get(n, d, **ZSTD), data)
    # the one job of the worker is free for another
    plain(get(n, **ZSTD))
    assert made(n) > 0
    assert not os.path.exists(companion(n, d))


def test_small_ones_and_others(factory):
    """What the zone keeps needs no file (test_zstd_small.py)."""
    n = factory(location=ON, workers=1)
    c = n.client()
    small = TEXT[:32000]
    more = TEXT[:33000]
    for data in (small, more, TEXT):
        c.push("a", data)
    for _ in range(3):
        r = get(n, digest(small), **ZSTD)
        assert header(r, "Content-Encoding") == "zstd"
        assert unpack(r.body) == small
    plain(get(n, digest(more), **ZSTD), more)
    assert made(n, digest(more)) > 0
    plain(get(n, **ZSTD))
    made(n)
    assert not os.path.exists(companion(n, digest(small)))
    # membership is the repository's, whatever there is beside it
    assert fresh(n, "GET", "/v2/b/blobs/" + D, headers=ZSTD
                 ).status_code == 404


def test_off(factory):
    n = factory()
    n.client().push("a", TEXT)
    r = get(n, **ZSTD)
    assert header(r, "Vary") is None
    assert header(r, "Content-Encoding") is None
    assert not os.path.exists(n.path("zstd"))


def test_ratio(factory):
    """Half text and half noise saves less than it is asked to."""
    data = TEXT[:100000] + NOISE[:100000]
    d = digest(data)
    n = factory(location=ON + "oci_zstd_min_ratio 0.7;")
    n.client().push("a", data)
    get(n, d, **ZSTD)
    assert made(n, d) == 0
    n = factory(location=ON + "oci_zstd_min_ratio 0.3; oci_zstd_level 9;")
    n.client().push("a", data)
    get(n, d, **ZSTD)
    assert 0 < made(n, d) < 140000
    assert unpack(get(n, d, **ZSTD).body) == data


@pytest.mark.smoke
def test_goes_with_its_blob(factory):
    n = factory(location=ON)
    c = n.client()
    for repo in ("a", "b"):
        c.push(repo, TEXT)
    get(n, **ZSTD)
    made(n)
    ok(c.delete("/v2/a/blobs/" + D), 202)
    assert os.path.exists(companion(n, D))
    ok(c.delete("/v2/b/blobs/" + D), 202)
    assert not os.path.exists(companion(n, D))


def test_collected(factory):
    """With its blob; and one that is there without a blob."""
    n = factory(location=ON + "oci_gc grace=2s;")
    n.client().push("a", TEXT)
    get(n, **ZSTD)
    made(n)
    lost = companion(n, digest(b"nobody's"))
    os.makedirs(os.path.dirname(lost), exist_ok=True)
    with open(lost, "wb") as f:
        f.write(b"x")
    for path in (lost, os.path.dirname(lost)):
        n.own(path)
    wait_for("the collector", lambda: not os.path.exists(companion(n, D))
             and not os.path.exists(lost), 30)
    assert get(n, **ZSTD).status_code == 404


def test_evicted(factory, upstreams):
    """With its blob, and max_size counts both."""
    up = upstreams()
    n = edge(factory, up, ON, server=METRICS,
             store_opts="durable=off max_size=%d" % (2 * len(TEXT)))

    def pull(data):
        d = up.blob("a", data)
        assert get(n, d, **ZSTD).body == data
        link = n.repo("a", "_cached", "sha256", d[7:])
        wait_for("the fill to end", lambda: os.path.exists(link))
        return link

    old = pull(TEXT)
    os.utime(old, (1e9, 1e9))
    get(n, **ZSTD)
    assert made(n) > 1
    os.utime(old, (1e9, 1e9))

    # two such blobs are as much as may stay, but there is a companion
    new = pull(TEXT[1:])
    wait_for("the older to go", lambda: not os.path.exists(old), 30)
    wait_for("all of it", lambda: not os.path.exists(companion(n, D))
             and not os.path.exists(n.path("blobs", "sha256", D[7:9],
                                           D[7:])))
    assert os.path.exists(new)
    wait_for("the count", lambda: metric(
        n, "oci_evicted_bytes_total") > len(TEXT))
    assert metric(n, "oci_evicted_files_total") == 1


def test_edge(factory, upstreams):
    """What is cold is sent as it is; then it has a companion."""
    up = upstreams()
    up.blob("a", TEXT)
    n = edge(factory, up, ON)
    r = get(n, **ZSTD)
    assert header(r, "Content-Encoding") is None and r.body == TEXT

    def compressed():
        return header(get(n, **ZSTD), "Content-Encoding") == "zstd"

    wait_for("a companion", compressed)
    assert unpack(get(n, **ZSTD).body) == TEXT
    assert up.sent(D) == len(TEXT)


@pytest.mark.parametrize("threads", [1, 3])
def test_in_steps(factory, threads):
    """A large one goes on from turn to turn."""
    rnd = random.Random(1)
    piece = bytes(rnd.choices(b"abcdefgh", k=1 << 20))
    data = piece * 100
    n = factory(location=ON + "oci_zstd_level 3 threads=%d;" % threads)
    d = n.client().push("a", data)
    get(n, d, **ZSTD)
    wait_for("a companion", lambda: os.path.exists(companion(n, d)), 60)
    r = get(n, d, **ZSTD)
    assert header(r, "Content-Encoding") == "zstd"
    assert digest(unpack(r.body)) == d


@pytest.mark.parametrize("level", [3, 12])
def test_far_away(factory, level):
    """What is said twice, megabytes apart."""
    noise = os.urandom(3 << 20)
    data = noise + os.urandom(2 << 20) + noise
    n = factory(location=ON + "oci_zstd_level %d;" % level)
    d = n.client().push("a", data)
    get(n, d, **ZSTD)
    assert len(noise) < made(n, d) < 6 << 20
    assert unpack(get(n, d, **ZSTD).body) == data


@pytest.mark.parametrize("threads", [1, 3])
def test_a_worker_ends(factory, threads):
    """In the middle of one: nothing is left, and another one makes it."""
    data = os.urandom(80 << 20).translate(b"abcdefgh" * 32)
    n = factory(workers=1,
                location=ON + "oci_zstd_level 6 threads=%d;" % threads)
    d = n.client().push("a", data)
    get(n, d, **ZSTD)
    wait_for("the beginning", lambda: os.listdir(n.path("tmp")))
    n.reload(gone=True)
    assert not os.listdir(n.path("tmp"))
    assert not os.path.exists(companion(n, d))
    get(n, d, **ZSTD)
    wait_for("a companion", lambda: os.path.exists(companion(n, d)), 60)
    assert digest(unpack(get(n, d, **ZSTD).body)) == d


@pytest.mark.parametrize("text, said", [
    ("oci_zstd_level 0;", '"oci_zstd_level" must be 1 to 19'),
    ("oci_zstd_level 20;", '"oci_zstd_level" must be 1 to 19'),
    ("oci_zstd_level x;", '"oci_zstd_level" must be 1 to 19'),
    ("oci_zstd_level 3; oci_zstd_level 3;", "is duplicate"),
    ("oci_zstd_level 3 threads=0;", '"threads" must be 1 to 64'),
    ("oci_zstd_level 3 threads=x;", '"threads" must be 1 to 64'),
    ("oci_zstd_level 3 four;", 'invalid parameter "four"'),
    ("oci_zstd_min_ratio 1;", "must be a number from 0 to 0.999"),
    ("oci_zstd_min_ratio x;", "must be a number from 0 to 0.999"),
    ("oci_zstd_min_ratio 0.1; oci_zstd_min_ratio 0.2;", "is duplicate")])
def test_configuration(factory, text, said):
    n = factory(location=ON + text, start=False)
    rc, out = n.config_test()
    assert rc != 0 and said in out, out
