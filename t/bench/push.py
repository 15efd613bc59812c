"""
A push as fast as it goes, against hashing and writing alone.

The best rounds are compared: on a virtual machine a write costs up to five
times as much, in CPU seconds too, when the host has to find the pages first.
That only ever adds, and it hits whoever's turn it is.
"""

import os

import programs
import servers
from latency import Sink
from proc import Anon, cpu
from rounds import interleave
from stats import column

BAR = 1.25
CHUNK = 16 * servers.MIB


def measure(report, ours, quick):
    """ours: a store that is not durable."""
    total = (128 if quick else 1024) * servers.MIB
    anon = []
    known = programs.push(ours.port(), "bench/push", total)["digest"][7:]
    servers.forget(ours, "bench/push")

    def push(chunk):
        def run():
            pid = ours.pid
            programs.warm(ours.store, total)
            before = cpu(pid)
            with Anon(pid) as a:
                got = programs.push(ours.port(), "bench/push", total, 0,
                                    chunk, known)
            anon.append(a.peak - a.idle)
            got["cpu"] = cpu(pid) - before
            servers.forget(ours, "bench/push")
            return got
        return run

    def limit():
        programs.warm(ours.store, total)
        return programs.run("limit", os.path.join(ours.store, "limit"),
                            total)

    def receive():
        programs.warm(ours.store, total)
        before = cpu(sink.proc.pid)
        got = programs.push(sink.port, "bench/push", total, 0, CHUNK,
                            known)
        got["cpu"] = cpu(sink.proc.pid) - before
        return got

    variants = {"limit": limit, "put": push(0), "patch": push(CHUNK)}
    if not quick:
        variants["sink"] = receive
    sink = Sink(ours.store, "hash")
    try:
        rounds = interleave("push", 3 if quick else 7, variants)
    finally:
        sink.stop()
    rows(report, rounds, total, anon)


def rows(report, rounds, total, anon):
    gib = total / (1024 * servers.MIB)
    # few and short rounds on a busy machine: their time says little
    bar = BAR * 1.6 if report.quick else BAR
    others = [("limit", "SHA-256 and write, two threads", bar)]
    if "sink" in rounds[0]:
        others.append(("sink", "recv, write, hash in one thread", None))
    for name, word in (("put", "one PUT"), ("patch", "16 MiB PATCHes")):
        for key, unit in (("seconds", "s"), ("cpu", "CPU s")):
            mine = column(rounds, name, key)
            for other, against, limit in others:
                his = column(rounds, other, key)
                report.row("push of %g MiB, %s: best round"
                           % (total / servers.MIB, word), unit + "/GiB",
                           min(mine) / gib, min(his) / gib, against,
                           min(mine) / min(his), at_most=limit,
                           judged=limit is not None
                           and not (report.quick and key == "seconds"),
                           rounds=[mine, his])
    report.row("RssAnon of the worker during it, above idle", "MiB",
               max(anon) / 1024, at_most=16, judged=True,
               rounds=[a / 1024 for a in anon])
