"""Requests that must end, whatever becomes of their fill."""

import shutil
import threading

import pytest

from edge import fresh
from nginx import wait_for
from oci import digest
from test_fill import WAIT, blob, broken, cached, filled, fills, get, pair

MIB = 1 << 20

__all__ = ["pair"]


@pytest.mark.parametrize("first,last", [(5, 99), (0, ""), (39 * MIB, "")])
def test_verify_all_without_background(pair, first, last):
    """The whole has to come for a part of it, whoever wants that."""
    up, n = pair("oci_fill_verify all; oci_fill_background off; "
                 "oci_fill_connections 2;")
    size = 40 * MIB
    d = up.sparse("a", size)
    r = get(n, "a", d, first, last)
    assert r.status_code == 206
    assert r.content == up.read(d, first, last + 1 if last else size)
    filled(n, "a", d)


def parts(r):
    mark = b"--" + r.headers["Content-Type"].split("boundary=")[1].encode()
    return [p.partition(b"\r\n\r\n")[2][:-2]
            for p in r.content.split(mark)[1:-1]]


@pytest.mark.parametrize("at", [
    (0, 10 * MIB, 20 * MIB), (0, 20 * MIB - 5, 20 * MIB),
    (0, 5, 20 * MIB - 40000, 20 * MIB - 30000, 20 * MIB)])
def test_all_parts_without_a_file(pair, at):
    """Parts that make up the whole are held to its digest together."""
    up, n = pair(mount_size="6m")
    d = up.sparse("a", 20 * MIB)
    n.allowed.append(r"passed on without a file")
    n.allowed.append(r"the answer is cut")
    want = list(zip(at, at[1:]))
    ranges = ",".join("%d-%d" % (a, b - 1) for a, b in want)
    r = fresh(n, "GET", blob("a", d), headers={"Range": "bytes=" + ranges})
    assert r.status_code == 206
    assert parts(r) == [up.read(d, a, b) for a, b in want]
    up.fault("/blobs/", flip=1000)
    status, data, whole = broken(n, "a", d, Range="bytes=" + ranges)
    assert status == 206 and not whole


def test_all_parts_in_another_order(pair):
    """What can't be verified without a file is cut, and not waited for."""
    up, n = pair(mount_size="6m")
    d = up.sparse("a", 20 * MIB)
    n.allowed.append(r"passed on without a file")
    n.allowed.append(r"can't be verified without a file")
    status, data, whole = broken(
        n, "a", d, Range="bytes=10485760-,0-10485759")
    assert status == 206 and not whole
    assert len(data) < 20 * MIB
    wait_for("nothing to be left", lambda: not fills(n), WAIT)


def test_removed(pair):
    """By somebody's rm while it is written: it is not asked for over and
    over, and who comes next gets it."""
    up, n = pair()
    n.allow(r"has been removed")
    d = up.sparse("a", 8 * MIB)
    up.limit(4 * MIB)
    got = []
    one = threading.Thread(target=lambda: got.append(broken(n, "a", d)),
                           daemon=True)
    one.start()
    wait_for("a part of it", lambda: up.sent(d) > 2 * MIB, WAIT)
    shutil.rmtree(n.path("fills", "sha256", d[7:]))
    one.join(WAIT)
    status, data, whole = got[0]
    assert status == 200 and not whole and up.read(d).startswith(data)
    assert up.count(method="GET", path="/blobs/") <= 16
    up.limit(None)
    assert get(n, "a", d).content == up.read(d)
    filled(n, "a", d)


def test_many_parts_in_any_order(pair):
    """With a file there is no such order."""
    up, n = pair()
    d = up.sparse("a", 6 * MIB)
    r = fresh(n, "GET", blob("a", d), headers={
        "Range": "bytes=3145728-,0-3145727"})
    assert parts(r) == [up.read(d, 3 * MIB, 6 * MIB),
                        up.read(d, 0, 3 * MIB)]
    assert digest(b"".join(parts(r)[::-1])) == d
    filled(n, "a", d)
    assert cached(n, "a", d)
