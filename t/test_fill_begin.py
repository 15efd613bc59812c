"""How fills begin: the upstream is asked before there is anything on disk."""

import errno
import fcntl
import itertools
import os
import struct
import threading

import pytest

from edge import edge, fresh
from nginx import wait_for
from oci import digest, error
from raw import Raw
from test_fill import (WAIT, blob, broken, cached, filled, fills, get, pair,
                       sent)

MIB = 1 << 20
FLOCK = "hhqqi4x"               # struct flock: type, whence, start, len, pid

__all__ = ["pair"]


class Turns:
    """All turns to ask, as one lock over all bytes of the file."""

    def __init__(self, n):
        path = n.path("run", "turn")
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        n.own(path)

    def take(self):
        """False: somebody has one."""
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK,
                        struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0))
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        return True

    def give(self):
        os.close(self.fd)


def free(n):
    """Nobody keeps a turn."""
    turns = Turns(n)
    wait_for("the turns to be given back", turns.take, WAIT)
    turns.give()


class Asks(threading.Thread):
    """A client that waits."""

    def __init__(self, n, repo, d):
        super().__init__(daemon=True)
        self.args, self.r = (n, repo, d), None
        self.start()

    def run(self):
        self.r = get(*self.args)

    def answer(self):
        self.join(WAIT)
        assert not self.is_alive()
        return self.r


def test_asked_at_once(pair):
    """While the upstream thinks its folder is made, and names with it."""
    up, n = pair()
    d = up.sparse("a", 3 * MIB)
    rule = up.fault(path="/blobs/", hold=True)
    one = Asks(n, "a", d)
    wait_for("the question", lambda: up.count(path="/blobs/") == 1)
    folder = n.path("fills", "sha256", d[7:])
    wait_for("the folder", lambda: os.path.exists(folder) and set(
        os.listdir(folder)) == {"lock", "data", "map.tmp"})
    turns = Turns(n)
    assert not turns.take()
    turns.give()
    rule.release()
    assert one.answer().content == up.read(d)
    filled(n, "a", d)
    assert up.ranges(d)[0] == "bytes=0-1048575"
    sent(up, d, 3 * MIB)
    free(n)


def test_turn_of_another(pair):
    """Of another process on the machine: it is waited for, not asked beside."""
    up, n = pair(workers=1)
    d = up.sparse("a", 2 * MIB)
    turns = Turns(n)
    assert turns.take()
    one = Asks(n, "a", d)
    wait_for("a look at the disk",
             lambda: up.count(method="HEAD", path="/blobs/") == 1, WAIT)
    assert up.count(method="GET", path="/blobs/") == 0
    assert not fills(n)
    turns.give()
    assert one.answer().content == up.read(d)
    filled(n, "a", d)
    sent(up, d, 2 * MIB)
    free(n)


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "data", "map.tmp"]])
def test_left_before_a_map(pair, left):
    """By one that died while it asked: the next one asks."""
    up, n = pair()
    d = up.sparse("a", 2 * MIB + 5)
    folder = n.path("fills", "sha256", d[7:])
    os.mkdir(folder, 0o700)
    for name in left:
        with open(os.path.join(folder, name), "wb") as f:
            f.write(b"" if name == "lock" else b"x" * 5000)
            n.own(f.name)
    n.own(folder)
    assert get(n, "a", d).content == up.read(d)
    filled(n, "a", d)
    sent(up, d, 2 * MIB + 5)
    free(n)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_refused(pair, status):
    """Nothing is left of what the upstream would not give."""
    up, n = pair()
    d = up.sparse("a", MIB)
    up.fault(path="/blobs/", status=status)
    for _ in range(2):
        r = get(n, "a", d)
        assert r.status_code == {401: 404, 500: 502}.get(status, status)
        wait_for("nothing to be left", lambda: not fills(n), WAIT)
        free(n)


def test_what_is_here_is_not_asked_for(pair):
    """By another repository's right: whether it may, and no byte of it."""
    up, n = pair(workers=1)
    data = os.urandom(3 * MIB)
    d = up.blob("a", data)
    up.repo("b").blobs.add(d)
    assert get(n, "a", d).content == data
    filled(n, "a", d)
    assert get(n, "b", d).content == data
    assert up.count(method="GET", path="/v2/b/blobs/") == 0
    assert up.count(method="HEAD", path="/v2/b/blobs/") == 1
    free(n)


def test_one_after_the_other(pair):
    """The next one comes while what is left of the last is thrown away."""
    up, n = pair(workers=1)
    with Raw(("127.0.0.1", n.port())) as c:
        for _ in range(100):
            data = os.urandom(70000)
            d = up.blob("a", data)
            up.fault(path="/blobs/", status=403, times=1)
            assert c.request("GET", blob("a", d)).status_code == 403
            r = c.request("GET", blob("a", d))
            assert r.status_code == 200 and r.content == data
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    free(n)


def test_client_leaves_first(pair):
    """Before the upstream has answered: it comes all the same."""
    up, n = pair()
    d = up.sparse("a", 3 * MIB)
    rule = up.fault(path="/blobs/", hold=True)
    with Raw(("127.0.0.1", n.port())) as c:
        c.head("GET", blob("a", d))
        wait_for("the question", lambda: up.count(path="/blobs/") == 1)
    rule.release()
    filled(n, "a", d)
    sent(up, d, 3 * MIB)
    free(n)


def test_second_repository(pair):
    """Who comes while the first one's question is out asks for itself."""
    up, n = pair(workers=1)
    data = os.urandom(MIB)
    d = up.blob("a", data)
    rule = up.fault(path="/v2/a/blobs/", hold=True)
    one = Asks(n, "a", d)
    wait_for("the question", lambda: up.count(path="/v2/a/blobs/") == 1)
    with Raw(("127.0.0.1", n.port())) as two:
        two.head("GET", blob("b", d))
        fresh(n, "GET", "/v2/")         # the worker has read what came before
        rule.release()
        assert one.answer().content == data
        error(two.response(), 404, "BLOB_UNKNOWN")
    filled(n, "a", d)
    free(n)


def test_no_folder(factory, upstreams):
    """The question is out, and then none can be made: without a file."""
    up = upstreams()
    n = edge(factory, up, workers=1, mount_size="32m,nr_inodes=2000",
             store_opts="durable=off")
    n.allowed.append(r"passed on without a file")
    d = up.sparse("a", 2 * MIB)
    first = up.blob("a", b"first")
    assert get(n, "a", first).content == b"first"
    filled(n, "a", first)
    names = itertools.count()
    with pytest.raises(OSError, match="No space left"):
        while True:
            with open(n.path("tmp", "x%d" % next(names)), "wb"):
                pass
    r = get(n, "a", d)
    assert r.status_code == 200 and digest(r.content) == d
    assert not cached(n, "a", d)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    free(n)
    for name in os.listdir(n.path("tmp")):
        os.unlink(n.path("tmp", name))


@pytest.mark.parametrize("fault", [
    {"chunked": True}, {"no_range": True}, {"chunked": True, "cut": 70000},
    {"cut": 70000}, {"reset": 0}, {"flip": 5}, {"length": 7}])
def test_kinds_of_answers(pair, fault):
    """All at the first question, and the turn comes back from each."""
    up, n = pair(workers=1)
    d = up.sparse("a", 300000)
    up.fault(path="/blobs/", times=1, **fault)
    status, data, whole = broken(n, "a", d)
    if "flip" in fault:
        assert not whole or status == 502
    else:
        assert status == 200 and whole and digest(data) == d
    n.allowed.append(r"oci: ")
    free(n)
    wait_for("it to end", lambda: not fills(n), WAIT)
