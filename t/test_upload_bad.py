"""Bodies that lie about their length, early refusals, keepalive."""

import os

import pytest

from nginx import wait_for
from oci import absent, add_query, digest, error, header, location, ok, \
    unique, upload_id


def offset(reg, loc):
    r = ok(reg.get(loc), 204)
    return int(r.headers["Range"].split("-")[1]) + 1


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("declared", [50, 99, 101, 1000])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_content_range_is_not_the_length(reg, raw, repo, declared, coding):
    """The body has 100 bytes; nothing of it may stay."""
    data = unique(100)
    loc = reg.start(repo)
    c = raw()
    headers = (("Content-Range", "0-%d" % (declared - 1)),)
    if coding == "length":
        r = c.request("PATCH", loc, *headers, body=data)
    else:
        c.head("PATCH", loc, ("Transfer-Encoding", "chunked"), *headers)
        c.try_send(b"64\r\n" + data + b"\r\n0\r\n\r\n")
        r = c.response()
    error(r, 400, "SIZE_INVALID")
    assert header(reg.get(loc), "Range") == "0-0"
    r = ok(reg.chunk(loc, 0, data), 202)
    assert r.headers["Range"] == "0-99"
    ok(reg.finish(loc, digest(data)), 201)


def test_content_range_of_the_put_is_not_the_length(reg, repo):
    data = unique(300)
    loc = location(ok(reg.chunk(reg.start(repo), 0, data[:100]), 202))
    r = reg.finish(loc, digest(data), data[100:],
                   **{"Content-Range": "100-150"})
    error(r, 400, "SIZE_INVALID")
    assert offset(reg, loc) == 100
    r = reg.finish(loc, digest(data), data[100:],
                   **{"Content-Range": "100-299"})
    ok(r, 201)


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("leave", ["close", "abort", "half_close"])
def test_vanishes_without_content_range(reg, raw, repo, coding, leave):
    """What came is kept; the rest is sent from there."""
    data = unique(200000)
    loc = reg.start(repo)
    c = raw()
    if coding == "length":
        c.head("PATCH", loc, ("Content-Length", str(len(data))))
        c.send(data[:100000])
    else:
        c.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
        c.chunk(data[:100000])
    if leave == "abort":
        # a reset throws away what the server has not read yet
        wait_for("bytes on disk", lambda: os.path.getsize(reg.nginx.path(
            "uploads", upload_id(loc), "data")) == 100000)
    getattr(c, leave)()
    wait_for("the offset", lambda: offset(reg, loc) == 100000)

    def resume():
        r = reg.patch(loc, data=data[100000:])
        return r if r.status_code != 409 else None

    r = ok(wait_for("the session to be free", resume), 202)
    assert r.headers["Range"] == "0-199999"
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_vanishes_with_content_range(reg, raw, repo, coding):
    """Rolled back whole: the same chunk can be sent again."""
    data = unique(200000)
    loc = location(ok(reg.chunk(reg.start(repo), 0, data[:50000]), 202))
    for at in (0, 1, 80000, 149999):
        c = raw()
        how = (("Content-Length", "150000") if coding == "length"
               else ("Transfer-Encoding", "chunked"))
        c.head("PATCH", loc, ("Content-Range", "50000-199999"), how)
        if at and coding == "length":
            c.send(data[50000:50000 + at])
        elif at:
            c.chunk(data[50000:50000 + at])
        c.close()

    def resume():
        r = reg.chunk(loc, 50000, data[50000:])
        return r if r.status_code != 409 else None

    def finish():
        # one that was left may still come to a worker, to be refused
        r = reg.finish(loc, digest(data))
        return r if r.status_code != 409 else None

    r = ok(wait_for("the session to be free", resume), 202)
    assert r.headers["Range"] == "0-199999"
    ok(wait_for("the session to be free", finish), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_vanishes_in_the_closing_put(reg, raw, repo):
    data = unique(100000)
    loc = reg.start(repo)
    c = raw()
    c.head("PUT", add_query(loc, "digest=" + digest(data)),
           ("Content-Length", "100000"))
    c.send(data[:60000])
    c.close()

    def free():
        r = reg.chunk(loc, 999999, b"x")
        return r.status_code == 416

    wait_for("the session to be free", free)
    assert not reg.has(repo, digest(data))
    at = offset(reg, loc)
    if at == 1:
        at = 0      # "0-0" says nothing or one byte: nothing here
    assert at in (0, 60000)
    ok(reg.finish(loc, digest(data), data[at:]), 201)


def test_vanishes_in_a_single_post(reg, raw, repo):
    data = unique(100000)
    before = reg.nginx.tree("uploads", "blobs", "repositories")
    c = raw()
    c.head("POST", "/v2/%s/blobs/uploads/?digest=%s" % (repo, digest(data)),
           ("Content-Length", "100000"))
    c.send(data[:60000])
    wait_for("a session", lambda: reg.nginx.tree(
        "uploads", "blobs", "repositories") != before)
    c.close()
    wait_for("nothing left", lambda: reg.nginx.tree(
        "uploads", "blobs", "repositories") == before)


@pytest.mark.parametrize("framing", [
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"Content-Length: -1\r\n\r\nabc",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip\r\n\r\nabc"])
def test_bad_framing(reg, raw, repo, framing):
    """4xx (or 501), nothing taken, and the server lives."""
    loc = reg.start(repo)
    c = raw()
    c.send(b"PATCH %s HTTP/1.1\r\nHost: a\r\n%s" % (loc.encode(), framing))
    r = c.response()
    assert 400 <= r.status < 500 or r.status == 501, r
    c.close()

    def untouched():
        r = reg.patch(loc, data=b"")
        return r.status_code == 202

    wait_for("the session to be free", untouched)
    ok(reg.finish(loc, digest(b"abc"), b"abc"), (201))


@pytest.mark.smoke
@pytest.mark.valgrind
def test_expect_is_answered(reg, raw, repo):
    data = unique(1000)
    loc = reg.start(repo)
    c = raw()
    c.head("PATCH", loc, ("Expect", "100-continue"),
           ("Content-Length", "1000"))
    assert c.response_head()[0] == 100
    c.send(data)
    ok(c.response(), 202)
    c.head("PUT", add_query(loc, "digest=" + digest(data)),
           ("Expect", "100-continue"), ("Content-Length", "0"))
    r = c.response()
    ok(r if r.status != 100 else c.response(), 201)


@pytest.mark.smoke
@pytest.mark.parametrize("case,status,code", [
    ("unknown", 404, "BLOB_UPLOAD_UNKNOWN"), ("order", 416, None),
    ("name", 400, "NAME_INVALID"), ("digest", 400, "DIGEST_INVALID"),
    ("manifest", 400, "DIGEST_INVALID"), ("large", 413, None),
    ("method", 405, "UNSUPPORTED")])
def test_expect_gets_the_refusal(reg, raw, repo, case, status, code):
    """No 100 before a refusal that needs no body."""
    loc = reg.start(repo)
    method, url, more = {
        "unknown": ("PATCH", "/v2/%s/blobs/uploads/%s" % (repo, "0" * 32),
                    ()),
        "order": ("PATCH", loc, (("Content-Range", "5000-104999"),)),
        "name": ("POST", "/v2/A/blobs/uploads/?digest=" + absent(), ()),
        "digest": ("PUT", add_query(loc, "digest=sha256:x"), ()),
        "manifest": ("PUT", "/v2/%s/manifests/sha256:x" % repo, ()),
        "large": ("PUT", "/v2/%s/manifests/big" % repo, ()),
        "method": ("POST", "/v2/%s/tags/list" % repo, ()),
    }[case]
    c = raw()
    size = "100000" if case != "large" else "100000000"
    c.head(method, url, ("Expect", "100-continue"),
           ("Content-Length", size), *more)
    error(c.response(), status, *([code] if code else [
        "BLOB_UPLOAD_INVALID", "SIZE_INVALID", "MANIFEST_INVALID"]))


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("size", [10, 1000, 200000])
def test_keepalive_after_errors(reg, raw, repo, size):
    """
    A refusal drains its body and the next request is answered; only of a
    large one may the connection be closed, which the answer says then.
    """
    body = unique(size)
    loc = location(ok(reg.chunk(reg.start(repo), 0, b"abc"), 202))
    c, known = raw(), (None, "keep-alive")
    for method, url, headers, status in (
            ("PATCH", loc, (("Content-Range", "9-%d" % (8 + size)),), 416),
            ("PATCH", loc[:-32] + "0" * 32, (), 404),
            ("POST", "/v2/A/blobs/uploads/", (), 400),
            ("PUT", add_query(loc, "digest=nothing"), (), 400),
            ("PUT", "/v2/%s/manifests/x" % repo, (), 400),
            ("GET", "/v2/%s/blobs/%s" % (repo, absent()), (), 404),
            ("DELETE", "/v2/%s/manifests/none" % repo, (), 404),
            ("POST", "/v2/%s/tags/list" % repo, (), 405),
            ("PATCH", loc, (("Content-Range", "3-8"),), 400)):
        r = c.request(method, url, *headers, body=body)
        assert r.status == status, (method, url, r)
        if size < 10000 or header(r, "Connection") in known:
            assert header(r, "Connection") in known, (method, url, r)
            assert c.request("GET", "/v2/").status == 200, (method, url)
        else:
            assert header(r, "Connection") == "close", (method, url, r)
            c = raw()
    assert offset(reg, loc) == 3


def test_body_on_get_and_delete(reg, raw, repo):
    d = reg.push(repo, b"abc")
    c = raw()
    r = c.request("GET", "/v2/%s/blobs/%s" % (repo, d), body=unique(70000))
    assert r.status == 200 and r.body == b"abc"
    r = c.request("DELETE", "/v2/%s/blobs/%s" % (repo, d),
                  body=unique(70000))
    assert r.status == 202
    assert c.request("GET", "/v2/").status == 200


def test_slow_body(reg, raw, repo):
    """In many small pieces over two connections' time."""
    from raw import trickle
    data = unique(6000)
    loc = reg.start(repo)
    c = raw()
    c.head("PATCH", loc, ("Content-Length", "6000"))
    trickle(c, data, 200, 0.02)
    ok(c.response(), 202)
    ok(reg.finish(loc, digest(data)), 201)


def test_small_body_buffer(factory):
    """Bodies larger and smaller than tiny buffers, both codings."""
    n = factory(location="client_body_buffer_size 1k;",
                server="client_header_buffer_size 1k;")
    c = n.client()
    for size in (1, 1000, 1024, 1025, 5000, 300000):
        data = unique(size)
        assert c.blob("a", c.push("a", data)).content == data
        loc = c.start("a")
        data = unique(size)
        ok(c.patch(loc, data=iter([data])), 202)
        ok(c.finish(loc, digest(data)), 201)
        assert c.blob("a", digest(data)).content == data


def test_aborts_everywhere(reg, raw, repo):
    """A client that breaks off at each of many places leaves nothing."""
    data = unique(3000)
    url = "/v2/%s/blobs/uploads/?digest=%s" % (repo, digest(data))
    text = (b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n"
            % url.encode()) + data
    before = reg.nginx.tree("uploads")
    for at in range(1, len(text) - 1, 97):
        c = raw()
        c.send(text[:at])
        c.abort() if at % 2 else c.close()
    wait_for("nothing left", lambda: reg.nginx.tree("uploads") == before)
    assert not reg.has(repo, digest(data))
    reg.nginx.no_tmp()


def test_abort_while_reading(reg, raw, repo):
    """Open-ended ranges that are cut short are cheap and silent."""
    data = unique(8 << 20)
    d = reg.push(repo, data)
    for at in range(0, len(data), 1 << 20):
        c = raw()
        c.head("GET", "/v2/%s/blobs/%s" % (repo, d),
               ("Range", "bytes=%d-" % at))
        status, headers = c.response_head()
        assert status == 206
        assert c._take(1000) == data[at:at + 1000]
        c.abort()
    assert reg.blob(repo, d).content == data
