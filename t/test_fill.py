"""Fills: a blob that is not here, from upstream, to all who want it."""

import concurrent.futures
import json
import os
import re
import threading
import time

import pytest
import requests

from edge import METRICS, cache, edge, fresh, metric
from nginx import SLOWDOWN, wait_for
from oci import CONFIG, IMAGE, digest, dumps, error

MIB = 1 << 20
WAIT = 30 * SLOWDOWN


def blob(repo, d):
    return "/v2/%s/blobs/%s" % (repo, d)


def get(n, repo, d, first=None, last="", **kw):
    if first is not None:
        kw["headers"] = dict(kw.get("headers", {}),
                             Range="bytes=%s-%s" % (first, last))
    return fresh(n, "GET", blob(repo, d), **kw)


def cached(n, repo, d):
    return os.path.exists(n.repo(repo, "_cached", "sha256", d[7:]))


def fills(n):
    return os.listdir(n.path("fills", "sha256"))


def filled(n, repo, d):
    wait_for("the fill to end", lambda: cached(n, repo, d) and not fills(n),
             WAIT)


def sent(up, d, size):
    """Each byte once; the upstream counts a little after it has sent."""
    wait_for("the upstream to count", lambda: up.sent(d) >= size)
    assert up.sent(d) == size


def quiet(up, d):
    """Nothing was sent for a while."""
    last = [up.sent(d), time.monotonic()]

    def still():
        if up.sent(d) != last[0]:
            last[:] = [up.sent(d), time.monotonic()]
        return time.monotonic() - last[1] > 0.5
    wait_for("the upstream to be left alone", still, WAIT)


def broken(n, repo, d, **headers):
    """What arrives of an answer that is cut: (status, bytes, whole?)."""
    with requests.Session() as s:
        s.trust_env = False
        r = s.get(n.url + blob(repo, d), stream=True, timeout=30,
                  headers=dict(headers, Connection="close"))
        data = b""
        try:
            for piece in r.iter_content(65536):
                data += piece
        except (requests.exceptions.ChunkedEncodingError,
                requests.exceptions.ConnectionError):
            return r.status_code, data, False
        return (r.status_code, data,
                len(data) == int(r.headers["Content-Length"]))


@pytest.fixture
def pair(factory, upstreams):
    """An upstream and an edge before it; small chunks."""
    def make(location="", workers=2, up=None, **knobs):
        up = up or upstreams()
        n = edge(factory, up, workers=workers, methods="pull push",
                 location="oci_fill_chunk 1m; " + location, **knobs)
        return up, n.made() if knobs.get("start", True) else n
    return make


def test_cold(pair):
    up, n = pair()
    d = up.sparse("lib/app", 10 * MIB + 12345)
    r = get(n, "lib/app", d)
    assert r.status_code == 200
    assert r.content == up.read(d)
    assert r.headers["Content-Length"] == str(10 * MIB + 12345)
    assert r.headers["Docker-Content-Digest"] == d
    assert r.headers["ETag"] == '"%s"' % d
    assert r.headers["Accept-Ranges"] == "bytes"
    assert cache(r) == "FILL"
    filled(n, "lib/app", d)
    sent(up, d, 10 * MIB + 12345)
    asked = up.count(path="/blobs/")
    r = get(n, "lib/app", d)
    assert r.content == up.read(d)
    assert up.count(path="/blobs/") == asked


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, MIB, MIB + 1])
def test_sizes(pair, size):
    up, n = pair()
    data = os.urandom(size)
    d = up.blob("a", data)
    r = get(n, "a", d)
    assert r.status_code == 200
    assert r.content == data
    filled(n, "a", d)
    assert get(n, "a", d).content == data
    sent(up, d, size)


def test_many_clients(pair):
    """One fetch, whoever asks, on whichever worker."""
    up, n = pair(workers=4, listen="reuseport")
    size = 24 * MIB
    d = up.sparse("a", size)
    up.limit(12 * MIB)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        all_ = list(pool.map(lambda _: get(n, "a", d), range(16)))
    for r in all_:
        assert r.status_code == 200
        assert digest(r.content) == d
    assert len({r.headers["X-Worker"] for r in all_}) > 1
    filled(n, "a", d)
    sent(up, d, size)


def test_end_is_shared(pair):
    """What is left for the last requests is divided among them."""
    up, n = pair()
    size = 5 * MIB
    d = up.sparse("a", size)
    up.fault("/blobs/", rate=2 * MIB)
    r = get(n, "a", d)
    assert digest(r.content) == d
    filled(n, "a", d)
    sent(up, d, size)
    asked = [[int(x) for x in r[len("bytes="):].split("-")]
             for r in up.ranges(d)]
    lengths = [last - first + 1 for first, last in asked]
    assert lengths[:4] == [MIB] * 4
    assert len(lengths) > 6 and max(lengths[4:]) < MIB // 2, lengths


def test_range_in_the_middle(pair):
    """It comes first; the rest follows in the background."""
    up, n = pair()
    size = 40 * MIB
    d = up.sparse("a", size)
    up.limit(8 * MIB)
    start = time.monotonic()
    r = get(n, "a", d, 30 * MIB + 5, 30 * MIB + 1004)
    assert r.status_code == 206
    assert time.monotonic() - start < 2 * SLOWDOWN
    assert r.headers["Content-Range"] == "bytes %d-%d/%d" % (
        30 * MIB + 5, 30 * MIB + 1004, size)
    assert r.headers["Accept-Ranges"] == "bytes"
    assert r.content == up.read(d, 30 * MIB + 5, 30 * MIB + 1005)
    up.limit(None)
    filled(n, "a", d)
    sent(up, d, size)


def test_no_background(pair):
    """Only what is near to where somebody reads."""
    up, n = pair("oci_fill_background off; oci_fill_connections 2;")
    size = 200 * MIB
    d = up.sparse("a", size, digest="sha256:" + "12" * 32)
    r = get(n, "a", d, 100 * MIB, 100 * MIB + 99)
    assert r.content == up.read(d, 100 * MIB, 100 * MIB + 100)
    r = get(n, "a", d, size - 10)
    assert r.status_code == 206
    assert r.content == up.read(d, size - 10, size)
    # the first chunk told the size
    assert up.sent(d) <= 4 * MIB

    # open at its end, and the client hangs up: no more than a window
    with requests.Session() as s:
        s.trust_env = False
        r = s.get(n.url + blob("a", d), stream=True, timeout=30,
                  headers={"Range": "bytes=%d-" % (50 * MIB)})
        assert r.status_code == 206
        assert r.raw.read(100000) == up.read(d, 50 * MIB, 50 * MIB + 100000)
        quiet(up, d)
        assert up.sent(d) <= 30 * MIB
        r.close()
    assert up.sent(d) <= 30 * MIB
    assert get(n, "a", d, 50 * MIB, 50 * MIB + 9).status_code == 206


@pytest.mark.parametrize("first,last,status,expect", [
    (0, 0, 206, (0, 1)),
    (0, "", 206, (0, 3000000)),
    (2999999, "", 206, (2999999, 3000000)),
    (2999990, 9999999, 206, (2999990, 3000000)),
    ("", 5, 206, (2999995, 3000000)),
    (3000000, "", 416, None),
    (5, 2, 416, None),
])
def test_range_forms(pair, first, last, status, expect):
    up, n = pair()
    d = up.sparse("a", 3000000)
    r = get(n, "a", d, first, last)
    assert r.status_code == status
    if status == 416:
        assert r.headers["Content-Range"] == "bytes */3000000"
        error(r, 416, "SIZE_INVALID")
    else:
        assert r.content == up.read(d, *expect)
        assert r.headers["Content-Range"] == "bytes %d-%d/3000000" % (
            expect[0], expect[1] - 1)


def test_many_ranges(pair):
    up, n = pair()
    d = up.sparse("a", 12 * MIB)
    want = [(11 * MIB, 11 * MIB + 9), (5, 14), (6 * MIB - 3, 6 * MIB + 3),
            (0, 0)]
    r = fresh(n, "GET", blob("a", d), headers={
        "Range": "bytes=" + ",".join("%d-%d" % w for w in want)})
    assert r.status_code == 206
    assert r.headers["Content-Type"].startswith("multipart/byteranges")
    mark = b"--" + r.headers["Content-Type"].split("boundary=")[1].encode()
    parts = r.content.split(mark)[1:-1]
    assert len(parts) == len(want)
    for part, (first, last) in zip(parts, want):
        head, _, body = part.partition(b"\r\n\r\n")
        assert b"bytes %d-%d/%d" % (first, last, 12 * MIB) in head
        assert body[:-2] == up.read(d, first, last + 1)


def test_conditions(pair):
    up, n = pair()
    d = up.sparse("a", 2 * MIB)
    r = get(n, "a", d, headers={"If-None-Match": '"%s"' % d})
    assert r.status_code == 304
    r = get(n, "a", d, 5, 9, headers={"If-Range": '"other"'})
    assert r.status_code == 200
    assert r.content == up.read(d)


def test_head(pair):
    up, n = pair("oci_fill_background off;")
    d = up.sparse("a", 5 * MIB)
    r = fresh(n, "HEAD", blob("a", d))
    assert r.status_code == 200
    assert r.headers["Content-Length"] == str(5 * MIB)
    assert r.headers["Docker-Content-Digest"] == d
    assert fresh(n, "HEAD", blob("a", digest(b"none"))).status_code == 404


def test_unknown(pair):
    up, n = pair()
    up.repo("a")
    error(get(n, "a", digest(b"nobody has it")), 404, "BLOB_UNKNOWN")
    wait_for("nothing to be left", lambda: not fills(n))


def test_corrupt(pair):
    """No complete answer, nothing kept, and the next try waits."""
    up, n = pair()
    size = 6 * MIB
    d = up.sparse("a", size)
    n.allowed.append(r"nothing of it is kept")
    bad = up.fault("/blobs/", flip=3 * MIB + 77)
    up.limit(4 * MIB)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        out = list(pool.map(lambda _: broken(n, "a", d), range(8)))
    for status, data, whole in out:
        assert not (status == 200 and whole), (status, len(data))
        if status == 200:
            assert len(data) <= size - 65536
        else:
            assert status == 502
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    assert not cached(n, "a", d)
    text = n.log()
    assert d[7:] in text and "nothing of it is kept" in text

    sent = up.sent(d)
    r = get(n, "a", d)
    error(r, 502, "UNAVAILABLE")
    assert int(r.headers["Retry-After"]) >= 1
    assert up.sent(d) == sent

    up.mend(bad)
    up.limit(None)

    def again():
        return get(n, "a", d).status_code == 200
    wait_for("it to be tried again", again, WAIT)
    filled(n, "a", d)


def test_corrupt_small(pair):
    """One that fits into what is held back is an error, not a cut."""
    up, n = pair()
    d = up.blob("a", b"x" * 5000)
    up.fault("/blobs/", flip=77)
    n.allowed.append(r"nothing of it is kept")
    error(get(n, "a", d), 502, "UNAVAILABLE")


def test_verify_all(pair):
    """No byte before the whole holds."""
    up, n = pair("oci_fill_verify all;")
    d = up.sparse("a", 3 * MIB)
    n.allowed.append(r"nothing of it is kept")
    bad = up.fault("/blobs/", flip=2 * MIB)
    for first in None, 5, 0:
        status, data, whole = broken(
            n, "a", d, **({} if first is None
                          else {"Range": "bytes=%d-99" % first}))
        assert status == 502, (status, len(data))
    up.mend(bad)
    wait_for("it to be tried again", lambda: get(
        n, "a", d, 5, 9).status_code == 206, WAIT)
    filled(n, "a", d)


def test_verify_all_and_slow(pair):
    """Headers come in time, and no byte behind them."""
    up, n = pair("oci_fill_verify all;")
    d = up.sparse("a", 4 * MIB)
    n.allowed.append(r"nothing of it is kept")
    up.fault("/blobs/", flip=4 * MIB - 9)
    up.limit(MIB)
    status, data, whole = broken(n, "a", d)
    assert (status, data, whole) == (200, b"", False)


def test_upstream_breaks_off(pair):
    """From where it broke off, on another connection."""
    up, n = pair()
    size = 8 * MIB
    d = up.sparse("a", size)
    up.fault("/blobs/", cut=300000, times=4)
    up.fault("/blobs/", reset=500000, times=2, skip=4)
    r = get(n, "a", d)
    assert r.status_code == 200
    assert digest(r.content) == d
    filled(n, "a", d)
    assert up.sent(d) <= size + 7 * 200000


def test_upstream_restarts(pair):
    up, n = pair()
    size = 16 * MIB
    d = up.sparse("a", size)
    up.limit(4 * MIB)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        one = pool.submit(get, n, "a", d)
        wait_for("some of it", lambda: up.sent(d) > 4 * MIB, WAIT)
        up.stop()
        up.drop()
        time.sleep(0.5)
        up.start()
        up.limit(None)
        r = one.result(60)
    assert r.status_code == 200
    assert digest(r.content) == d
    filled(n, "a", d)


def test_upstream_down(pair):
    up, n = pair()
    d = up.sparse("a", MIB)
    up.stop()
    error(get(n, "a", d), (502, 504), "UNAVAILABLE")
    up.start()
    assert get(n, "a", d).status_code == 200
    filled(n, "a", d)


def test_too_many(pair):
    up, n = pair()
    d = up.sparse("a", MIB)
    up.too_many("/blobs/", seconds=20, times=5)
    r = get(n, "a", d)
    error(r, 429, "TOOMANYREQUESTS")
    assert r.headers["Retry-After"] == "20"


def test_no_ranges(pair):
    """One stream from the start, for everybody."""
    up, n = pair(workers=4)
    size = 9 * MIB + 5
    d = up.sparse("a", size)
    up.fault("/blobs/", no_range=True)
    up.limit(6 * MIB)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        all_ = list(pool.map(
            lambda i: get(n, "a", d) if i % 2 else get(n, "a", d, 5 * MIB,
                                                       5 * MIB + 99),
            range(8)))
    for i, r in enumerate(all_):
        if i % 2:
            assert r.status_code == 200
            assert digest(r.content) == d
        else:
            assert r.status_code == 206
            assert r.content == up.read(d, 5 * MIB, 5 * MIB + 100)
    filled(n, "a", d)
    sent(up, d, size)


def test_no_ranges_broken(pair):
    """The stream breaks off and comes again from the start."""
    up, n = pair()
    d = up.sparse("a", 5 * MIB)
    up.fault("/blobs/", no_range=True)
    up.fault("/blobs/", cut=2 * MIB, times=1)
    r = get(n, "a", d)
    assert r.status_code == 200
    assert digest(r.content) == d
    filled(n, "a", d)


def test_no_length(pair):
    """Nor ranges: it is answered when it is whole."""
    up, n = pair()
    size = 3 * MIB + 7
    d = up.sparse("a", size)
    up.fault("/blobs/", no_range=True, chunked=True)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        all_ = list(pool.map(lambda _: get(n, "a", d), range(4)))
    for r in all_:
        assert r.status_code == 200
        assert digest(r.content) == d
    filled(n, "a", d)
    sent(up, d, size)
    assert get(n, "a", d, 5, 9).content == up.read(d, 5, 10)

    e = up.sparse("a", MIB, seed=3)
    up.fault("/blobs/", flip=1000)
    n.allowed.append(r"nothing of it is kept")
    error(get(n, "a", e), 502, "UNAVAILABLE")
    assert not cached(n, "a", e)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    assert not os.listdir(n.path("tmp"))


def test_client_leaves(pair):
    """The fill is nobody's: it goes on."""
    up, n = pair()
    size = 12 * MIB
    d = up.sparse("a", size)
    up.limit(8 * MIB)
    with requests.Session() as s:
        s.trust_env = False
        r = s.get(n.url + blob("a", d), stream=True, timeout=30)
        assert r.raw.read(10) == up.read(d, 0, 10)
        r.close()
    filled(n, "a", d)
    sent(up, d, size)


@pytest.mark.waits
def test_killed_workers(pair):
    """kill -9 in mid-fill: what is there is not fetched again."""
    up, n = pair()
    size = 24 * MIB
    d = up.sparse("a", size)
    up.limit(8 * MIB)
    gone = threading.Thread(target=lambda: broken(n, "a", d), daemon=True)
    gone.start()
    wait_for("a third of it", lambda: up.sent(d) > 8 * MIB, WAIT)
    n.kill_workers()
    gone.join(WAIT)
    assert not gone.is_alive()
    up.limit(None)
    r = get(n, "a", d)
    assert r.status_code == 200
    assert digest(r.content) == d
    filled(n, "a", d)
    # only what was under way when they died
    assert up.sent(d) < size + 4 * MIB


@pytest.mark.waits
def test_restart(pair):
    """The next start goes on from the map."""
    up, n = pair()
    size = 24 * MIB
    d = up.sparse("a", size)
    up.limit(8 * MIB)
    gone = threading.Thread(target=lambda: broken(n, "a", d), daemon=True)
    gone.start()
    wait_for("a third of it", lambda: up.sent(d) > 8 * MIB, WAIT)
    n.restart(kill=True)
    gone.join(WAIT)
    up.limit(None)
    r = get(n, "a", d)
    assert digest(r.content) == d
    filled(n, "a", d)
    assert up.sent(d) < size + 4 * MIB


def test_reload(pair):
    """Old workers end what they began, new ones join it."""
    up, n = pair()
    size = 24 * MIB
    d = up.sparse("a", size)
    up.limit(8 * MIB)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        one = pool.submit(get, n, "a", d)
        wait_for("some of it", lambda: up.sent(d) > 4 * MIB, WAIT)
        n.reload()
        two = pool.submit(get, n, "a", d)
        three = pool.submit(get, n, "a", d, 20 * MIB, 20 * MIB + 9)
        assert digest(one.result(60).content) == d
        assert digest(two.result(60).content) == d
        assert three.result(60).content == up.read(d, 20 * MIB,
                                                   20 * MIB + 10)
    filled(n, "a", d)
    sent(up, d, size)


@pytest.mark.waits
@pytest.mark.parametrize("workers", [1, 2])
def test_membership(pair, workers):
    """Through its own repository, or not at all."""
    up, n = pair(workers=workers)
    size = 6 * MIB
    d = up.sparse("public", size)
    up.repo("private")
    up.limit(3 * MIB)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(get, n, "public", d)
        wait_for("some of it", lambda: up.sent(d) > MIB, WAIT)
        error(get(n, "private", d), 404, "BLOB_UNKNOWN")
        error(get(n, "private", d, 0, 5), 404, "BLOB_UNKNOWN")
        assert one.result(60).status_code == 200
    filled(n, "public", d)
    error(get(n, "private", d), 404, "BLOB_UNKNOWN")
    assert not cached(n, "private", d)

    # who may have it gets what is here: no byte of it is fetched again
    up.repo("private").blobs.add(d)

    def there():
        return get(n, "private", d).status_code == 200
    wait_for("a 404 to be asked for again", there, WAIT)
    assert cached(n, "private", d)
    # but for what the refusals were made of
    assert size <= up.sent(d) < size + 10000


def test_two_repositories(pair):
    up, n = pair()
    size = 8 * MIB
    d = up.sparse("a", size)
    up.repo("b").blobs.add(d)
    up.limit(4 * MIB)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(get, n, "a", d)
        two = pool.submit(get, n, "b", d)
        assert digest(one.result(60).content) == d
        assert digest(two.result(60).content) == d
    filled(n, "a", d)
    wait_for("the other link", lambda: cached(n, "b", d), WAIT)
    sent(up, d, size)


def test_no_room(pair):
    """Without a file: the same answers, in bounded memory."""
    up, n = pair(mount_size="6m")
    size = 20 * MIB
    d = up.sparse("a", size)
    n.allowed.append(r"passed on without a file")
    r = get(n, "a", d)
    assert r.status_code == 200
    assert digest(r.content) == d
    r = get(n, "a", d, 7 * MIB, 7 * MIB + 99)
    assert r.status_code == 206
    assert r.content == up.read(d, 7 * MIB, 7 * MIB + 100)
    assert not cached(n, "a", d)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)

    n.allowed.append(r"the answer is cut")
    up.fault("/blobs/", flip=1000)
    status, data, whole = broken(n, "a", d)
    assert status == 200 and not whole
    assert len(data) <= size - 65536


def test_manifest_that_lies(pair):
    """What it says of a size is not what counts."""
    up, n = pair()
    d = up.sparse("a", 3 * MIB)
    c = n.client()
    for size in 5, 7 * MIB:
        body = dumps({"schemaVersion": 2, "mediaType": IMAGE,
                      "config": dict(mediaType=CONFIG, digest=d, size=size),
                      "layers": []})
        r = c.put("/v2/a/manifests/" + digest(body), data=body,
                  headers={"Content-Type": IMAGE})
        assert r.status_code == 201, r.text
    r = get(n, "a", d)
    assert r.status_code == 200
    assert digest(r.content) == d


def test_wrong_length(pair):
    """A manifest's size is not believed against the upstream's."""
    up, n = pair()
    d = up.sparse("a", 3 * MIB)
    up.fault("/blobs/", length=5, no_range=True, times=3)
    n.allowed.append(r"has \d+ bytes at upstream")
    status, data, whole = broken(n, "a", d)
    assert not (status == 200 and whole)
    assert not cached(n, "a", d)


BYTES = """log_format bytes '$request_uri $oci_upstream_bytes';
    access_log @PREFIX@/logs/bytes.log bytes;
"""
STATUS = METRICS + "location = /status { oci_status; }"


def source(n):
    """Bytes that were sent, by where they came from."""
    text = fresh(n, "GET", "/metrics").text
    return {m[1]: int(m[2]) for m in re.finditer(
        r'^oci_sent_bytes_total\{.*source="(\w+)"\} (\d+)$', text, re.M)}


def counted(n, d):
    """$oci_upstream_bytes of the requests for a blob, as they ended."""
    with open(n.prefix + "/logs/bytes.log", encoding="ascii") as f:
        return [int(x.split()[1]) for x in f if d in x]


def test_counts(pair):
    """A fill's bytes are those of the request that began it, and each is
    counted once; while it is written it can be seen."""
    up, n = pair(workers=1, http=BYTES, server=STATUS)
    size = 6 * MIB
    d = up.sparse("a", size)
    up.limit(2 * MIB)
    assert metric(n, "oci_fills_writing") == 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one = pool.submit(get, n, "a", d)
        wait_for("some of it", lambda: up.sent(d) > MIB, WAIT)
        assert metric(n, "oci_fills_writing") == 1
        stores = fresh(n, "GET", "/status").json()["stores"]
        assert stores[0]["fills_writing"] == 1, json.dumps(stores)
        two = pool.submit(get, n, "a", d)
        assert digest(one.result().content) == d
        assert digest(two.result().content) == d
    filled(n, "a", d)
    wait_for("the end", lambda: metric(n, "oci_fills_writing") == 0)
    assert digest(get(n, "a", d).content) == d
    wait_for("the log", lambda: len(counted(n, d)) == 3)
    assert sorted(counted(n, d)) == [0, 0, size]
    assert metric(n, "oci_upstream_received_bytes_total") == size
    assert source(n) == {"memory": 0, "file": 3 * size, "upstream": 0}


def test_counts_without_a_file(pair):
    up, n = pair(mount_size="6m", workers=1, http=BYTES, server=STATUS)
    size = 20 * MIB
    d = up.sparse("a", size)
    n.allowed.append(r"passed on without a file")
    assert digest(get(n, "a", d).content) == d
    wait_for("the log", lambda: len(counted(n, d)) == 1)
    # and the first chunk, by which it was seen that there is no room
    assert size <= counted(n, d)[0] <= size + 2 * MIB
    assert metric(n, "oci_upstream_received_bytes_total") == counted(n, d)[0]
    assert source(n) == {"memory": 0, "file": 0, "upstream": size}


def test_counts_of_killed_workers(pair):
    """Who died writes nothing any more."""
    up, n = pair(server=STATUS)
    d = up.sparse("a", 20 * MIB)
    up.limit(MIB)
    with requests.Session() as s:
        s.trust_env = False
        s.get(n.url + blob("a", d), stream=True, timeout=30)
        wait_for("the fill", lambda: metric(n, "oci_fills_writing") == 1)
        n.kill_workers()
    wait_for("nobody to write", lambda: metric(n, "oci_fills_writing") == 0)
