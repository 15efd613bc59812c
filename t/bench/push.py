"""A push as fast as it goes, against hashing and writing alone."""

import os

import programs
import servers
from proc import Anon, cpu
from rounds import interleave
from stats import column, median, ratios

BAR = 1.25
CHUNK = 16 * servers.MIB


def measure(report, ours, quick):
    """ours: a store that is not durable."""
    total = (128 if quick else 1024) * servers.MIB
    gib = total / (1024 * servers.MIB)
    anon = []

    def push(chunk):
        def run():
            pid = ours.pid
            before = cpu(pid)
            with Anon(pid) as a:
                got = programs.push(ours.port(), "bench/push", total, 0,
                                    chunk)
            anon.append(a.peak - a.idle)
            got["cpu"] = cpu(pid) - before
            servers.forget(ours, "bench/push")
            return got
        return run

    def limit():
        return programs.run("limit", os.path.join(ours.store, "limit"),
                            total)

    # the first one finds the memory of the machine in another state
    limit()
    rounds = interleave("push", 3 if quick else 7, {
        "limit": limit, "put": push(0), "patch": push(CHUNK)})
    for name, word in (("put", "one PUT"), ("patch", "16 MiB PATCHes")):
        for key, unit in (("seconds", "s"), ("cpu", "CPU s")):
            each = ratios(rounds, name, "limit", key)
            report.row("push of %g MiB, %s" % (total / servers.MIB, word),
                       unit + "/GiB",
                       median(column(rounds, name, key)) / gib,
                       median(column(rounds, "limit", key)) / gib,
                       "SHA-256 and write, two threads", median(each),
                       at_most=BAR * (1.6 if quick else 1), judged=True,
                       rounds=each)
    report.row("RssAnon of the worker during it, above idle", "MiB",
               max(anon) / 1024, at_most=16, judged=True,
               rounds=[a / 1024 for a in anon])
