"""A cold blob on a full disk: what was filled makes room for it."""

import os
import time

import pytest

from edge import METRICS, edge, fresh, metric
from nginx import SLOWDOWN, wait_for
from oci import digest, error
from test_evict import age, content, link, pull
from test_fill import WAIT, blob, cached, fills, get

MIB = 1 << 20


@pytest.mark.parametrize("verify", ["whole", "all"])
def test_room_is_made(factory, upstreams, verify):
    """The client waits a little, and gets it by a file."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_chunk 1m; oci_fill_verify %s;" % verify,
             mount_size="20m", store_opts="durable=off inactive=1h",
             server=METRICS)
    old = pull(n, up, "a", 8 * MIB)
    age(n, "a", old, 500)
    new = pull(n, up, "a", 8 * MIB)
    age(n, "a", new, 400)
    d = up.sparse("a", 8 * MIB)
    start = time.monotonic()
    r = get(n, "a", d)
    assert time.monotonic() - start < 2.5 * SLOWDOWN
    assert r.status_code == 200 and digest(r.content) == d
    wait_for("the fill to end", lambda: cached(n, "a", d), WAIT)
    assert "without a file" not in n.log()
    # as much as had to go, and no more
    assert not os.path.exists(content(n, old))
    assert os.path.exists(link(n, "a", new))
    wait_for("the count", lambda: metric(n, "oci_evicted_files_total") == 1)
    assert up.sent(d) == 8 * MIB


def test_several_at_once(factory, upstreams):
    """Each of them gets its room."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_chunk 1m; oci_fill_verify all;",
             mount_size="24m", store_opts="durable=off max_size=1g")
    for i in range(4):
        age(n, "a", pull(n, up, "a", 5 * MIB), 500 - i)
    every = [up.sparse("a", 4 * MIB, seed=i) for i in range(3)]
    for d in every:
        assert digest(get(n, "a", d).content) == d


@pytest.mark.parametrize("verify", ["whole", "all"])
def test_in_vain(factory, upstreams, verify):
    """What is not ours to evict makes none: nothing goes for it, who waits is
    told soon, and those behind at once."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_verify %s;" % verify, mount_size="14m",
             methods="pull push", store_opts="durable=off inactive=1h")
    n.client().push("a", os.urandom(8 * MIB))
    small = pull(n, up, "a", MIB)
    age(n, "a", small, 500)
    n.allowed.append(r"passed on without a file")
    d = up.sparse("a", 9 * MIB)
    took = []
    for _ in range(3):
        start = time.monotonic()
        r = get(n, "a", d)
        took.append(time.monotonic() - start)
        if verify == "all":
            error(r, 503, "UNAVAILABLE")
            assert int(r.headers["Retry-After"]) >= 1
        else:
            assert digest(r.content) == d
    assert took[0] < 3 * SLOWDOWN and max(took[1:]) < 1.5 * SLOWDOWN, took
    assert os.path.exists(link(n, "a", small))
    assert fresh(n, "GET", blob("a", small)).status_code == 200
    wait_for("nothing to be left", lambda: not fills(n), WAIT)


def test_nothing_may_go(factory, upstreams):
    """Without limits nothing is evicted, and nobody waits for that."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_verify all;", mount_size="6m")
    n.allowed.append(r"passed on without a file")
    d = up.sparse("a", 9 * MIB)
    start = time.monotonic()
    error(get(n, "a", d), 503, "UNAVAILABLE")
    assert time.monotonic() - start < 1.5 * SLOWDOWN
