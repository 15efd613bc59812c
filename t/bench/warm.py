"""The edge, warm: what it has already, beside others that have it too."""

import os

import programs
from cold import blob, docker, status
from edges import REPO, WORDS, Edges, Server, note
from proc import cpu
from rounds import interleave
from servers import KIB, MIB

ACCEPT = ("application/vnd.docker.distribution.manifest.v2+json,"
          "application/vnd.oci.image.manifest.v1+json")
ROUNDS = int(os.environ.get("ROUNDS") or 7)

# the very file that ours sends, by plain nginx
STATIC = """location ~ "/blobs/sha256:(..)(.{62})$" {
            alias %s/blobs/sha256/$1/$1$2;
        }"""


# An answer that ends a little behind a multiple of 65,483 bytes, a segment of
# loopback TCP, comes at half the rate of all others, from stock nginx too, and
# how little decides the length of its headers: 1 MiB is such a size.
BEYOND = 1100000


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


def one_process(edges, big, quick):
    """(name, unit, path, arguments of load) of what one worker answers."""
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
        ("blob GET 1 MiB, c16", "GB/s", blob(layers[MIB]), small),
        ("blob GET 1.1 MB, c16", "GB/s", blob(layers[BEYOND]), small),
        ("blob GET %d MiB, c1" % (big // MIB), "GB/s", blob(layers[big]),
         {"seconds": seconds}))


def whole_machine(edges, big, _):
    """The same of what is asked over many connections for its bytes: here
    each server has all processors, as distribution always has."""
    return (
        ("blob GET %d MiB in 8 ranges at once, all processors" % (big // MIB),
         "GB/s", blob(edges.blob(big)),
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
        edges.add("static", Server(STATIC % edges.each["ours"].store,
                                   workers=workers))
        for name, unit, path, keys in works(edges, big, quick):
            which = names + ["static"] if "/blobs/" in path else names
            for other in which:
                for _ in range(2):
                    if status(edges, other, path) != 200:
                        raise programs.BenchError("%s does not serve %s"
                                                  % (other, path))
            variants = {n: (lambda n=n: measured(edges, n, path, unit, keys))
                        for n in which}
            rounds = interleave("warm " + name, 2 if quick else ROUNDS,
                                variants)
            rows(report, edges, rounds, "edge, warm: " + name, unit)
    finally:
        edges.stop()


def rows(report, edges, rounds, name, unit):
    for other in edges.others:
        report.versus(rounds, name, unit, other, WORDS[other],
                      {"rate": (1.0, None), "cost": (None, 1.0)},
                      judged=not report.quick, twins=("lock twin", "lock"))
    if "static" in rounds[0]:
        report.versus(rounds, name, unit, "static",
                      "stock nginx, the same file")
