"""The gate itself: it must be able to fail."""

import os

import pytest

import nginx
from nginx import FORBIDDEN, GateError


@pytest.fixture
def idle(tmp_path):
    """A server that never starts, with a log to write into."""
    n = nginx.Nginx(start=False)
    yield n
    n._remove()


def write(n, text):
    with open(n.prefix + "/logs/error.log", "w", encoding="utf-8") as f:
        f.write(text)


BAD = ["2026/01/01 00:00:00 [alert] 1#1: zero size buf in output t:1",
       "2026/01/01 00:00:00 [crit] 1#1: *1 open() failed",
       "2026/01/01 00:00:00 [emerg] 1#1: bind() failed",
       "2026/01/01 00:00:00 [alert] 1#1: worker process 7 exited on"
       " signal 11", "x: http request count is zero while sending",
       "[notice] open socket #3 left in connection 5",
       "[info] header already sent", "a.c:1:2: runtime error: shift",
       "==1==ERROR: AddressSanitizer: heap-use-after-free"]


@pytest.mark.parametrize("line", BAD)
def test_bad_lines(idle, line):
    write(idle, "2026/01/01 00:00:00 [notice] 1#1: start\n" + line + "\n")
    with pytest.raises(GateError):
        idle.check()


def test_good_lines(idle):
    write(idle, "2026/01/01 00:00:00 [error] 1#1: *1 wrong digest\n"
                "2026/01/01 00:00:00 [info] 1#1: *1 client prematurely"
                " closed connection\n"
                "2026/01/01 00:00:00 [warn] 1#1: deprecated\n")
    idle.check()
    assert FORBIDDEN.search("[error] something") is None


def test_kills_that_were_asked_for(idle):
    idle.killed.add(42)
    write(idle, "[alert] 1#1: worker process 42 exited on signal 9\n")
    idle.check()
    write(idle, "[alert] 1#1: worker process 43 exited on signal 9\n")
    idle.log_checked = 0
    with pytest.raises(GateError):
        idle.check()


def test_sanitizer_report(idle):
    with open(idle.prefix + "/san/asan.123", "w", encoding="ascii") as f:
        f.write("==123==ERROR: AddressSanitizer\n")
    with pytest.raises(GateError):
        idle.check()


def test_leftovers(idle):
    os.makedirs(idle.path("tmp"), exist_ok=True)
    assert idle.leftovers() == []
    with open(idle.path("tmp", "x"), "w", encoding="ascii"):
        pass
    assert idle.leftovers() == ["left behind: tmp/x"]


PLAIN = {"stores": "", "v2": "location /v2/ { return 204; }"}


def test_life(factory):
    """Start, reload, kill, stop, of an nginx without a store."""
    n = factory(**PLAIN)
    first = n.workers()
    assert len(first) == 2 and n.client().get("/v2/").status_code == 204
    n.reload(gone=True)
    second = n.workers()
    assert len(second) == 2 and not set(first) & set(second)
    n.kill_workers()
    third = n.workers()
    assert len(third) == 2 and not set(second) & set(third)
    assert n.client().get("/v2/").status_code == 204


@pytest.mark.parametrize("kill", [False, True])
def test_restart(factory, kill):
    n = factory(**PLAIN)
    first, url = n.workers(), n.url
    n.restart(kill)
    assert len(n.workers()) == 2 and not set(first) & set(n.workers())
    assert n.url == url and n.client().get("/v2/").status_code == 204


def test_a_kill_that_nobody_asked_for():
    import signal
    n = nginx.Nginx(**PLAIN)
    os.kill(n.workers()[0], signal.SIGKILL)
    nginx.wait_for("the line", lambda: "exited on signal" in n.log())
    with pytest.raises(GateError):
        n.stop()


def test_a_descriptor_that_leaks(factory):
    """The worker's own log counts as a stand-in for content."""
    n = factory(workers=1, server="open_log_file_cache max=1;", **PLAIN)
    assert n.held_files() == []
    n.store = n.prefix
    os.mkdir(n.prefix + "/tmp")
    assert n.leaks() == []
    pid = n.workers()[0]
    fake = {99: n.prefix + "/tmp/x"}
    n.fds = lambda p: fake if p == pid else {}
    assert len(n.held_files()) == 1
    del n.fds
