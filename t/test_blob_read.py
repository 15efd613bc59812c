"""GET and HEAD of blobs: headers, conditions, one range or a thousand."""

import re

import pytest

from oci import absent, digest, error, header, ok, unique

SIZE = 2048


@pytest.fixture(scope="module")
def blob(reg):
    data = unique(SIZE)
    d = reg.push("read/blob", data)
    return "/v2/read/blob/blobs/" + d, d, data


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_head_equals_get(reg, repo, alg):
    data = unique(777)
    d = reg.push(repo, data, alg)
    url = "/v2/%s/blobs/%s" % (repo, d)
    get, head = ok(reg.get(url), 200), ok(reg.head(url), 200)
    assert head.content == b"" and get.content == data
    for r in (get, head):
        h = r.headers
        assert h["Content-Length"] == "777"
        assert h["Content-Type"] == "application/octet-stream"
        assert h["Docker-Content-Digest"] == d
        assert h["ETag"] == '"%s"' % d
        assert h["Accept-Ranges"] == "bytes"
        assert "immutable" in h["Cache-Control"]
        assert re.search(r"max-age=\d{6,}", h["Cache-Control"])
        assert h["Location"] == url
        assert "Transfer-Encoding" not in h
    skip = ("Date", "X-Worker")
    assert {k: v for k, v in get.headers.items() if k not in skip} \
        == {k: v for k, v in head.headers.items() if k not in skip}


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("spec,start,end", [
    ("500-1499", 500, 1499), ("500-", 500, 2047), ("-500", 1548, 2047),
    ("2000-5000", 2000, 2047), ("0-0", 0, 0), ("2047-2047", 2047, 2047),
    ("0-", 0, 2047), ("-5000", 0, 2047), ("-1", 2047, 2047),
    ("0-2047", 0, 2047), ("0-99999999999999999", 0, 2047)])
def test_one_range(reg, blob, spec, start, end):
    url, d, data = blob
    for method in ("GET", "HEAD"):
        r = ok(reg.req(method, url, headers={"Range": "bytes=" + spec}), 206)
        h = r.headers
        assert h["Content-Range"] == "bytes %d-%d/%d" % (start, end, SIZE)
        assert h["Content-Length"] == str(end - start + 1)
        assert h["Accept-Ranges"] == "bytes"
        assert h["Docker-Content-Digest"] == d
        assert h["ETag"] == '"%s"' % d
        assert h["Content-Type"] == "application/octet-stream"
        assert "immutable" in h["Cache-Control"]
        assert r.content == (data[start:end + 1] if method == "GET" else b"")


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("spec", [
    "5000-10000", "2048-", "2048-2048", "500-0", "-0",
    "99999999999999999999-", "3000-3001,5000-"])
def test_416(reg, blob, spec):
    r = reg.get(blob[0], headers={"Range": "bytes=" + spec})
    error(r, 416, "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "UNSUPPORTED")
    assert r.headers["Content-Range"] == "bytes */%d" % SIZE


@pytest.mark.parametrize("value", ["items=0-5", "chapters=1"])
def test_another_unit(reg, blob, value):
    r = ok(reg.get(blob[0], headers={"Range": value}), 200)
    assert r.content == blob[2]


@pytest.mark.parametrize("value", ["", "bytes=", "bytes=a-b", "bytes=1",
                                   "bytes=-", "bytes=1-2x", "bytes=0-5,x"])
def test_malformed_range(reg, blob, value):
    """No 206 of something that was not asked for."""
    r = reg.get(blob[0], headers={"Range": value})
    assert r.status_code in (200, 400, 416)
    if r.status_code == 200:
        assert r.content == blob[2]
    else:
        error(r, (400, 416), "SIZE_INVALID", "BLOB_UPLOAD_INVALID",
              "UNSUPPORTED")


def parts(r):
    """The parts of a multipart/byteranges body: (start, end, bytes)."""
    m = re.match(r'multipart/byteranges; boundary="?([^"]+)"?$',
                 header(r, "Content-Type"))
    mark = b"--" + m.group(1).encode()
    body = r.content
    found, at = [], body.index(mark)
    while True:
        at += len(mark)
        if body[at:at + 2] == b"--":
            assert body[at + 2:] in (b"", b"\r\n")
            return found
        end = body.index(b"\r\n\r\n", at)
        head = body[at:end].decode()
        cr = re.search(r"Content-Range: bytes (\d+)-(\d+)/(\d+)", head, re.I)
        assert int(cr.group(3)) == SIZE
        assert "Content-Type: application/octet-stream" in head
        a, b = int(cr.group(1)), int(cr.group(2))
        at = end + 4
        found.append((a, b, body[at:at + b - a + 1]))
        at += b - a + 1
        assert body[at:at + 2] == b"\r\n"
        at += 2
        assert body[at:].startswith(mark)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("count", [2, 3, 17, 100, 1000, 1024])
def test_many_ranges(reg, raw, blob, count):
    """One part for each, in the order asked for, none merged."""
    url, d, data = blob
    want = [((i * 7919) % SIZE, min((i * 7919) % SIZE + i % 5, SIZE - 1))
            for i in range(count)]
    value = "bytes=" + ",".join("%d-%d" % w for w in want)
    r = ok(raw().request("GET", url, ("Range", value)), 206)
    assert header(r, "Content-Length") == str(len(r.content))
    assert header(r, "Content-Range") is None
    assert header(r, "Accept-Ranges") == "bytes"
    assert header(r, "Docker-Content-Digest") == d
    assert parts(r) == [(a, b, data[a:b + 1]) for a, b in want]


def test_overlapping_and_adjacent(reg, blob):
    url, _, data = blob
    r = ok(reg.get(url, headers={
        "Range": "bytes=0-2047,0-2047, 10-19 ,20-29,-1,2040-"}), 206)
    want = [(0, 2047), (0, 2047), (10, 19), (20, 29), (2047, 2047),
            (2040, 2047)]
    assert parts(r) == [(a, b, data[a:b + 1]) for a, b in want]


def test_many_ranges_head(raw, blob):
    c = raw()
    get = c.request("GET", blob[0], ("Range", "bytes=0-1,5-6"))
    head = c.request("HEAD", blob[0], ("Range", "bytes=0-1,5-6"))
    assert get.status == head.status == 206
    assert header(head, "Content-Length") == header(get, "Content-Length")
    assert c.request("GET", blob[0]).body == blob[2]


@pytest.mark.smoke
@pytest.mark.parametrize("count", [1025, 1500, 5000])
def test_too_many_ranges(raw, blob, count):
    c = raw()
    value = "bytes=" + ",".join(["0-1"] * count)
    r = c.request("GET", blob[0], ("Range", value))
    error(r, 400, "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "UNSUPPORTED")
    assert c.request("GET", blob[0]).body == blob[2]


def test_large_ranges(reg, repo):
    data = unique(3 << 20)
    url = "/v2/%s/blobs/%s" % (repo, reg.push(repo, data))
    for a, b in ((0, 1 << 20), (1000001, 3000000), (2 << 20, 3 << 20)):
        r = reg.get(url, headers={"Range": "bytes=%d-%d" % (a, b - 1)})
        assert r.status_code == 206 and r.content == data[a:b]


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("value,status", [
    ('"{d}"', 304), ('W/"{d}"', 304), ('"x", "{d}"', 304), ("*", 304),
    ('"x"', 200), ("{d}", 200), ('"{d}x"', 200)])
def test_if_none_match(reg, blob, value, status):
    url, d, data = blob
    for method in ("GET", "HEAD"):
        r = ok(reg.req(method, url, headers={
            "If-None-Match": value.format(d=d)}), status)
        assert r.headers["ETag"] == '"%s"' % d
        if status == 304:
            assert r.content == b""
            assert r.headers["Docker-Content-Digest"] == d


def test_304_wins_over_range(reg, blob):
    url, d, _ = blob
    r = reg.get(url, headers={"If-None-Match": '"%s"' % d,
                              "Range": "bytes=0-9"})
    assert r.status_code == 304


@pytest.mark.smoke
@pytest.mark.parametrize("value,status", [
    ('"{d}"', 206), ('"other"', 200), ('W/"{d}"', 200),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 200)])
def test_if_range(reg, blob, value, status):
    url, d, data = blob
    for spec in ("0-9", "0-9,20-29"):
        r = ok(reg.get(url, headers={"Range": "bytes=" + spec, "If-Range":
                                     value.format(d=d)}), status)
        if status == 200:
            assert r.content == data
        elif "," not in spec:
            assert r.content == data[:10]


@pytest.mark.parametrize("spec,statuses", [
    ("0-", (200, 416)), ("0-0", (200, 416)), ("-1", (200, 416)),
    ("5-", (416,))])
def test_range_of_the_empty_blob(reg, repo, spec, statuses):
    d = reg.push(repo, b"")
    r = reg.get("/v2/%s/blobs/%s" % (repo, d),
                headers={"Range": "bytes=" + spec})
    assert r.status_code in statuses
    if r.status_code == 416:
        assert r.headers["Content-Range"] == "bytes */0"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0",
                                    "*/*", "nonsense"])
def test_accept_is_ignored(reg, blob, accept):
    assert reg.get(blob[0], headers={"Accept": accept}).status_code == 200


def test_range_of_a_missing_blob(reg):
    r = reg.get("/v2/read/blob/blobs/" + absent(),
                headers={"Range": "bytes=0-9"})
    error(r, 404, "BLOB_UNKNOWN")


CONFIGS = {
    "sendfile": "sendfile on; tcp_nopush on;",
    "no-sendfile": "sendfile off;",
    "aio-threads": "sendfile off; aio threads;",
    "sendfile-aio": "sendfile on; aio threads;",
    "directio": "directio 512; aio threads;",
    "tiny-buffers": "sendfile off; output_buffers 1 1k; postpone_output 1;",
    "open-file-cache": "open_file_cache max=100; open_file_cache_errors on;"
                       " open_file_cache_min_uses 1;",
    "limit-rate": "limit_rate 4m;",
    "no-max-ranges": "max_ranges 0;",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_operators_settings(factory, name):
    """However nginx sends files, the bytes and ranges are the same."""
    n = factory(server=CONFIGS[name])
    c = n.client()
    for size in (0, 1, 511, 512, 513, 4096, 300001):
        data = unique(size)
        d = c.push("a", data)
        url = "/v2/a/blobs/" + d
        assert c.get(url).content == data
        assert c.head(url).headers["Content-Length"] == str(size)
        if size > 500:
            r = c.get(url, headers={"Range": "bytes=100-%d" % (size - 2)})
            assert r.status_code == 206
            assert r.content == data[100:size - 1]
            r = c.get(url, headers={"Range": "bytes=1-3,%d-" % (size - 7)})
            assert r.status_code == 206
            assert data[1:4] in r.content and data[-7:] in r.content
        assert digest(c.get(url).content) == d
        c.delete(url)
        assert c.get(url).status_code == 404
    assert c.get("/v2/a/blobs/" + absent()).status_code == 404
