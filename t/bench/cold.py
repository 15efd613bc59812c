"""The edge, cold: content that is not there yet, upstreams that are slow or
broken, beside distribution's proxy mode and nginx's proxy_cache."""

import hashlib
import json
import time
import urllib.request

import programs
from edges import ALONE, REPO, WORDS, Edges, note, row
from gate import wait_for
from rounds import interleave
from servers import KIB, MIB
from stats import column, half_width, median, ratios

RATE = 50 * 10 ** 6         # of the upstream, bytes a second
LATENCY = 0.01
EACH = 20 * 10 ** 6         # of one connection, where each is limited
CHUNK = 8 * MIB             # oci_fill_chunk's default
LONG = 60                   # seconds that a row may take before it is left
WORKERS = 4


def blob(digest, repo=REPO):
    return "/v2/%s/blobs/%s" % (repo, digest)


def ask(edges, name, digest, clients, *more, repo=REPO, limit=LONG):
    """So many at once: [what became of each], bytes from the upstream."""
    up = edges.up
    up.clear()
    got = programs.run("cold", edges.ports[name], blob(digest, repo),
                       clients, limit, *more)["clients"]
    sent = up.sent(digest)
    # who was left, or asked for a part, must not load the next one's row
    # (a fill that nobody reads comes again)
    wait_for("connections to end", lambda: ended(up), 30)
    return got, sent


def ended(up):
    up.drop()
    return up.open == 0


def cold(edges, name, size, clients):
    digest = edges.blob(size)
    got, sent = ask(edges, name, digest, clients)
    done = [c for c in got if c["done"] and c["bytes"] == size]
    out = {"sent": None, "first": None, "rate": None}
    if len(done) == clients:
        out["sent"] = sent / size
        out["first"] = max(c["first"] for c in got) * 1000
        out["rate"] = min(size / c["seconds"] for c in got) / 1e6
    else:
        note("%s: %d of %d clients were served" % (name, len(done), clients))
    return out


def medians(rounds, key, names):
    out = {}
    for name in names:
        values = column(rounds, name, key)
        out[name] = None if None in values else median(values)
    return out


def warm_up(edges):
    """Every worker has opened its store and has had a first connection."""
    for name in ["ours"] + edges.others:
        got, _ = ask(edges, name, edges.blob(64 * KIB), 4 * WORKERS)
        if not all(c["done"] for c in got):
            raise programs.BenchError("%s serves nothing" % name)


def runs(edges, what, count, work, direct=()):
    names = ["ours"] + edges.others
    variants = {n: (lambda n=n: work(n)) for n in names}
    for word in direct:
        variants[word] = lambda: work("direct")
    return interleave(what, count, variants)


def one(report, edges, size, count):
    """One client: as fast as without us, from the first byte on."""
    rounds = runs(edges, "cold, one client", count,
                  lambda n: cold(edges, n, size, 1), ("direct", "twin"))
    names = ["ours", "direct"] + edges.others
    # all are at the upstream's pace: a percent is nothing
    half = max(half_width(ratios(rounds, "twin", "direct", "rate")), 0.01)
    what = "cold blob, upstream of 50 MB/s and 10 ms"
    first = medians(rounds, "first", names)
    late = None if first["ours"] is None else first["ours"] - first["direct"]
    report.row(what + ": first byte, after the upstream's own", "ms",
               "not done" if late is None else late,
               ratio=1e9 if late is None else None, at_most=10,
               judged=not report.quick)
    del first["direct"]
    row(report, what + ": first byte", "ms", edges, first,
        half=half_width(ratios(rounds, "twin", "direct", "first")))
    rate = medians(rounds, "rate", names)
    row(report, what + ": rate", "MB/s", edges, rate, more=True, half=half,
        against=None if rate["ours"] is None
        else rate["ours"] / rate["direct"], at_least=0.95)
    return rate["direct"]


def many(report, edges, size, count, alone):
    """Sixteen at once, over four workers."""
    rounds = runs(edges, "cold, 16 clients", count,
                  lambda n: cold(edges, n, size, 16))
    names = ["ours"] + edges.others
    what = "the same, 16 clients at once"
    row(report, what + ": bytes of the upstream / size", "", edges,
        medians(rounds, "sent", names), sure=True, at_most=1.001)
    rate = medians(rounds, "rate", names)
    row(report, what + ": the slowest's rate, against one going direct",
        "MB/s", edges, dict(rate, direct=alone), more=True,
        against=None if rate["ours"] is None else rate["ours"] / alone,
        at_least=0.9)
    row(report, what + ": the last one's first byte", "ms", edges,
        medians(rounds, "first", names), at_most=100)


def connections(report, edges, size, count):
    """An upstream that gives each connection its share and no more."""
    edges.up.limit(None)
    rule = edges.up.fault(rate=EACH)
    rounds = runs(edges, "cold, limited connections", count,
                  lambda n: cold(edges, n, size, 1), ("direct",))
    edges.up.mend(rule)
    edges.up.limit(RATE)
    rate = medians(rounds, "rate", ["ours", "direct"] + edges.others)
    row(report, "cold blob, upstream of 20 MB/s for each connection: rate",
        "MB/s", edges, rate, more=True, against=None if rate["ours"] is None
        else rate["ours"] / rate["direct"], at_least=3.5)


def middle(report, edges, count):
    """One MiB out of the middle of ten GiB."""
    at = 5 << 30

    def part(name):
        digest = edges.blob(10 << 30, ALONE, "sha256:" + hashlib.sha256(
            b"%d" % next(edges.seeds)).hexdigest())
        got, sent = ask(edges, name, digest, 1, at, at + MIB - 1, repo=ALONE,
                        limit=5)
        c = got[0]
        good = c["done"] and c["status"] == 206 and c["bytes"] == MIB
        return {"ms": c["seconds"] * 1000 if good else None,
                "sent": sent / MIB if good or name != "ours" else None}

    rounds = runs(edges, "1 MiB of 10 GiB", count, part)
    names = ["ours"] + edges.others
    what = "cold 1 MiB in the middle of 10 GiB"
    row(report, what + ": until it is there", "ms", edges,
        medians(rounds, "ms", names),
        at_most=2 * CHUNK / RATE * 1000 + LATENCY * 2000)
    row(report, what + ": MiB of the upstream", "MiB", edges,
        medians(rounds, "sent", names))


def broken(report, edges, size):
    """Upstreams that break, and ones that lie."""
    up, names = edges.up, ["ours"] + edges.others
    good, bad = {}, {}
    for name in names:
        digest = edges.blob(size)
        rule = up.fault(digest, method="GET", reset=size // 4, times=1)
        got, _ = ask(edges, name, digest, 4, "digest")
        up.mend(rule)
        good[name] = sum(c["done"] and c["digest"] == digest for c in got)
        digest = edges.blob(size)
        rule = up.fault(digest, method="GET", flip=size // 2)
        got = ask(edges, name, digest, 4, "digest")[0]
        got += ask(edges, name, digest, 1, "digest", limit=20)[0]
        up.mend(rule)
        bad[name] = sum(c["done"] and c["status"] == 200 and c["bytes"] ==
                        size and c["digest"] != digest for c in got)
    row(report, "upstream resets once in mid-blob: of 4 clients served whole",
        "clients", edges, good, more=True, against=good["ours"] / 4,
        sure=True, at_least=1.0)
    row(report, "upstream sends a wrong byte: of 5 clients given a complete"
        " wrong blob", "clients", edges, bad, sure=True, at_most=0)


def status(edges, name, path, limit=LONG):
    request = urllib.request.Request(
        "http://127.0.0.1:%d%s" % (edges.ports[name], path),
        headers={"Accept": "application/vnd.docker.distribution.manifest."
                           "v2+json, */*"})
    try:
        with urllib.request.urlopen(request, timeout=limit) as r:
            r.read()
            return r.status
    except OSError as e:
        return getattr(e, "code", 0)


def down(report, edges):
    """What was pulled once, with the upstream gone."""
    up, names = edges.up, ["ours"] + edges.others
    layer = edges.blob(64 * KIB)
    image = up.manifest(REPO, docker(up, layer), "down")
    paths = (blob(layer), "/v2/%s/manifests/%s" % (REPO, image),
             "/v2/%s/manifests/down" % REPO)
    for name in names:
        for path in paths:
            if status(edges, name, path) != 200:
                raise programs.BenchError("%s does not serve %s"
                                          % (name, path))
    up.stop()
    good = {n: sum(status(edges, n, p) == 200 for p in paths) for n in names}
    up.start()
    row(report, "upstream down: of a blob, a manifest and a tag still served",
        "requests", edges, good, more=True, against=good["ours"] / 3,
        sure=True, at_least=1.0)


def hang(report, quick):
    """A tag that is known, and an upstream that says nothing any more."""
    edges = Edges(1, "1s", quick)
    names = ["ours"] + edges.others
    path = "/v2/%s/manifests/hang" % REPO
    took = {}
    try:
        layer = edges.blob(KIB)
        edges.up.manifest(REPO, docker(edges.up, layer), "hang")
        for name in names:
            if status(edges, name, path) != 200:
                raise programs.BenchError("%s serves no tag" % name)
        time.sleep(1.5)             # what the others are told to trust it for
        edges.up.fault("", hang=True)
        for name in names:
            start = time.monotonic()
            good = status(edges, name, path, 8) == 200
            took[name] = (time.monotonic() - start) if good else None
        edges.up.mend()
    finally:
        edges.stop()
    row(report, "upstream hangs: until a tag that is known is served", "s",
        edges, took, at_most=2.2)


def docker(up, layer):
    """An image that clients of every age take."""
    kind = "application/vnd.docker."
    config = up.blob(REPO, json.dumps({"layer": layer}).encode())
    return {"schemaVersion": 2,
            "mediaType": kind + "distribution.manifest.v2+json",
            "config": up.descriptor(config, kind + "container.image.v1+json"),
            "layers": [up.descriptor(
                layer, kind + "image.rootfs.diff.tar.gzip")]}


def measure(report, quick):
    size = (16 if quick else 64) * MIB
    count = 1 if quick else 3
    edges = Edges(WORKERS, "60s", quick)
    try:
        note("cold rows against " + (", ".join(
            WORDS[n] for n in edges.others) or "nobody"))
        warm_up(edges)
        edges.up.limit(RATE)
        edges.up.fault(delay=LATENCY)
        alone = one(report, edges, size, count)
        many(report, edges, size, count, alone)
        connections(report, edges, max(size, 4 * CHUNK), count)
        middle(report, edges, count)
        edges.up.limit(None)
        broken(report, edges, size)
        down(report, edges)
        report.peers = report.peers or edges.describe()
    finally:
        edges.stop()
    hang(report, quick)
