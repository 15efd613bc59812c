"""Fixtures: a shared server for each file, a factory for the special ones."""

import os
import re
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import nginx as ngx    # noqa: E402
import raw as rawlib   # noqa: E402
from distribution import Distribution  # noqa: E402
from oci import Client  # noqa: E402
from upstream import Upstream  # noqa: E402

_count = [0]


def pytest_configure():
    """A run that is stopped (timeout) takes its servers with it.

    Where these variables are set, pytest draws every line of a difference:
    of two bodies of some MiB, for minutes."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("stopped", 143))
    for name in ("CI", "BUILD_NUMBER"):
        os.environ.pop(name, None)


def pytest_collection_finish(session):
    """One clear word, and not a thousand, where nginx can't start."""
    if session.config.option.collectonly or not session.items:
        return
    n = ngx.Nginx(start=False)
    rc, said = n.config_test()
    n.stop()
    if rc != 0:
        pytest.exit("nginx refuses the configuration:\n" + said, 3)


def pytest_collection_modifyitems(config, items):
    """Figures mean nothing under a sanitizer: such tests are not chosen."""
    if not (ngx.VALGRIND or ngx.PRELOAD):
        return
    gone = [i for i in items if i.get_closest_marker("native")]
    config.hook.pytest_deselected(items=gone)
    items[:] = [i for i in items if i not in gone]


def _client(server, base=None, **kw):
    c = Client(base or server.url, **kw)
    c.nginx = server
    server.on_stop.append(c.close)
    return c


@pytest.fixture(scope="module")
def server(request):
    """One nginx for the tests of a file; SERVER in it holds the knobs."""
    n = ngx.Nginx(**getattr(request.module, "SERVER", {}))
    yield n
    rawlib.close_all()
    n.stop()


@pytest.fixture(scope="module")
def reg(server):
    return _client(server)


@pytest.fixture
def raw(server):
    """Opens raw connections to the shared server."""
    return lambda **kw: rawlib.Raw(server.addr, **kw)


@pytest.fixture
def factory():
    """Starts servers with knobs of their own."""
    made = []

    def make(**knobs):
        files = knobs.pop("files", {})
        start = knobs.pop("start", True)
        n = ngx.Nginx(start=False, **knobs)
        made.append(n)
        for name, text in files.items():
            n.file(name, text)
        if start:
            n.start()
        n.client = lambda base=None, **kw: _client(n, base, **kw)
        return n

    yield make
    rawlib.close_all()
    problems = []
    for n in made:
        try:
            n.stop()
        except ngx.GateError as e:
            problems.append(str(e))
    if problems:
        raise ngx.GateError("\n".join(problems))


@pytest.fixture
def upstreams():
    """Starts upstreams (t/upstream.py) that end with the test."""
    made = []

    def make(**knobs):
        made.append(Upstream(**knobs))
        return made[-1]

    yield make
    for up in made:
        up.stop()


@pytest.fixture
def distributions():
    """Starts CNCF distribution, as an origin or in proxy mode."""
    made = []

    def make(**knobs):
        made.append(Distribution(**knobs))
        return made[-1]

    yield make
    for d in made:
        d.stop()


@pytest.fixture
def repo(request):
    """A repository name that no other test uses."""
    _count[0] += 1
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return "t%d/%s" % (_count[0], name[:60].strip("-"))


@pytest.fixture(autouse=True)
def gate():
    """Whatever a test saw, the servers' logs must be clean after it."""
    yield
    rawlib.close_all()
    for n in ngx.live():
        n.check()
