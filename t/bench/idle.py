"""Memory of a worker while very many connections are open and idle."""

import programs
import servers
from proc import status
from rounds import interleave

COUNT = 10000
BAR = 1.1


def hold(make, path):
    """RssAnon in KiB of the one worker: (with no connection, with all)"""
    s = make()
    try:
        before = status(s.pid, "RssAnon")
        p = programs.start("hold", s.port(), path, COUNT,
                           stdin=programs.subprocess.PIPE)
        if p.stdout.readline() != "ready\n":
            programs.finish(p)
        full = status(s.pid, "RssAnon")
        programs.finish(p)
        return {"before": before, "full": full}
    finally:
        s.stop(gate=False)


def measure(report, ours, content, quick):
    def mine():
        s = servers.ours("off", connections=COUNT + 200, start=False)
        s.store = ours.store
        return s.start()

    def stock():
        return servers.stock(content.root, cached=True,
                             connections=COUNT + 200)

    path = content.manifest(servers.TAG)
    rounds = interleave("idle connections", 1 if quick else 3, {
        "ours": lambda: hold(mine, path), "stock": lambda: hold(stock, path),
        "twin": lambda: hold(stock, path)} if not quick else {
        "ours": lambda: hold(mine, path), "stock": lambda: hold(stock, path)})
    mib = [{n: {"rate": r[n]["full"] / 1024} for n in r} for r in rounds]
    report.versus(mib, "worker with %d idle connections: RssAnon" % COUNT,
                  "MiB", "stock", "stock, open_file_cache",
                  {"rate": (None, BAR)}, judged=True)
    each = [{n: {"rate": (r[n]["full"] - r[n]["before"]) * 1024 / COUNT}
             for n in r} for r in rounds]
    report.versus(each, "memory that an idle connection takes", "bytes",
                  "stock", "stock, open_file_cache")
