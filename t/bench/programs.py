"""The load programs: built when they are older than their sources, run."""

import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build",
                     "bench")
NAMES = ("pace", "push", "sink", "limit", "load", "many",
         "hold", "cold", "weights")
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
            "-o", program, source, shared[0], "-lssl", "-lcrypto",
            "-lpthread", "-lm"],
            check=True, stdin=subprocess.DEVNULL)


def start(name, *args, stdin=subprocess.DEVNULL):
    return subprocess.Popen(
        [os.path.join(BUILD, name)] + [str(a) for a in args],
        stdin=stdin, stdout=subprocess.PIPE,
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


def push(port, name, total, rate=0, chunk=0, end="keep", tls=False):
    return run("push", port, name, total, rate, chunk, end,
               *(["tls"] if tls else []))


def load(port, path, before, **knobs):
    """before() is called when all connections stand and wait."""
    p = start("load", port, path, *["%s=%s" % k for k in knobs.items()],
              stdin=subprocess.PIPE)
    if p.stdout.readline() == "go\n":
        before()
        p.stdin.write("\n")
        p.stdin.flush()
    return finish(p)
