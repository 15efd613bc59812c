"""How long a server takes to start and to reload over a store that is full:
nothing in it may be scanned for that."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import time

import programs
import servers
from rounds import interleave, say

TREE = 512                  # the most that so many blobs take, in MiB
LINKS = 50000               # of one inode: ext4 stops at 65,000
PER_REPOSITORY = 10000
BAR = 1.25


def fill(server, count):
    """
    So many blobs, each with its name in a repository.  They are names of few
    files: what a scan would cost is names, and these are made in seconds.
    """
    start = time.monotonic()
    blobs = server.path("blobs", "sha256")
    source = folder = None
    for i in range(count):
        hexa = hashlib.sha256(b"%d" % i).hexdigest()
        path = os.path.join(blobs, hexa[:2], hexa)
        if i % (LINKS // 2) == 0:
            source = path
            with open(path, "wb") as f:
                f.write(b"x" * 64)
            os.chmod(path, 0o444)
            server.own(path)
        else:
            os.link(source, path)
        if i % PER_REPOSITORY == 0:
            folder = server.repo("full/r%d" % (i // PER_REPOSITORY),
                                 "_blobs", "sha256")
            os.makedirs(folder)
        os.link(source, os.path.join(folder, hexa))
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "www-data", server.repo("full")],
                       check=True)
    say("%d blobs made in %.0f s" % (count, time.monotonic() - start))


def ask(port, path):
    """The body of an answer of 200, or None while there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as s:
            s.sendall(b"GET %s HTTP/1.0\r\nHost: bench\r\n\r\n"
                      % path.encode())
            data = b""
            while True:
                part = s.recv(65536)
                if not part:
                    break
                data += part
    except OSError:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    return body if b" 200 " in head.split(b"\r\n")[0] + b" " else None


def until(what, cond):
    """How long it takes, looked at all the time."""
    start = time.monotonic()
    while not cond():
        if time.monotonic() - start > 60:
            raise programs.BenchError("never: " + what)
        time.sleep(0.0005)
    return time.monotonic() - start


def again(server, path):
    """Ends the server, starts it: seconds to the first answer; reloads it:
    seconds to the first answer of a new worker."""
    os.kill(server.master, signal.SIGQUIT)
    server.proc.wait(20)
    with open(os.path.join(server.prefix, "logs", "stderr"), "wb") as err:
        server.proc = subprocess.Popen(
            server.command(), stdin=subprocess.DEVNULL, stdout=err,
            stderr=err, env=server.environ(), start_new_session=True)
    port = server.port()
    started = until("an answer", lambda: ask(port, path) is not None)
    old = ask(port, "/pid")
    os.kill(server.master, signal.SIGHUP)
    reloaded = until("a new worker", lambda: ask(port, "/pid")
                     not in (None, old))
    return {"start": started, "reload": reloaded}


def directories(server):
    """getdents64() calls of the whole start, by all processes."""
    os.kill(server.master, signal.SIGQUIT)
    server.proc.wait(20)
    trace = os.path.join(server.prefix, "logs", "trace")
    with open(os.path.join(server.prefix, "logs", "stderr"), "wb") as err:
        server.proc = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "trace=getdents64", "-o", trace]
            + server.command(), stdin=subprocess.DEVNULL, stdout=err,
            stderr=err, env=server.environ(), start_new_session=True)
    until("an answer", lambda: ask(server.port(), "/pid") is not None)
    os.kill(server.master, signal.SIGQUIT)
    server.proc.wait(20)
    with open(trace, encoding="utf-8", errors="replace") as f:
        return len(re.findall(r"getdents64\(.*= [1-9]", f.read()))


def measure(report, quick):
    count = 100000 if quick else 1000000
    # in memory where that may be: the names cost a disk more than they do us
    size = "%dm,nr_inodes=0" % TREE if os.geteuid() == 0 else None
    path = servers.Content.manifest(servers.TAG)
    every = {}
    try:
        for name in ("full", "empty") if quick else ("full", "empty", "twin"):
            s = every[name] = servers.ours("off", mount_size=size)
            servers.put(s.port(), path, servers.BARE, kind=servers.INDEX)
        fill(every["full"], count)
        rounds = interleave("start and reload", 3 if quick else 15, {
            n: (lambda s=s: again(s, path)) for n, s in every.items()})
        for key, word in (("start", "start to the first answer"),
                          ("reload", "reload to a new worker's answer")):
            as_rate = [{("ours" if n == "full" else n): {"rate":
                        r[n][key] * 1000} for n in r} for r in rounds]
            report.versus(as_rate, "%s, %d blobs stored" % (word, count),
                          "ms", "empty", "an empty store",
                          {"rate": (None, BAR)}, judged=not quick,
                          twins=("twin", "empty"))
        mine, his = (directories(every[n]) for n in ("full", "empty"))
        report.row("directories read at start, %d blobs stored" % count,
                   "system calls", mine, his, "an empty store",
                   at_most=his, judged=True)
    finally:
        for s in every.values():
            s.abandon()
