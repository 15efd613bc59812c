"""The edge, warm: what it has already, beside others that have it too."""

import os

import programs
from cold import blob, docker, status
from edges import PLAIN, REPO, WORDS, Edges, Server, note
from proc import cpu
from rounds import interleave
from servers import KIB, MIB
from stats import column, median

ACCEPT = ("application/vnd.docker.distribution.manifest.v2+json,"
          "application/vnd.oci.image.manifest.v1+json")
ROUNDS = int(os.environ.get("ROUNDS") or 7)

# the very file that ours sends, by plain nginx
STATIC = """location ~ "/blobs/sha256:(..)(.{62})$" {
            alias %s/blobs/sha256/$1/$1$2;
            location ~ "^/v2/plain/.*/blobs/sha256:(..)(.{62})$" {
                alias %s/blobs/sha256/$1/$1$2;
                tcp_nopush off;
            }
        }"""


# With "tcp_nopush", an answer that ends a little behind a multiple of 65,483
# bytes, a segment of loopback TCP, comes at half the rate of all others, from
# stock nginx too, and how little decides the length of its headers: 1 MiB is
# such a size.  So of large bodies there is a row for each of both settings,
# and one in which each server has the one that is better for it.
BEYOND = 1100000
ON, OFF = ", tcp_nopush on", ", tcp_nopush off"
BEST = ", tcp_nopush as is best for each"


def measured(edges, name, path, unit, keys):
    server = edges.each[name]
    pids = server.workers() if hasattr(server, "workers") else [server.pid]
    before = sum(map(cpu, pids))
    got = programs.load(edges.ports[name], path, lambda: None, **keys)
    cost = sum(map(cpu, pids)) - before
    out = {"p50": got["p50"], "p99": got["p99"]}
    if unit == "req/s":
        return dict(out, rate=got["count"] / got["seconds"],
                    cost=cost * 1000 / got["count"])
    return dict(out, rate=got["bytes"] / got["seconds"] / 1e9,
                cost=cost * (1 << 30) / got["bytes"])


def large(edges, digest, size, quick=False):
    """The paths of one that is sent with both settings."""
    if quick:
        return blob(digest)
    return {ON: blob(digest), OFF: blob(edges.blob(size, PLAIN), PLAIN)}


def one_process(edges, big, quick):
    """(name, unit, path or paths, arguments of load): by one worker."""
    up = edges.up
    layers = {size: edges.blob(size)
              for size in (4 * KIB, MIB, BEYOND, big)}
    image = up.manifest(REPO, docker(up, layers[big]), "v1")
    manifests = "/v2/%s/manifests/" % REPO
    seconds = 0.3 if quick else 1
    small = {"connections": 16, "seconds": seconds}
    typed = dict(small, accept=ACCEPT)
    return (
        ("manifest GET by tag, c16", "req/s", manifests + "v1", typed),
        ("manifest GET by digest, c16", "req/s", manifests + image, typed),
        ("blob GET 4 KiB, c16", "req/s", blob(layers[4 * KIB]), small),
        ("blob GET 1 MiB, c16", "GB/s", large(edges, layers[MIB], MIB),
         small),
        ("blob GET 1.1 MB, c16", "GB/s",
         large(edges, layers[BEYOND], BEYOND, quick), small),
        ("blob GET %d MiB, c1" % (big // MIB), "GB/s",
         large(edges, layers[big], big, quick), {"seconds": seconds}))


def whole_machine(edges, big, quick):
    """The same of what is asked over many connections for its bytes: here
    each server has all processors, as distribution always has."""
    return (
        ("blob GET %d MiB in 8 ranges at once, all processors" % (big // MIB),
         "GB/s", large(edges, edges.blob(big), big, quick),
         {"connections": 8, "count": 64, "status": 206, "part": big // 8,
          "size": big}),)


def measure(report, quick):
    compare(report, quick, 1, one_process)
    compare(report, quick, os.cpu_count(), whole_machine)
    note("warm rows are done")


def compare(report, quick, workers, works):
    big = (16 if quick else 256) * MIB
    edges = Edges(workers, "1h", quick, twins=("lock",))
    names = [n for n in edges.each if n != "direct"]
    try:
        store = edges.each["ours"].store
        edges.add("static", Server(STATIC % (store, store), workers=workers))
        for name, unit, paths, keys in works(edges, big, quick):
            if isinstance(paths, str):
                paths = {"": paths}
                which = names + ["static"] if "/blobs/" in paths[""] else names
            else:
                which = names + ["static"]
            rounds = interleave(
                "warm " + name, 2 if quick else ROUNDS,
                dict(variant(edges, other, kind, path, unit, keys)
                     for other in which for kind, path in paths.items()))
            name = "edge, warm: " + name
            if len(paths) == 1:
                rows(report, edges, rounds, name, unit)
                continue
            for kind in paths:
                rows(report, edges, only(rounds, {n: kind for n in which}),
                     name + kind, unit, judged=False)
            rows(report, edges, only(rounds, best(rounds, names)),
                 name + BEST, unit)
    finally:
        edges.stop()


def variant(edges, other, kind, path, unit, keys):
    for _ in range(2):
        if status(edges, other, path) != 200:
            raise programs.BenchError("%s does not serve %s" % (other, path))
    return other + kind, lambda: measured(edges, other, path, unit, keys)


def best(rounds, names):
    """name -> the setting that it is faster with; of a twin, the other's."""
    out = {n: max((ON, OFF), key=lambda kind, n=n: median(
        column(rounds, n + kind, "rate"))) for n in names}
    if "lock twin" in out:
        out["lock twin"] = out["lock"]
    note("faster with" + ";".join("%s: %s" % (
        kind[1:], " ".join(n for n in names if out[n] == kind) or "none")
        for kind in (ON, OFF)))
    return out


def only(rounds, kinds):
    """As if each had been measured with that setting alone."""
    return [{n: r[n + kind] for n, kind in kinds.items()} for r in rounds]


def rows(report, edges, rounds, name, unit, judged=True):
    bars = {"rate": (1.0, None), "cost": (None, 1.0)} if judged else None
    for other in edges.others:
        report.versus(rounds, name, unit, other, WORDS[other], bars,
                      judged=judged and not report.quick,
                      twins=("lock twin", "lock"))
    if "static" in rounds[0]:
        report.versus(rounds, name, unit, "static",
                      "stock nginx, the same file")
