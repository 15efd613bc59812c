"""Reads of a manifest on the worker that takes a push meanwhile."""

import os

import programs
import servers
from proc import Anon, cpu
from rounds import interleave
from stats import column, median, ratios

MB = 1000 * 1000
RATE = 200 * MB             # of the push, bytes a second
FLOOR = 190 * MB            # it must have reached
READS = 2000                # requests a second, on a schedule
CONNECTIONS = 8
CHUNK = 16 * servers.MIB
BAR = 2.0
ROUNDS = int(os.environ.get("ROUNDS") or 5)


class Load:
    """One push at RATE beside reads of one path."""

    def __init__(self, seconds, path):
        self.seconds = seconds
        self.path = path

    def run(self, push_port, read_port, chunk, pid=None):
        total = int(RATE * (self.seconds + 0.6))
        p = programs.start("push", push_port, "bench/load", total, RATE,
                           chunk, "drop")
        if p.stdout.readline() != "go\n":
            programs.finish(p)
        before = cpu(pid) if pid else 0
        got = programs.run("pace", read_port, self.path, READS,
                           self.seconds, CONNECTIONS)
        covered = p.poll() is None
        push = programs.finish(p)
        got["push"] = push["bytes"] / push["sent"]
        got["covered"] = covered
        got["cpu"] = (cpu(pid) - before) / push["seconds"] if pid else 0
        return got


class Sink:
    """The plain writer, beside the store."""

    def __init__(self, folder, kind):
        self.proc = programs.start("sink", os.path.join(folder, kind), kind)
        self.port = int(self.proc.stdout.readline())

    def stop(self):
        self.proc.kill()
        self.proc.communicate()


def measure(report, ours, stock, content, quick):
    load = Load(1.2 if quick else 20, content.manifest(servers.TAG))
    sinks = {kind: Sink(ours.store, kind) for kind in ("plain", "hash")}
    plain = sinks["plain"].port
    anon = []

    def on_worker(chunk):
        def run():
            with Anon(ours.pid) as a:
                got = load.run(ours.port(), ours.port(), chunk, ours.pid)
            got["anon"] = a.peak - a.idle
            anon.append(a.peak - a.idle)
            return got
        return run

    variants = {
        "patch": on_worker(CHUNK), "put": on_worker(0),
        "control": lambda: load.run(plain, ours.port(), CHUNK)}
    if not quick:
        variants["stock"] = lambda: load.run(plain, stock.port(), CHUNK)
        variants["hash"] = lambda: load.run(
            sinks["hash"].port, ours.port(), CHUNK)
        variants["quiet"] = lambda: programs.run(
            "pace", ours.port(), load.path, READS, 5, CONNECTIONS)
    try:
        rounds = interleave("latency", 2 if quick else ROUNDS, variants)
    finally:
        for s in sinks.values():
            s.stop()
    rows(report, rounds, anon)


def rows(report, rounds, anon):
    # A short run sees tens of late answers, not hundreds, and other work on
    # the machine beside it: it catches an event loop that blocks, which
    # shows in every round and far above any noise.
    bar = 10 if report.quick else BAR

    def ms(name, key):
        return median(column(rounds, name, key)) * 1000

    def against(push, other, word, judged):
        for key in ("p50", "p99", "p999"):
            work = "manifest GET, worker takes a push (%s): %s" % (
                "16 MiB PATCHes" if push == "patch" else "one PUT", key)
            each = ratios(rounds, push, other, key)
            mine, his, ratio = ms(push, key), ms(other, key), median(each)
            if report.quick:
                work += ", best round"
                mine = min(column(rounds, push, key)) * 1000
                ratio = mine / his
            report.row(work, "ms", mine, his, word, ratio,
                       at_most=bar if key == "p99" else None,
                       judged=judged and key == "p99", rounds=each)

    for push in ("patch", "put"):
        against(push, "control", "idle nginx, plain writer", True)
        if "stock" in rounds[0]:
            against(push, "stock", "stock nginx, plain writer", False)
            against(push, "hash", "idle nginx, hashing writer", False)
            against(push, "quiet", "no push at all", False)
    names = [n for n in rounds[0] if n != "quiet"]
    for name in names:
        rates = column(rounds, name, "push")
        report.row("push of that run: %s" % name, "MB/s",
                   median(rates) / MB, at_least=FLOOR / MB, judged=True,
                   rounds=[r / MB for r in rates])
    if not all(r[n]["covered"] for r in rounds for n in names):
        raise programs.BenchError("a push ended before the reads did")
    for name in ("patch", "put"):
        report.row("CPU of the worker during it: %s" % name, "cores",
                   median(column(rounds, name, "cpu")))
    report.row("RssAnon of the worker during it, above idle", "MiB",
               max(anon) / 1024, at_most=16, judged=True,
               rounds=[a / 1024 for a in anon])
