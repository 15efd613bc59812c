"""The copy of the tree, the builds in it, and the verdicts."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import edge
import fills
import lower
import upper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
WORK = os.path.abspath(os.environ.get(
    "MUTANTS_WORK", os.path.join(ROOT, "build", "mutants")))
MODULE = "build/ngx_http_oci_module.so"
PARTS = ("src", "t", ".ci")
FILES = ("Makefile", "config")
SUFFIXES = (".c", ".h", ".py", ".sh", ".ini", ".supp")
LEFT_OUT = ("bench", "chroot", "conformance", "fuzz", "interop", "mutants",
            "soak", "__pycache__")
QUICK_EACH = 3              # of each table
LIMIT = 180                 # seconds of one command


class Broken(Exception):
    """The mutant can't be tried."""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


# ---- the copy

def sources():
    """Paths of all that is needed, from the root."""
    for part in PARTS:
        for folder, dirs, names in os.walk(os.path.join(ROOT, part)):
            dirs[:] = [d for d in dirs if d not in LEFT_OUT]
            for name in names:
                if name.endswith(SUFFIXES):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)
    yield from FILES


def copy_tree():
    """Times are kept where a file is new, since objects are taken over
    too; one that differs (a mutant that was not taken back) is made young,
    so that it is compiled again."""
    wanted = set(sources())
    for path in wanted:
        here, there = os.path.join(ROOT, path), os.path.join(WORK, path)
        if not os.path.exists(there):
            os.makedirs(os.path.dirname(there), exist_ok=True)
            shutil.copy2(here, there)
        elif read(here) != read(there):
            write(there, read(here))
            shutil.copymode(here, there)
    for part in PARTS:
        for folder, dirs, names in os.walk(os.path.join(WORK, part)):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.relpath(path, WORK) not in wanted:
                    os.remove(path)
    built = os.path.join(ROOT, "build", "unit")
    if os.path.isdir(built) and not os.path.exists(
            os.path.join(WORK, "build", "unit")):
        shutil.copytree(built, os.path.join(WORK, "build", "unit"))
    os.makedirs(os.path.join(WORK, "build"), exist_ok=True)
    headers = os.path.join(ROOT, "build", "deb")
    link = os.path.join(WORK, "build", "deb")
    if os.path.isdir(headers) and not os.path.lexists(link):
        os.symlink(headers, link)


# ---- commands

def environ():
    env = dict(os.environ)
    for name in ("SANITIZE", "OCI_VALGRIND", "OCI_PRELOAD", "OCI_KEEP",
                 "OCI_NGINX_NO_LOAD", "MAKEFLAGS", "MFLAGS", "NGINX",
                 "CFLAGS"):
        env.pop(name, None)
    env["OCI_MODULE"] = os.path.join(WORK, MODULE)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env


def run(command, env=None, limit=LIMIT):
    """(exit status, all that it said); None for one that did not end."""
    log = os.path.join(WORK, "build", "output")
    with open(log, "wb") as out:
        proc = subprocess.Popen(
            ["nice"] + command, cwd=WORK, env=dict(environ(), **(env or {})),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True)
    try:
        code = proc.wait(limit)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        end(proc)
    return code, read(log).decode("utf-8", "replace")


def end(proc):
    """Ends a command and the children that a broken test left.  pytest is
    asked first: it has servers to stop, which are sessions of their own."""
    if proc.poll() is None:
        proc.send_signal(signal.SIGINT)
        try:
            proc.wait(20)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    proc.wait()


def build(tests):
    """What these tests need."""
    programs = sorted(set("build/unit/" + t.split(":")[0] for t in tests
                          if "::" not in t))
    commands = []
    if programs:
        commands.append((["make", "-s", "-j2"] + programs, {}))
    if any("::" in t for t in tests):
        env = {}
        if os.environ.get("OCI_NGINX"):
            env["NGINX"] = os.environ["OCI_NGINX"]
        commands.append(([".ci/build.sh", MODULE], env))
    for command, env in commands:
        code, out = run(command, env)
        if code != 0:
            raise Broken("does not compile:\n" + out)


# ---- verdicts

def unit(test):
    """The tests of a program that did not pass, and its output.  One that
    stops half-way leaves its store, so it gets a place of its own."""
    program = test.split(":")[0]
    with tempfile.TemporaryDirectory(prefix="oci-m-", dir="/tmp") as tmp:
        os.chmod(tmp, 0o1777)
        code, out = run(["build/unit/" + program], {"TMPDIR": tmp})
    if code is None:
        raise Broken("%s did not end:\n%s" % (test, out))
    begun = re.findall(r"^\[ RUN      \] (.*)$", out, re.M)
    passed = re.findall(r"^\[       OK \] (.*)$", out, re.M)
    failed = [t for t in begun if t not in passed]
    if code != 0 and not failed:
        failed = ["(exit status %d)" % code]
    return failed, out


def is_red(test):
    """Whether a test fails, and what is to be told about it if not."""
    if "::" not in test:
        failed, out = unit(test)
        return test.split(":")[1] in failed, "red: %s" % failed
    code, out = run(["/usr/bin/python3", "-m", "pytest", "-x",
                     "--durations=0", test])
    if code not in (0, 1) or "nginx did not start" in out:
        raise Broken("pytest, exit status %s:\n%s" % (code, out))
    return code == 1, out[-2000:]


def all_green(tests):
    """Without a mutant nothing may be red.  Returns what is."""
    problems = []
    programs = {}
    for test in tests:
        if "::" not in test:
            programs.setdefault(test.split(":")[0], []).append(
                test.split(":")[1])
    for program, names in sorted(programs.items()):
        failed, out = unit(program + ":")
        if failed:
            problems.append(out)
        begun = re.findall(r"^\[ RUN      \] (.*)$", out, re.M)
        problems += ["%s has no test %s" % (program, n) for n in names
                     if n not in begun]
    nodes = sorted(set(t for t in tests if "::" in t))
    if nodes:
        code, out = run(["/usr/bin/python3", "-m", "pytest",
                         "--durations=0"] + nodes,
                        limit=LIMIT + 10 * len(nodes))
        if code != 0:
            problems.append(out)
    return problems


def judge(mutant):
    """None, or why the mutant was not caught."""
    path = os.path.join(WORK, mutant.file)
    original = read(path)
    text = original.decode("utf-8")
    if text.count(mutant.old) != 1:
        raise Broken("what it replaces stands %d times in %s"
                     % (text.count(mutant.old), mutant.file))
    if mutant.old == mutant.new:
        raise Broken("it changes nothing")
    try:
        write(path, text.replace(mutant.old, mutant.new).encode("utf-8"))
        build(mutant.red)
        for test in mutant.red:
            red, said = is_red(test)
            if not red:
                return "%s is green\n%s" % (test, said)
    finally:
        write(path, original)
    return None


def sample(tables):
    seed = os.environ.get("SEED") or str(int(time.time() // 86400))
    print("mutants: a sample, SEED=%s repeats it" % seed)
    pick = random.Random(seed)
    rows = []
    for table in tables:
        rows += pick.sample([m for m in table if not m.slow], QUICK_EACH)
    return rows


def choose(names):
    tables = [t.TABLE.rows for t in (lower, upper, fills, edge)]
    rows = [m for table in tables for m in table]
    known = [m.name for m in rows]
    twice = sorted(set(n for n in known if known.count(n) > 1))
    if twice:
        sys.exit("mutants: two are called " + ", ".join(twice))
    if names:
        unknown = sorted(set(names) - set(known))
        if unknown:
            sys.exit("mutants: no mutant " + ", ".join(unknown))
        return [m for m in rows if m.name in names]
    if os.environ.get("QUICK") == "1":
        return sample(tables)
    return rows


def main(names):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rows = choose(names)
    tests = sorted(set(t for m in rows for t in m.red))
    copy_tree()
    try:
        build(tests)
        problems = all_green(tests)
    except Broken as e:
        problems = [str(e)]
    if problems:
        print("\n".join(problems))
        print("mutants: red without any mutant")
        print("0 passed, %d failed" % len(problems))
        return 1
    print("mutants: %d tests are green without a mutant" % len(tests),
          flush=True)
    passed = failed = 0
    for mutant in rows:
        start = time.monotonic()
        try:
            why = judge(mutant)
        except Broken as e:
            why = str(e)
        took = time.monotonic() - start
        if why is None:
            passed += 1
            print("mutants: %s: caught by %s (%.0f s)"
                  % (mutant.name, ", ".join(mutant.red), took), flush=True)
        else:
            failed += 1
            print("mutants: %s: NOT CAUGHT (%.0f s): %s"
                  % (mutant.name, took, why), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0
