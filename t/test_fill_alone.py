"""Fills that nobody works on any more go on by themselves."""

import os
import re
import struct
import threading
import time

import pytest
import requests

from edge import edge
from nginx import wait_for
from oci import digest
from test_fill import WAIT, blob, broken, cached, filled, fills, get, pair

MIB = 1 << 20
SIZE = 24 * MIB
STATE = 212                     # of a map: where its state is

__all__ = ["pair"]


def begun(up, n, repo="a", size=SIZE, first=None, seed=0):
    """A fill of which a third is here, and whoever asked for it."""
    d = up.sparse(repo, size, seed=seed)
    up.limit(8 * MIB)
    headers = {} if first is None else {"Range": "bytes=%d-" % first}
    one = threading.Thread(target=lambda: broken(n, repo, d, **headers),
                           daemon=True)
    one.start()
    wait_for("a third of it", lambda: up.sent(d) > size // 3, WAIT)
    return d, one


def died(up, n, one):
    """kill -9 of all of nginx; nobody asks again."""
    n.restart(kill=True)
    one.join(WAIT)
    assert not one.is_alive()
    up.limit(None)


def source(n, d):
    with open(n.path("fills", "sha256", d[7:], "from"), "rb") as f:
        return f.read().decode()


def still(n, d, seconds=8):
    """It is left as it is, and nobody waits for the claims of the dead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert fills(n) == [d[7:]]
        time.sleep(0.2)
    assert "going on with the fill" not in n.log()


@pytest.mark.waits
def test_restart(pair):
    """What is there is not fetched again, and who asks then gets a hit."""
    up, n = pair()
    d, one = begun(up, n)
    text = source(n, d)
    assert text == "oci-fill-from 1\nhttp://127.0.0.1:%d\na\n\na\n" % up.port
    died(up, n, one)
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB
    assert "going on with the fill of " + d in n.log()
    asked = up.count(path="/blobs/")
    assert digest(get(n, "a", d).content) == d
    assert up.count(path="/blobs/") == asked


@pytest.mark.waits
def test_killed_workers(pair):
    """The first worker's place is taken by another process."""
    up, n = pair(workers=3)
    d, one = begun(up, n)
    n.kill_workers()
    one.join(WAIT)
    up.limit(None)
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
def test_reload(pair):
    """Old workers leave; what they did for nobody is gone on with."""
    up, n = pair()
    d = up.sparse("a", SIZE)
    up.limit(4 * MIB)
    with requests.Session() as session:
        session.trust_env = False
        r = session.get(n.url + blob("a", d), stream=True, timeout=30)
        assert r.raw.read(10) == up.read(d, 0, 10)
        r.close()
    n.reload(gone=True)
    up.limit(None)
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
def test_names(factory, upstreams):
    """A namespace, and a repository that has another name upstream."""
    up = upstreams()
    n = edge(factory, "", v2="""location /v2/ { oci main;
        oci_namespace $arg_ns allow=one allow=two; oci_fill_chunk 1m;
        oci_pass %s repository=mirror/$oci_repository; }""" % up.url)
    d = up.sparse("mirror/a", SIZE)
    up.limit(8 * MIB)
    one = threading.Thread(target=lambda: broken(
        n, "a", d + "?ns=two"), daemon=True)
    one.start()
    wait_for("a third of it", lambda: up.sent(d) > SIZE // 3, WAIT)
    assert source(n, d).split("\n")[2:5] == ["mirror/a", "two", "a"]
    died(up, n, one)
    link = n.path("repositories", "@two", "a", "_cached", "sha256", d[7:])
    wait_for("the fill to end", lambda: os.path.exists(link)
             and not fills(n), WAIT)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
@pytest.mark.parametrize("what", ["background", "beside", "client",
                                  "variable"])
def test_not_for_nobody(factory, upstreams, what):
    """Nor where it may not, or where it takes a client to know from where:
    then it waits for one."""
    up = upstreams()
    text = {"background": "oci_pass %s; oci_fill_background off;",
            "beside": "oci_pass %s;",
            "client": "oci_pass %s; oci_pass_auth client;",
            "variable": "set $to %s; oci_pass $to;"}[what] % up.url
    v2 = "location /v2/ { oci main; oci_fill_chunk 1m; " + text + "}"
    if what == "beside":        # another location would, this one may not
        v2 += ("location /v2/a/ { oci main; oci_fill_chunk 1m;"
               " oci_fill_background off; " + text + "}")
    n = edge(factory, "", v2=v2)
    d, one = begun(up, n)
    assert os.path.exists(n.path("fills", "sha256", d[7:], "from")) == (
        what == "variable")
    died(up, n, one)
    sent = up.sent(d)
    still(n, d)
    assert up.sent(d) == sent
    assert digest(get(n, "a", d).content) == d
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
def test_another_configuration(factory, upstreams):
    """Its upstream, or its repository there, is none of ours any more."""
    up, other = upstreams(), upstreams()
    n = edge(factory, up, "oci_fill_chunk 1m;")
    d, one = begun(up, n)
    up.repo("b").blobs.add(d)
    was = n.parts["V2"]
    n.parts["V2"] = was.replace(up.url, other.url)
    died(up, n, one)
    sent = up.sent(d)
    still(n, d)
    n.parts["V2"] = was.replace(up.url, up.url + " repository=b")
    n.restart()
    still(n, d)
    assert up.sent(d) == sent and other.count(path="/blobs/") == 0
    n.parts["V2"] = was
    n.restart()
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
def test_upstream_is_down(pair):
    """It is tried again, less and less often, and ends when it can."""
    up, n = pair("oci_use_stale off;")
    d, one = begun(up, n)
    up.fault("/blobs/", status=503)
    died(up, n, one)
    before = up.count(path="/blobs/")
    wait_for("a try", lambda: up.count(path="/blobs/") > before, WAIT)
    time.sleep(12)
    assert up.count(path="/blobs/") - before <= 24
    up.mend()
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB


@pytest.mark.waits
def test_wrong_content(pair):
    """Nothing of it is kept, and nobody tries again by himself."""
    up, n = pair()
    d, one = begun(up, n)
    n.allowed.append(r"nothing of it is kept")
    up.fault("/blobs/", flip=SIZE - 1000)
    died(up, n, one)
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    assert not cached(n, "a", d)
    asked = up.count(path="/blobs/")
    time.sleep(5)
    assert up.count(path="/blobs/") == asked


@pytest.mark.waits
def test_at_once(pair):
    """No more than four."""
    up, n = pair("oci_fill_connections 1;")
    size = 3 * MIB
    every = [up.sparse("a", size, seed=i) for i in range(7)]
    up.limit(2 * MIB)
    gone = [threading.Thread(target=broken, args=(n, "a", d), daemon=True)
            for d in every]
    for one in gone:
        one.start()
    wait_for("some of each", lambda: all(
        up.sent(d) > 100000 for d in every), WAIT)
    n.restart(kill=True)
    for one in gone:
        one.join(WAIT)
    up.limit(MIB)
    wait_for("some to go on", lambda: len(at_work(n)) == 4, WAIT)
    for _ in range(20):
        assert len(at_work(n)) <= 4
        time.sleep(0.1)
    up.limit(None)
    wait_for("all to end", lambda: not fills(n), 2 * WAIT)
    assert all(cached(n, "a", d) for d in every)
    assert all(up.sent(d) < size + 3 * MIB for d in every)


def at_work(n):
    """The fills that some worker has open."""
    out = set()
    for pid in n.workers():
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                to = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            except OSError:
                continue
            # not the folder of all of them, which is read at times
            m = re.search("/fills/[^/]+/([^/]+)", to)
            if m:
                out.add(m.group(1))
    return out


@pytest.mark.waits
def test_two_servers(factory, upstreams):
    """Two of nginx on one store: one fetch all the same."""
    up = upstreams()
    n = edge(factory, up, "oci_fill_chunk 1m;")
    m = factory(http="", v2=n.parts["V2"], stores=(
        "oci_store %s zone=main:8m durable=off;" % n.store))
    d, one = begun(up, n)
    died(up, n, one)
    filled(n, "a", d)
    assert up.sent(d) < SIZE + 4 * MIB
    assert digest(get(m, "a", d).content) == d


@pytest.mark.waits
def test_found_wrong_and_killed(pair):
    """Who has found that it is another content may die before it goes: the
    next one who asks does not find it so for ever."""
    up, n = pair("oci_fill_background off;")
    d, one = begun(up, n)
    died(up, n, one)
    with open(n.path("fills", "sha256", d[7:], "map"), "r+b") as f:
        f.seek(STATE)
        f.write(struct.pack("=I", 2))
    assert get(n, "a", d).status_code == 502
    wait_for("nothing to be left", lambda: not fills(n), WAIT)
    assert digest(get(n, "a", d).content) == d


def test_no_secrets(factory, upstreams):
    up = upstreams(auth="basic", users={"robot": "secret-word"})
    up.grant("robot")
    n = edge(factory, "", v2="location /v2/ { }", start=False)
    n.file("creds.json", '{"auths": {"127.0.0.1:%d": {"auth": '
           '"cm9ib3Q6c2VjcmV0LXdvcmQ="}}}' % up.port)
    n.parts["V2"] = ("location /v2/ { oci main; oci_pass %s; "
                     "oci_pass_credentials creds.json; }" % up.url)
    n.start()
    d, one = begun(up, n)
    text = source(n, d)
    assert "secret" not in text and "cm9" not in text and "robot" not in text
    up.limit(None)
    one.join(WAIT)
    filled(n, "a", d)
