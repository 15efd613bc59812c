"""The first bytes of a cold blob are sent before there is a file for them."""

import os
import re
import shutil
import threading

import pytest
import requests

from edge import METRICS
from nginx import wait_for
from oci import error
from test_fill import WAIT, blob, broken, cached, filled, fills, get, pair, \
    sent, source

MIB = 1 << 20
CLAIM = 4096                    # in a map: who has its first chunk

__all__ = ["pair"]

pytestmark = pytest.mark.native


@pytest.fixture
def slow(pair):
    """A pair where the thread that makes a file takes long for it."""
    def make(location="", at="fstatfs:delay_enter", **knobs):
        up, n = pair(location, workers=1, start=False, **knobs)
        return up, n.start_slow(at, 2000).made()
    return make


def names(n, d):
    """What its folder has."""
    try:
        return set(os.listdir(n.path("fills", "sha256", d[7:])))
    except FileNotFoundError:
        return set()


def counted(n, name, size):
    """The bytes that were sent, once, by where they come from."""
    wait_for("the count", lambda: source(n).get(name), WAIT)
    every = source(n)
    del every["memory"]         # /metrics itself
    assert {k: v for k, v in every.items() if v} == {name: size}


class Client(threading.Thread):
    """Stops after its first byte until it is told to go on."""

    def __init__(self, n, repo, d, **headers):
        super().__init__(daemon=True)
        self.n, self.d, self.url = n, d, n.url + blob(repo, d)
        self.headers, self.data, self.seen = headers, b"", None
        self.there, self.on = threading.Event(), threading.Event()
        self.leave = False
        self.start()

    def run(self):
        with requests.Session() as s:
            s.trust_env = False
            r = s.get(self.url, stream=True, timeout=2 * WAIT, headers=dict(
                self.headers, Connection="close"))
            self.data = r.raw.read(1)
            self.response, self.seen = r, names(self.n, self.d)
            self.there.set()
            assert self.on.wait(WAIT)
            if self.leave:
                r.close()
            else:
                try:
                    for piece in r.iter_content(4096):
                        self.data += piece
                except (requests.exceptions.ChunkedEncodingError,
                        requests.exceptions.ConnectionError):
                    pass            # short

    def end(self, leave=False):
        self.leave = leave
        self.on.set()
        self.join(WAIT)
        assert not self.is_alive()
        return self.data


def begun(n, repo, d, **headers):
    """The answer has begun, and there was no file."""
    c = Client(n, repo, d, **headers)
    assert c.there.wait(WAIT)
    assert c.response.status_code == (206 if headers else 200)
    assert c.seen == {"lock", "data", "map.tmp"}
    return c


@pytest.mark.parametrize("size,background", [
    (65537, "on"), (MIB, "off"), (3 * MIB + 5, "on")])
def test_no_file_is_waited_for(slow, size, background):
    up, n = slow("oci_fill_background %s;" % background, server=METRICS)
    d = up.sparse("a", size)
    c = begun(n, "a", d)
    assert c.response.headers["Content-Length"] == str(size)
    assert c.response.headers["X-Cache"] == "FILL"
    assert c.end() == up.read(d)
    filled(n, "a", d)
    sent(up, d, size)
    counted(n, "file", size)


@pytest.mark.parametrize("first,last", [
    (0, 0), (7, 2 * MIB), (1000, "")])
def test_ranges(slow, first, last):
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    c = begun(n, "a", d, Range="bytes=%s-%s" % (first, last))
    end = 3 * MIB if last == "" else last + 1
    assert c.end() == up.read(d)[first:end]
    filled(n, "a", d)
    sent(up, d, 3 * MIB)


def test_several_ranges(slow):
    """Of which the first is here and the second is not."""
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    c = begun(n, "a", d, Range="bytes=5-904,2000000-2000899")
    data, whole = c.end(), up.read(d)
    a, b = whole[5:905], whole[2000000:2000900]
    assert 0 < data.index(a) < data.index(b) and len(data) < 2400


def test_range_that_has_not_come(slow):
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    c = Client(n, "a", d, Range="bytes=2000000-2000099")
    assert c.there.wait(WAIT)
    assert "map" in c.seen or cached(n, "a", d)
    assert c.end() == up.read(d)[2000000:2000100]


@pytest.mark.parametrize("verify,size", [("all", 3 * MIB), ("whole", 65536)])
def test_what_is_held_back(slow, verify, size):
    up, n = slow("oci_fill_verify %s;" % verify)
    d = up.sparse("a", size)
    c = Client(n, "a", d)
    assert c.there.wait(WAIT)
    assert "map" in c.seen or cached(n, "a", d)
    assert c.end() == up.read(d)


def test_who_may_not(slow):
    """What has come for one repository is not sent for another."""
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    c = begun(n, "a", d)
    r = get(n, "b", d)
    error(r, 404, "BLOB_UNKNOWN")
    assert c.end() == up.read(d)


def test_two_clients(slow):
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    one, two = begun(n, "a", d), begun(n, "a", d, Range="bytes=9-")
    assert one.end() == up.read(d) and two.end() == up.read(d)[9:]
    filled(n, "a", d)
    sent(up, d, 3 * MIB)


def test_client_leaves(slow):
    """Before there is a file: it comes all the same."""
    up, n = slow()
    d = up.sparse("a", 3 * MIB)
    begun(n, "a", d).end(leave=True)
    assert "map" not in names(n, d)
    filled(n, "a", d)
    sent(up, d, 3 * MIB)


def test_folder_goes(slow):
    """By somebody's rm: the answer is cut, or it was early enough to be made
    once more; not a wrong byte."""
    up, n = slow()
    n.allow(r"oci: ")
    d = up.sparse("a", 3 * MIB)
    c = begun(n, "a", d)
    shutil.rmtree(n.path("fills", "sha256", d[7:]))
    data, whole = c.end(), up.read(d)
    assert data == whole or (whole.startswith(data)
                             and len(data) <= 3 * MIB - 65536)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    assert get(n, "a", d).content == whole


def test_what_the_file_has_not(slow):
    """Another one's bytes are verified: that says nothing of those that were
    sent before."""
    up, n = slow(at="rename:delay_exit")
    d = up.sparse("a", 3 * MIB)
    up.fault(path="/blobs/", flip=5, times=1)
    c = Client(n, "a", d)
    assert c.there.wait(WAIT)
    wait_for("a map", lambda: "map" in names(n, d), WAIT)
    with open(n.path("fills", "sha256", d[7:], "map"), "r+b") as f:
        f.seek(CLAIM)
        f.write(bytes(8))           # nobody's
    n.allow(r"an answer was cut")
    assert len(c.end()) <= 2 * MIB
    filled(n, "a", d)
    assert get(n, "a", d).content == up.read(d)


# ---- no file after all

def crowded(slow, location="", **knobs):
    up, n = slow(location, mount_size="6m", **knobs)
    n.allow(r"passed on without a file")
    return up, n


def went_on(up, d):
    """From behind the first bytes, without another question."""
    assert up.count(method="HEAD", path="/blobs/") == 0
    return re.match(r"bytes=([1-9]\d*)-", up.ranges(d)[1])


def test_no_room(slow):
    up, n = crowded(slow, server=METRICS)
    d = up.sparse("a", 9 * MIB)
    c = begun(n, "a", d)
    assert c.end() == up.read(d)
    assert went_on(up, d)
    counted(n, "upstream", 9 * MIB)
    assert "passed on without a file" in n.log()
    assert not cached(n, "a", d)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)


@pytest.mark.parametrize("ranges", [
    [(5, 8 * MIB)], [(0, 9), (MIB, MIB + 9)],
    [(0, 4 * MIB), (4 * MIB - 9, 9 * MIB - 1)]])
def test_no_room_for_ranges(slow, ranges):
    up, n = crowded(slow)
    d = up.sparse("a", 9 * MIB)
    c = begun(n, "a", d, Range="bytes=" + ",".join(
        "%d-%d" % r for r in ranges))
    data, whole, at = c.end(), up.read(d), 0
    for a, b in ranges:
        at = data.index(whole[a:b + 1], at) + b + 1 - a
    assert went_on(up, d)


def test_no_room_and_to_be_verified(slow):
    """Late, so that an answer is due: none of it goes out."""
    up, n = crowded(slow, "oci_fill_verify all;")
    up.fault(path="/blobs/", method="GET", delay=2.6)
    error(get(n, "a", up.sparse("a", 9 * MIB)), 503, "UNAVAILABLE")


def test_wrong_behind_what_went_out(slow):
    """The first answer had it right, but its end was held back."""
    up, n = crowded(slow)
    n.allow(r"oci: ")
    d = up.sparse("a", 70000)
    with open(n.path("ballast"), "wb") as f:
        fs = os.fstatvfs(f.fileno())
        os.posix_fallocate(f.fileno(), 0, fs.f_bavail * fs.f_bsize - 61440)
    up.fault(path="/blobs/", flip=5000, skip=1)
    status, data, whole = broken(n, "a", d)
    assert status == 200 and not whole
    assert went_on(up, d)
    os.unlink(n.path("ballast"))


@pytest.mark.parametrize("flip", [0, 5 * MIB])
def test_no_room_and_wrong_bytes(slow, flip):
    """Among those that were sent first, or behind them: held back."""
    up, n = crowded(slow)
    n.allow(r"oci: ")
    d = up.sparse("a", 9 * MIB)
    up.fault(path="/blobs/", flip=flip, times=None if flip else 1)
    status, data, whole = broken(n, "a", d)
    assert status == 200 and not whole
    assert 0 < len(data) <= 9 * MIB - 65536
    assert went_on(up, d)
    assert "has the digest" in n.log()
