"""Reads, against stock nginx serving the very same bytes as files."""

import os

import programs
import servers
from proc import cpu, syscalls
from rounds import interleave
from stats import column, half_width, median, ratios

BLOB_BAR = 0.97
MANIFEST_BAR = 1.1
BURST = 16000               # requests
ROUNDS = int(os.environ.get("ROUNDS") or 7)


def small(server, path, connections, seconds):
    """seconds: 0 for a short burst of so many requests instead"""
    pid = server.pid
    before = cpu(pid)
    if seconds:
        got = programs.wrk(server.url + path, connections, seconds)
    else:
        got = programs.run("pace", server.port(), path, 0, BURST,
                           connections)
        got["rate"] = got["count"] / got["seconds"]
    got["cost"] = (cpu(pid) - before) * 1000 / got["count"]
    return got


def large(server, path, connections, count, *part):
    pid = server.pid
    before = cpu(pid)
    got = programs.run("pull", server.port(), path, connections, count,
                       *part)
    gib = got["bytes"] / (1024 * servers.MIB)
    got["rate"] = got["bytes"] / got["seconds"] / 1e9
    got["cost"] = (cpu(pid) - before) / gib
    return got


def works(content, big, quick):
    """(name, unit, unit of the cost, bar, function of a server)"""
    by_tag = content.manifest(servers.TAG)
    by_digest = content.manifest(content.digest)
    k4 = content.blob(content.blobs[4 * servers.KIB])
    m1 = content.blob(content.blobs[servers.MIB])
    huge = content.blob(content.blobs[big])
    seconds = 0 if quick else 1
    out = []

    def add_small(name, path, bar, counts):
        for c in counts:
            out.append(("%s, c%d" % (name, c), "req/s", "CPU s/1000", bar,
                        lambda s, c=c: small(s, path, c, seconds)))

    def add_large(name, path, c, count, *part):
        out.append((name, "GB/s", "CPU s/GiB", BLOB_BAR,
                    lambda s: large(s, path, c, count, *part)))

    if quick:
        add_small("manifest GET by tag", by_tag, MANIFEST_BAR, (16,))
        add_small("blob GET 4 KiB", k4, BLOB_BAR, (16,))
    else:
        add_small("manifest GET by tag", by_tag, MANIFEST_BAR, (1, 16, 256))
        add_small("manifest GET by digest", by_digest, MANIFEST_BAR,
                  (1, 16, 256))
        add_small("blob GET 4 KiB", k4, BLOB_BAR, (1, 16, 256))
    n = 200 if quick else 2000
    add_large("blob GET 1 MiB, c1", m1, 1, n)
    add_large("blob GET 1 MiB, c16", m1, 16, n)
    if not quick:
        add_large("blob GET 1 MiB, c256", m1, 256, n)
    size = "%d MiB" % (big // servers.MIB)
    add_large("blob GET %s, c1" % size, huge, 1, 16 if quick else 8)
    add_large("blob GET %s in 8 ranges at once" % size, huge, 8,
              64, big // 8, big)
    return out


def measure(report, ours, root, content, big, quick):
    others = {"stock": servers.stock(root), "twin": servers.stock(root),
              "cached": servers.stock(root, cached=True)}
    every = dict(others, ours=ours)
    try:
        for name, unit, cost, bar, work in works(content, big, quick):
            variants = {k: (lambda s=s: work(s)) for k, s in every.items()}
            rounds = interleave(name, 2 if quick else ROUNDS, variants)
            rows(report, rounds, name, unit, cost, bar)
        counts(report, every, content)
    finally:
        for s in others.values():
            s.stop()


def rows(report, rounds, name, unit, cost, bar):
    half = half_width(ratios(rounds, "twin", "stock", "rate"))
    for other, word in (("stock", "stock"),
                        ("cached", "stock, open_file_cache")):
        judged_by = "cached" if bar == MANIFEST_BAR else "stock"
        each = ratios(rounds, "ours", other, "rate")
        report.row(name, unit, median(column(rounds, "ours", "rate")),
                   median(column(rounds, other, "rate")), word,
                   median(each), half,
                   at_least=bar if other == judged_by else None,
                   rounds=each)
    for other, word in (("stock", "stock"),
                        ("cached", "stock, open_file_cache")):
        each = ratios(rounds, "ours", other, "cost")
        report.row(name, cost, median(column(rounds, "ours", "cost")),
                   median(column(rounds, other, "cost")), word,
                   median(each),
                   half_width(ratios(rounds, "twin", "stock", "cost")),
                   rounds=each)


def counts(report, every, content):
    """System calls of one request, on a connection that stays open."""
    n = 500
    for name, path in (
            ("manifest GET by tag", content.manifest(servers.TAG)),
            ("manifest GET by digest", content.manifest(content.digest)),
            ("blob GET 4 KiB",
             content.blob(content.blobs[4 * servers.KIB]))):
        each = {}
        for kind in ("ours", "stock", "cached"):
            s = every[kind]
            each[kind] = syscalls(s.pid, lambda s=s: programs.run(
                "pace", s.port(), path, 0, n, 1))
        for other, word in (("stock", "stock"),
                            ("cached", "stock, open_file_cache")):
            mine = sum(each["ours"].values()) / n
            his = sum(each[other].values()) / n
            report.row(name, "system calls", mine, his, word, mine / his,
                       at_most=1.0 + 5 / n if other == "stock" else None,
                       rounds=[each["ours"], each[other]])
