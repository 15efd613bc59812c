"""The load programs: built when they are older than their sources, run."""

import json
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build",
                     "bench")
NAMES = ("pace", "push", "sink", "limit", "pull", "cold")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O2",
         "-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith", "-Werror",
         "-DOPENSSL_SUPPRESS_DEPRECATED"]


class BenchError(Exception):
    pass


def build():
    os.makedirs(BUILD, exist_ok=True)
    shared = [os.path.join(HERE, f) for f in ("wire.c", "wire.h")]
    for name in NAMES:
        source = os.path.join(HERE, name + ".c")
        program = os.path.join(BUILD, name)
        if os.path.exists(program) and os.path.getmtime(program) > max(
                os.path.getmtime(f) for f in [source] + shared):
            continue
        subprocess.run([os.environ.get("CC", "gcc")] + FLAGS + [
            "-o", program, source, shared[0], "-lcrypto", "-lpthread"],
            check=True, stdin=subprocess.DEVNULL)


def start(name, *args):
    return subprocess.Popen(
        [os.path.join(BUILD, name)] + [str(a) for a in args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


def finish(p):
    out, err = p.communicate()
    if p.returncode != 0:
        raise BenchError("%s: %s%s" % (" ".join(p.args), out, err))
    return json.loads(out.splitlines()[-1])


def run(name, *args):
    return finish(start(name, *args))


def warm(folder, total):
    """Has pages for total bytes ready in the kernel for the next writer."""
    p = start("limit", os.path.join(folder, "warm"), total, "warm")
    if p.wait() != 0:
        raise BenchError("warm: " + p.stderr.read())


def push(port, name, total, rate=0, chunk=0, end="keep"):
    return run("push", port, name, total, rate, chunk, end)


def wrk(url, connections, seconds):
    """Requests a second, all of them answered with 200."""
    program = shutil.which("wrk")
    if program is None:
        raise BenchError("wrk is not installed")
    p = subprocess.run(
        [program, "-t1", "-c%d" % connections, "-d%ds" % seconds,
         "--timeout", "10s", url], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    m = re.search(r"(\d+) requests in ", p.stdout)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", p.stdout)
    if not m or not rate or "Non-2xx" in p.stdout \
            or "Socket errors" in p.stdout:
        raise BenchError("wrk: " + p.stdout)
    return {"count": int(m.group(1)), "rate": float(rate.group(1))}
