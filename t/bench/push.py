"""
A push as fast as it goes, against hashing and writing alone, and against
other registries; and many small ones.

The best rounds are compared with the limit: on a virtual machine a write
costs up to five times as much, in CPU seconds too, when the host has to find
the pages first.  That only ever adds, and it hits whoever's turn it is.
"""

import os
import random

import programs
import servers
from latency import Sink
from proc import Anon, clear, cpu, peak
from report import Cell
from rounds import interleave
from stats import column

BAR = 1.25
CHUNK = 16 * servers.MIB
NAME = "bench/push"
SMALL = 4 * servers.KIB
WORDS = {"put": "one PUT", "patch": "16 MiB PATCHes"}


class Push:
    """One size, pushed to everyone in turn."""

    def __init__(self, ours, total, known):
        self.ours = ours
        self.total = total
        self.known = known
        self.anon = []

    def measured(self, port, pids, chunk, tls=False):
        clear(pids)
        programs.warm(self.ours.store, self.total)
        before = sum(map(cpu, pids))
        got = programs.push(port, NAME, self.total, 0, chunk, self.known,
                            tls)
        got["cpu"] = sum(map(cpu, pids)) - before
        got["peak"] = peak(pids)
        return got

    def to_us(self, server, chunk, tls=False):
        with Anon(server.pid) as a:
            got = self.measured(server.port("tls" if tls else "main"),
                                server.pids(), chunk, tls)
        self.anon.append(a.peak - a.idle)
        servers.forget(server, NAME)
        return got

    def to_peer(self, peer, chunk, tls=False):
        got = self.measured(peer.port("tls" if tls else "main"),
                            peer.pids(), chunk, tls)
        peer.forget(NAME, self.known)
        return got

    def limit(self):
        programs.warm(self.ours.store, self.total)
        return programs.run("limit", os.path.join(self.ours.store, "limit"),
                            self.total)

    def receive(self, sink):
        return self.measured(sink.port, [sink.proc.pid], CHUNK)


def measure(report, ours, durable, peers, quick):
    """ours: a store that is not durable, for the limit is not either."""
    total = (128 if quick else 1024) * servers.MIB
    known = programs.push(ours.port(), NAME, total)["digest"][7:]
    servers.forget(ours, NAME)
    push = Push(ours, total, known)
    variants = {"limit": push.limit,
                "put": lambda: push.to_us(ours, 0),
                "patch": lambda: push.to_us(ours, CHUNK)}
    sink = None
    try:
        if not quick:
            sink = Sink(ours.store, "hash")
            variants["sink"] = lambda: push.receive(sink)
        rounds = interleave("push", 3 if quick else 7, variants)
    finally:
        if sink is not None:
            sink.stop()
    rows(report, rounds, total, push.anon)
    if not quick:
        for tls in (False, True):
            beside_peers(report, push, durable, peers, tls)
    small(report, ours, durable, peers, quick)


def size(total):
    return "%g MiB" % (total / servers.MIB) if total % (
        1024 * servers.MIB) else "%g GiB" % (total / servers.MIB / 1024)


def best(rounds, name, key, gib):
    return min(column(rounds, name, key)) / gib


def rows(report, rounds, total, anon):
    gib = total / (1024 * servers.MIB)
    # few and short rounds on a busy machine: their time says little
    bar = BAR * 1.6 if report.quick else BAR
    others = [("limit", "SHA-256 and write, two threads", bar)]
    if "sink" in rounds[0]:
        others.append(("sink", "recv, write, hash in one thread", None))
    for name, word in WORDS.items():
        for other, against_, limit in others:
            cells = {}
            for key, cell in (("seconds", "rate"), ("cpu", "cost")):
                mine = best(rounds, name, key, gib)
                his = best(rounds, other, key, gib)
                counted = not (report.quick and key == "seconds")
                cells[cell] = Cell(mine, his, mine / his,
                                   at_most=limit if counted else None)
            report.add("push of %s, %s, best round" % (size(total), word),
                       "s/GiB", against_, cells, judged=True,
                       rounds=[{n: r[n] for n in (name, other)}
                               for r in rounds])
    report.row("RssAnon of the worker during it, above idle", "MiB",
               max(anon) / 1024, at_most=16, judged=True,
               rounds=[a / 1024 for a in anon])


def beside_peers(report, push, durable, peers, tls):
    """Other registries sync the file before they answer, and so do we."""
    variants = {}
    for kind, chunk in (("put", 0), ("patch", CHUNK)):
        variants["ours " + kind] = (
            lambda chunk=chunk: push.to_us(durable, chunk, tls))
        for name, p in peers.get(tls).items():
            variants[name + " " + kind] = (
                lambda p=p, chunk=chunk: push.to_peer(p, chunk, tls))
    word = ", HTTPS" if tls else ""
    rounds = interleave("push to registries" + word, 5, variants)
    gib = push.total / (1024 * servers.MIB)
    for kind in WORDS:
        for name in peers.get(tls):
            cells = {}
            for key, cell in (("seconds", "rate"), ("cpu", "cost")):
                mine = best(rounds, "ours " + kind, key, gib)
                his = best(rounds, name + " " + kind, key, gib)
                cells[cell] = Cell(mine, his, mine / his)
            mine = max(column(rounds, "ours " + kind, "peak"))
            his = max(column(rounds, name + " " + kind, "peak"))
            cells["peak"] = Cell(mine, his, mine / his)
            report.add("push of %s, %s, durable%s, best round"
                       % (size(push.total), WORDS[kind], word), "s/GiB",
                       name, cells, rounds=rounds)


def small(report, ours, durable, peers, quick):
    count = 100 if quick else 500

    def run(server):
        pids = server.pids()
        clear(pids)
        before = sum(map(cpu, pids))
        got = programs.run("many", server.port(), "bench/small", count,
                           SMALL, 8, random.getrandbits(60))
        return {"rate": got["count"] / got["seconds"], "p50": got["p50"],
                "p99": got["p99"], "peak": peak(pids),
                "cost": (sum(map(cpu, pids)) - before) * 1000 / count}

    these = peers.get()
    variants = {"ours": lambda: run(durable), "off": lambda: run(ours)}
    variants.update((n, (lambda p=p: run(p))) for n, p in these.items())
    rounds = interleave("small pushes", 2 if quick else 5, variants)
    work = "push of %d blobs of 4 KiB, c8" % count
    for name in these:
        report.versus(rounds, work, "blobs/s", name, name)
    report.versus(rounds, work, "blobs/s", "off", "ours, durable=off")
    servers.forget(ours, "bench/small")
    servers.forget(durable, "bench/small")
