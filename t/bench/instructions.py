"""Instructions of one request: nginx as one process under callgrind."""

import re
import signal
import subprocess

import programs
import servers
from reads import CACHED, RETURN, STOCK

FEW, MANY = 100, 600


def quit_(proc):
    """
    One process alone may take the signal just before it waits for events,
    and would see it with the next one only.
    """
    for _ in range(60):
        proc.send_signal(signal.SIGQUIT)
        try:
            return proc.wait(1)
        except subprocess.TimeoutExpired:
            continue
    raise programs.BenchError("nginx does not end under callgrind")


def collected(make, path, count, *method):
    s = make()
    s.wrap = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    s.start()
    try:
        programs.run("pace", s.port(), path, 0, count, 1, *method)
        quit_(s.proc)
        m = re.search(r"Collected : (\d+)", s.stderr())
        if m is None:
            raise programs.BenchError("callgrind: " + s.stderr())
        return int(m.group(1))
    finally:
        s.abandon()


def per_request(make, path, *method):
    return (collected(make, path, MANY, *method)
            - collected(make, path, FEW, *method)) / (MANY - FEW)


def measure(report, ours, content, quick):
    def mine():
        # the store is read by two at once: nothing in it is locked for that
        s = servers.ours("off", master=False, start=False)
        s.store = ours.store
        return s

    def stock(cached):
        return lambda: servers.stock(content.root, cached, master=False,
                                     start=False)

    def cheapest():
        return servers.returning(len(content.body), master=False,
                                 start=False)

    manifest = [(STOCK, stock(False)), (CACHED, stock(True))]
    blob = manifest[:1] if quick else manifest
    if quick:
        manifest = manifest[1:]
    else:
        manifest = manifest + [(RETURN, cheapest)]
    for name, path, others, *method in (
            ("manifest GET by tag", content.manifest(servers.TAG),
             manifest),
            ("manifest GET by digest", content.manifest(content.digest),
             manifest),
            ("manifest HEAD by digest", content.manifest(content.digest),
             manifest[:2], "HEAD"),
            ("blob GET 4 KiB",
             content.blob(content.blobs[4 * servers.KIB]), blob),
            ("blob GET 1 MiB",
             content.blob(content.blobs[servers.MIB]), blob)):
        if quick and ("digest" in name or "MiB" in name):
            continue
        own = per_request(mine, path, *method)
        for word, make in others:
            his = per_request(make, path, *method)
            report.row(name, "instructions", own, his, word, own / his,
                       at_most=None if word == RETURN or (
                           "blob" in name and word == CACHED) else 1.0,
                       judged=not quick)
