"""Pages of the tags of a repository that has very many."""

import http.client
import os
import time

import programs
import servers
from reads import CACHED, one
from rounds import interleave
from stats import median

NAME = "bench/tags"
COUNT = 100000
FIRST_BAR = 0.005           # seconds
PAGES = (("first page", "?n=100"), ("a later page", "?n=100&last=t050000"))


def names():
    return ["t%06d" % i for i in range(COUNT)]


def fill(ours):
    """One push, then the links that as many more pushes would have left."""
    servers.put(ours.port(), "/v2/%s/manifests/t000000" % NAME, servers.BARE,
                kind=servers.INDEX)
    folder = ours.repo(NAME, "_tags")
    target = os.readlink(os.path.join(folder, "t000000"))
    for tag in names()[1:]:
        os.symlink(target, os.path.join(folder, tag))


def get(server, path):
    c = http.client.HTTPConnection("127.0.0.1", server.port())
    start = time.monotonic()
    c.request("GET", path)
    r = c.getresponse()
    body = r.read()
    took = time.monotonic() - start
    c.close()
    if r.status != 200:
        raise programs.BenchError("GET %s: %d" % (path, r.status))
    return took, body


def settle(ours, path):
    """
    The links were not made by the server: it takes a folder that changed in
    the last seconds for one that may change again.
    """
    end = time.monotonic() + 10
    while get(ours, path)[0] > FIRST_BAR and time.monotonic() < end:
        pass


def after_a_write(ours, path):
    """The first page that is asked for after a tag has been put."""
    took = []
    for i in range(20):
        servers.put(ours.port(), "/v2/%s/manifests/a%04d" % (NAME, i),
                    servers.BARE, kind=servers.INDEX)
        took.append(get(ours, path)[0])
    return took


def measure(report, ours, content, peers, quick):
    fill(ours)
    base = "/v2/%s/tags/list" % NAME
    cold = get(ours, base + PAGES[0][1])[0]
    settle(ours, base + PAGES[0][1])
    root = os.path.join(content.root, "tags")
    paths = {}
    os.makedirs(os.path.join(root, "v2"))
    for i, (_, query) in enumerate(PAGES):
        paths[query] = "/v2/page%d" % i
        with open(root + paths[query], "wb") as f:
            f.write(get(ours, base + query)[1])
    cached = servers.stock(root, cached=True)
    twin = servers.stock(root, cached=True)
    these = {}
    if not quick:
        these = {n: p for n, p in peers.get().items() if hasattr(p, "tags")}
        for p in these.values():
            content.push_to(p.port())
            p.tags(NAME, names(), content.digest)
    seconds = 0.12 if quick else 0.3
    first = None
    try:
        for name, query in PAGES:
            for c in (1, 16) if not quick else (1,):
                knobs = {"connections": c, "seconds": seconds}
                variants = {
                    "ours": lambda: one(ours, base + query, False, False,
                                        **knobs),
                    "cached": lambda: one(cached, paths[query], False,
                                          False, **knobs),
                    "twin": lambda: one(twin, paths[query], False, False,
                                        **knobs)}
                for n, p in these.items():
                    variants[n] = lambda p=p: one(p, base + query, False,
                                                  False, **knobs)
                work = "tags, %s of 100 of %d, c%d" % (name, COUNT, c)
                rounds = interleave(work, 2 if quick else 10, variants,
                                    rare=these, every=5)
                report.versus(rounds, work, "req/s", "cached", CACHED,
                              twins=("twin", "cached"))
                for n in these:
                    report.versus(rounds, work, "req/s", n, n,
                                  twins=("twin", "cached"))
                if first is None:
                    first = [r["ours"]["p50"] for r in rounds]
    finally:
        for s in (cached, twin):
            s.stop()
    report.row("tags, first page of %d: warm" % COUNT, "ms",
               median(first) * 1000, at_most=FIRST_BAR * 1000, judged=True,
               rounds=first)
    report.row("tags, first page of %d: the first time" % COUNT, "ms",
               cold * 1000)
    took = after_a_write(ours, base + PAGES[0][1])
    report.row("tags, first page of %d: after a new tag" % COUNT, "ms",
               median(took) * 1000, at_most=FIRST_BAR * 1000,
               judged=True, rounds=took)
