"""PATCH in chunks and as a stream, upload status, cancel."""

import pytest

from oci import absent, add_query, digest, error, header, location, ok, \
    unique


def status(reg, loc, end):
    r = ok(reg.get(loc), 204)
    assert r.headers["Range"] == "0-%d" % end
    location(r)
    return r


@pytest.mark.smoke
@pytest.mark.valgrind
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_in_order(reg, repo, alg):
    data = unique(3067)
    loc = reg.start(repo)
    status(reg, loc, 0)
    for at in (0, 1024, 2048):
        part = data[at:at + 1024]
        r = ok(reg.chunk(loc, at, part), 202)
        end = at + len(part) - 1
        assert r.headers["Range"] == "0-%d" % end
        assert r.headers["Content-Length"] == "0"
        loc = location(r)
        status(reg, loc, end)
    r = ok(reg.finish(loc, digest(data, alg)), 201)
    assert r.headers["Docker-Content-Digest"] == digest(data, alg)
    assert reg.blob(repo, digest(data, alg)).content == data


def test_last_chunk_in_put(reg, repo):
    data = unique(2500)
    loc = reg.start(repo)
    loc = location(ok(reg.chunk(loc, 0, data[:1000]), 202))
    r = reg.finish(loc, digest(data), data[1000:],
                   **{"Content-Range": "1000-2499"})
    ok(r, 201)
    assert reg.blob(repo, digest(data)).content == data


def test_rest_in_put_without_content_range(reg, repo):
    data = unique(2500)
    loc = reg.start(repo)
    loc = location(ok(reg.patch(loc, data=data[:1000]), 202))
    ok(reg.finish(loc, digest(data), data[1000:]), 201)
    assert reg.blob(repo, digest(data)).content == data


@pytest.mark.parametrize("form", ["bytes 0-99/*", "bytes 0-99/100",
                                  "0-99"])
def test_content_range_forms(reg, repo, form):
    data = unique(100)
    r = reg.chunk(reg.start(repo), 0, data, **{"Content-Range": form})
    ok(r, 202)
    ok(reg.finish(location(r), digest(data)), 201)


@pytest.mark.smoke
@pytest.mark.valgrind
def test_out_of_order(reg, repo):
    """416 with Location and Range; the session goes on, old URLs too."""
    data = unique(3000)
    first = loc = reg.start(repo)
    for at in (0, 1000, 2000):
        wrong = 2000 if at != 2000 else 0
        r = reg.chunk(loc, wrong, data[wrong:wrong + 1000])
        error(r, 416, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
        assert r.headers["Range"] == "0-%d" % max(at - 1, 0)
        location(r)
        status(reg, loc, max(at - 1, 0))
        loc = location(ok(reg.chunk(loc, at, data[at:at + 1000]), 202))
        # the same chunk again, on the oldest URL
        error(reg.chunk(first, at, data[at:at + 1000]), 416,
              "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
        status(reg, first, at + 999)
    ok(reg.finish(loc, digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


@pytest.mark.smoke
def test_out_of_order_closing_put(reg, repo):
    data = unique(2000)
    loc = location(ok(reg.chunk(reg.start(repo), 0, data[:1000]), 202))
    url = add_query(loc, "digest=" + digest(data))
    for wrong in ("0-999", "500-1499", "1001-2000"):
        r = reg.put(url, data=data[:1000],
                    headers={"Content-Range": wrong})
        error(r, 416, "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
        assert r.headers["Range"] == "0-999"
        location(r)
        status(reg, url, 999)
    r = reg.put(url, data=data[1000:],
                headers={"Content-Range": "1000-1999"})
    ok(r, 201)
    assert reg.blob(repo, digest(data)).content == data


@pytest.mark.parametrize("bad", ["", "a-b", "5-3", "-5", "0-", "0",
                                 "0-18446744073709551616", "0-9,10-19",
                                 "bytes=0-99", "-1-98", "items 0-99/*"])
def test_malformed_content_range(reg, repo, bad):
    loc = reg.start(repo)
    r = reg.patch(loc, data=unique(100), headers={"Content-Range": bad})
    error(r, (400, 416), "BLOB_UPLOAD_INVALID", "SIZE_INVALID")
    status(reg, loc, 0)
    data = unique(100)
    ok(reg.chunk(loc, 0, data), 202)
    ok(reg.finish(loc, digest(data)), 201)


@pytest.mark.smoke
@pytest.mark.valgrind
def test_streamed_chunked(reg, repo):
    """docker: one PATCH, chunked coding, no Content-Range."""
    data = unique(300000)

    def parts():
        for i in range(0, len(data), 7777):
            yield data[i:i + 7777]

    r = ok(reg.patch(reg.start(repo), data=parts()), 202)
    assert r.headers["Range"] == "0-%d" % (len(data) - 1)
    ok(reg.finish(location(r), digest(data)), 201)
    assert reg.blob(repo, digest(data)).content == data


def test_streams_append(reg, repo):
    data = [unique(1000), unique(1), unique(70000)]
    loc, total = reg.start(repo), 0
    for i, part in enumerate(data):
        total += len(part)
        body = iter([part]) if i != 1 else part
        r = ok(reg.patch(loc, data=body), 202)
        assert r.headers["Range"] == "0-%d" % (total - 1)
        loc = location(r)
    whole = b"".join(data)
    ok(reg.finish(loc, digest(whole)), 201)
    assert reg.blob(repo, digest(whole)).content == whole


def test_stream_then_chunks(reg, repo):
    data = unique(9000)
    loc = location(ok(reg.patch(reg.start(repo), data=data[:3000]), 202))
    loc = location(ok(reg.chunk(loc, 3000, data[3000:6000]), 202))
    loc = location(ok(reg.patch(loc, data=data[6000:]), 202))
    ok(reg.finish(loc, digest(data)), 201)


def test_chunked_coding_with_content_range(reg, repo):
    data = unique(5000)
    loc = reg.start(repo)
    r = reg.patch(loc, data=iter([data[:11], data[11:]]),
                  headers={"Content-Range": "0-4999"})
    ok(r, 202)
    ok(reg.finish(location(r), digest(data)), 201)


def test_tiny_chunks_in_the_coding(raw, reg, repo):
    """One byte in each chunk, framing split at every place."""
    data = unique(300)
    c = raw()
    loc = reg.start(repo)
    c.head("PATCH", loc, ("Transfer-Encoding", "chunked"))
    for i in range(0, 300):
        c.chunk(data[i:i + 1])
    c.send(b"0\r")
    c.send(b"\n\r\n")
    ok(c.response(), 202)
    ok(reg.finish(loc, digest(data)), 201)


def test_empty_patch(reg, repo):
    loc = reg.start(repo)
    r = ok(reg.patch(loc, data=b""), 202)
    assert r.headers["Range"] == "0-0"
    data = unique()
    loc = location(r)
    loc = location(ok(reg.patch(loc, data=data), 202))
    r = ok(reg.patch(loc, data=b""), 202)
    assert r.headers["Range"] == "0-%d" % (len(data) - 1)
    ok(reg.finish(location(r), digest(data)), 201)


@pytest.mark.smoke
@pytest.mark.valgrind
def test_cancel(reg, repo):
    loc = location(ok(reg.patch(reg.start(repo), data=unique()), 202))
    ok(reg.delete(loc), 204)
    for r in (reg.get(loc), reg.patch(loc, data=b"x"), reg.delete(loc),
              reg.finish(loc, digest(b"x"), b"x")):
        error(r, 404, "BLOB_UPLOAD_UNKNOWN")
    assert loc.split("?")[0].rsplit("/", 1)[1] not in " ".join(
        reg.nginx.tree("uploads"))


def test_gone_after_the_end(reg, repo):
    data = unique()
    loc = reg.start(repo)
    ok(reg.finish(loc, digest(data), data), 201)
    error(reg.get(loc), 404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("bad", [
    "0" * 32, "f" * 32, "A" * 32, "0" * 31, "0" * 33, "x", "..", "%2e%2e",
    "state", "0" * 31 + "%30", "a" * 3000])
def test_unknown_id(reg, raw, repo, bad):
    reg.push(repo)
    url = "/v2/%s/blobs/uploads/%s" % (repo, bad)
    known = "BLOB_UPLOAD_UNKNOWN" if "%" not in bad and bad != ".." \
        else None
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", b"x"),
                         ("PUT", b"x")):
        u = url + ("?digest=" + digest(b"x") if method == "PUT" else "")
        r = raw().request(method, u, body=body)
        if known:
            error(r, 404, known)
        else:
            assert r.status in (400, 404, 405), r


@pytest.mark.smoke
def test_id_of_another_repository(reg, repo):
    loc = location(ok(reg.patch(reg.start(repo), data=b"abc"), 202))
    other = loc.replace("/v2/%s/" % repo, "/v2/%s/" % (repo + "/other"))
    assert other != loc
    for r in (reg.get(other), reg.patch(other, data=b"d"),
              reg.finish(other, digest(b"abc")), reg.delete(other)):
        error(r, 404, "BLOB_UPLOAD_UNKNOWN")
    status(reg, loc, 2)
    ok(reg.finish(loc, digest(b"abc")), 201)


def test_ids_are_random(reg, repo):
    ids = {reg.start(repo).split("/")[-1] for _ in range(20)}
    assert len(ids) == 20 and len({i[:8] for i in ids}) == 20


def test_put_needs_a_digest(reg, repo):
    loc = reg.start(repo)
    error(reg.put(loc, data=b"abc"), 400, "DIGEST_INVALID")
    error(reg.put(add_query(loc, "digest="), data=b"abc"), 400,
          "DIGEST_INVALID")


@pytest.mark.smoke
@pytest.mark.parametrize("how", ["put", "chunks", "last-in-put", "stream"])
def test_wrong_digest(reg, repo, how):
    data, bad = unique(2000), absent()
    loc = reg.start(repo)
    rest = b""
    if how == "put":
        rest = data
    elif how == "stream":
        loc = location(ok(reg.patch(loc, data=iter([data])), 202))
    else:
        loc = location(ok(reg.chunk(loc, 0, data[:1000]), 202))
        if how == "chunks":
            loc = location(ok(reg.chunk(loc, 1000, data[1000:]), 202))
        else:
            rest = data[1000:]
    error(reg.finish(loc, bad, rest), 400, "DIGEST_INVALID")
    assert not reg.has(repo, bad) and not reg.has(repo, digest(data))
    error(reg.get(loc), 404, "BLOB_UPLOAD_UNKNOWN")
    left = reg.nginx.tree("uploads", "tmp")
    assert not [x for x in left if loc.split("/")[-1] in x]
    assert header(reg.get("/v2/"), "Content-Type") == "application/json"
