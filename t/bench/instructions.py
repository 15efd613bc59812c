"""Instructions of one request: nginx as one process under callgrind."""

import re
import signal
import subprocess

import programs
import servers

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


def collected(make, path, count):
    s = make()
    s.wrap = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    s.start()
    try:
        programs.run("pace", s.port(), path, 0, count, 1)
        quit_(s.proc)
        m = re.search(r"Collected : (\d+)", s.stderr())
        if m is None:
            raise programs.BenchError("callgrind: " + s.stderr())
        return int(m.group(1))
    finally:
        s.abandon()


def per_request(make, path):
    return (collected(make, path, MANY) - collected(make, path, FEW)) / (
        MANY - FEW)


def measure(report, ours, root, content):
    def mine():
        # the store is read by two at once: nothing in it is locked for that
        s = servers.ours("off", master=False, start=False)
        s.store = ours.store
        return s

    def stock(cached):
        return lambda: servers.stock(root, cached, master=False, start=False)

    for name, path in (
            ("manifest GET by tag", content.manifest(servers.TAG)),
            ("manifest GET by digest", content.manifest(content.digest)),
            ("blob GET 4 KiB",
             content.blob(content.blobs[4 * servers.KIB]))):
        own = per_request(mine, path)
        for cached, word in ((False, "stock"),
                             (True, "stock, open_file_cache")):
            his = per_request(stock(cached), path)
            report.row(name, "instructions", own, his, word, own / his,
                       at_most=1.0 if not cached else None)
