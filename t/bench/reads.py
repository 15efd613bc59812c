"""Reads, against stock nginx serving the very same bytes as files, against
its cheapest answer of the same length, and against other registries."""

import os

import programs
import servers
from proc import clear, cpu, peak, syscalls
from rounds import interleave

BLOB_BAR = 0.97
MANIFEST_BAR = 1.1
RETURN_BAR = 0.8
REGISTRY_BAR = 8
REGISTRY_WORK = "manifest GET by tag, c16"
ROUNDS = int(os.environ.get("ROUNDS") or 30)
GIB = 1024 * servers.MIB

STOCK, CACHED = "stock", "stock, open_file_cache"
RETURN = "stock, return 200"


def one(server, path, tls, per_gib, **knobs):
    """One turn of one server: all its figures."""
    pids = server.pids()
    clear(pids)
    before = []
    port = server.port("tls" if tls else "main")
    if tls:
        knobs["tls"] = 1
    got = programs.load(port, path, lambda: before.append(
        sum(map(cpu, pids))), **knobs)
    used = sum(map(cpu, pids)) - before[0]
    out = {"p50": got["p50"], "p99": got["p99"], "peak": peak(pids)}
    if per_gib:
        out["rate"] = got["bytes"] / got["seconds"] / 1e9
        out["cost"] = used / (got["bytes"] / GIB)
    else:
        out["rate"] = got["count"] / got["seconds"]
        out["cost"] = used * 1000 / got["count"]
    return out


class Work:
    """One kind of request.  judged: its bars count."""

    def __init__(self, name, path, kind, judged=False, tls=False, **knobs):
        self.name = name + (", HTTPS" if tls else "")
        self.path = path
        self.kind = kind
        self.judged = judged
        self.tls = tls
        self.knobs = knobs
        self.per_gib = kind == "large"

    def run(self, server):
        return one(server, self.path, self.tls, self.per_gib, **self.knobs)

    def bars(self, name):
        def both(limit):
            return {"rate": (limit, None), "cost": (None, 1 / limit)}

        if self.kind == "manifest":
            if name == "cached":
                return both(MANIFEST_BAR)
            if name == "return":
                return both(RETURN_BAR)
            if name == "distribution" and self.name == REGISTRY_WORK:
                return {"rate": (REGISTRY_BAR, None)}
        elif self.kind in ("small", "large") and name == "stock":
            return both(BLOB_BAR)
        return None


def works(content, big, quick):
    tag = content.manifest(servers.TAG)
    digest = content.manifest(content.digest)
    blob = {s: content.blob(d) for s, d in content.blobs.items()}
    k4, m1 = blob[4 * servers.KIB], blob[servers.MIB]
    huge, size = blob[big], "%d MiB" % (big // servers.MIB)
    seconds = 0.12 if quick else 0.25
    out = []

    def add(name, path, kind, c, judged=False, tls=False, **knobs):
        if kind == "manifest" or "404" in name:
            knobs["accept"] = servers.MANIFEST
        out.append(Work("%s, c%d" % (name, c), path, kind,
                        judged and not quick, tls, connections=c,
                        seconds=seconds, **knobs))

    for tls in (False, True):
        many = (1, 16, 256) if not tls and not quick else (16,)
        for c in many:
            add("manifest GET by tag", tag, "manifest", c, c == 16, tls)
        if not quick:
            for c in many:
                add("manifest GET by digest", digest, "manifest", c,
                    c == 16, tls)
        if not tls:
            add("manifest GET, no such tag: 404",
                content.manifest("none"), "404", 16, status=404)
        if not quick or not tls:
            for c in many:
                add("blob GET 4 KiB", k4, "small", c, c == 16, tls)
        for c in (1, 16, 256) if not tls and not quick else (16,):
            add("blob GET 1 MiB", m1, "large", c, c == 16, tls)
        if not quick:
            add("blob GET " + size, huge, "large", 1, True, tls)
        if not quick or not tls:
            add("blob GET %s in 8 ranges at once" % size, huge, "large", 8,
                True, tls, part=big // 8, size=big)
    return out


def measure(report, ours, content, big, peers, quick):
    root = content.root
    others = {"stock": servers.stock(root), "twin": servers.stock(root),
              "cached": servers.stock(root, cached=True),
              "return": servers.returning(len(content.body))}
    try:
        filled = set()
        for work in works(content, big, quick):
            every = dict(others, ours=ours)
            if work.kind != "manifest":
                del every["return"]
            # the short form compares with registries once only
            these = peers.get(work.tls) if not quick or not filled else {}
            for name, p in these.items():
                if (name, work.tls) not in filled:
                    content.push_to(p.port("tls" if work.tls else "main"),
                                    work.tls)
                    filled.add((name, work.tls))
            every.update(these)
            rounds = interleave(
                work.name, 2 if quick else ROUNDS,
                {k: (lambda s=s: work.run(s)) for k, s in every.items()},
                rare=these)
            words = {"stock": STOCK, "cached": CACHED, "return": RETURN}
            words.update((n, n) for n in these)
            for name, word in words.items():
                if name in every:
                    report.versus(rounds, work.name,
                                  "GB/s" if work.per_gib else "req/s", name,
                                  word, work.bars(name), work.judged)
        counts(report, dict(others, ours=ours), content)
    finally:
        for s in others.values():
            s.stop()


def counts(report, every, content):
    """System calls of one request, on a connection that stays open."""
    n = 500
    for name, path, references in (
            ("manifest GET by tag", content.manifest(servers.TAG),
             ("stock", "cached", "return")),
            ("manifest GET by digest", content.manifest(content.digest),
             ("stock", "cached", "return")),
            ("blob GET 4 KiB",
             content.blob(content.blobs[4 * servers.KIB]),
             ("stock", "cached"))):
        each = {}
        for kind in ("ours",) + references:
            s = every[kind]
            each[kind] = syscalls(s.pid, lambda s=s: programs.run(
                "pace", s.port(), path, 0, n, 1))
        for other in references:
            mine = sum(each["ours"].values()) / n
            his = sum(each[other].values()) / n
            report.row(name, "system calls", mine, his,
                       {"stock": STOCK, "cached": CACHED,
                        "return": RETURN}[other], mine / his,
                       at_most=1.0 + 5 / n if other == "stock" else None,
                       judged=True, rounds=[each["ours"], each[other]])
