"""Runs the suite stage by stage, adds up, and ends with one line:
'N passed, N failed'.

usage: suite.py test|debug|newest [STAGE...]

Every stage runs, whatever the ones before it found; only a build that
fails ends the run.  Each leaves build/log/STAGE.log.
"""

import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "log")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "t"]
NGINX = os.environ.pop("NGINX", "")
ASAN_MODULE = "build/asan/ngx_http_oci_module.so"

RUNNING = []
PRINTING = threading.Lock()

PLAIN = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed"
                   r"(?:, \d+ skipped)?$", re.M)
# pytest's closing line, with or without its rules of '='
CLOSING = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [0-9.]+s\b.*$",
                     re.M)


class Stage:
    """One command.  fatal: what follows is worth nothing without it."""

    def __init__(self, name, command, env=None, limit=900, fatal=False):
        self.name = name
        self.command = command
        self.env = env or {}
        self.limit = limit
        self.fatal = fatal

    def run(self):
        print("==== %s: %s" % (self.name, " ".join(self.command)),
              flush=True)
        env = dict(os.environ, **self.env)
        start = time.monotonic()
        log = os.path.join(LOGS, self.name + ".log")
        with open(log, "wb") as out:
            proc = subprocess.Popen(
                self.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True)
            RUNNING.append(proc)
            timer = threading.Timer(self.limit, end, [proc])
            timer.start()
            try:
                for line in proc.stdout:
                    out.write(line)
                    with PRINTING:
                        sys.stdout.buffer.write(line)
                        sys.stdout.flush()
                code = proc.wait()
            except BaseException:
                end(proc)
                raise
            finally:
                timer.cancel()
                RUNNING.remove(proc)
        took = time.monotonic() - start
        with open(log, encoding="utf-8", errors="replace") as f:
            passed, failed = count(f.read())
        if took >= self.limit:
            print("suite: %s ran into its limit of %d s"
                  % (self.name, self.limit))
        if code != 0 and failed == 0:
            failed = 1
        if code == 0 and passed + failed == 0:
            passed = 1
        print("==== %s: %d passed, %d failed in %.0f s"
              % (self.name, passed, failed, took), flush=True)
        return passed, failed, took


class Together:
    """Commands at the same time: tests wait more than they work."""

    fatal = False

    def __init__(self, *stages):
        self.stages = stages
        self.name = stages[0].name

    def run(self):
        results = {}

        def one(stage):
            results[stage.name] = stage.run()

        threads = [threading.Thread(target=one, args=(s,), daemon=True)
                   for s in self.stages]
        for t in threads:
            t.start()
        try:
            for t in threads:
                t.join()
        except BaseException:
            for proc in list(RUNNING):
                end(proc)
            raise
        return [(s.name,) + results.get(s.name, (0, 1, 0))
                for s in self.stages]


def end(proc):
    """Ends a stage and what it started: it is a session of its own."""
    try:
        os.killpg(proc.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    try:
        proc.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(proc.pid, signal.SIGKILL)


def count(text):
    """The last closing line of the output: (passed, failed)."""
    found = []
    for m in PLAIN.finditer(text):
        found.append((m.start(), int(m.group(1)), int(m.group(2))))
    for m in CLOSING.finditer(text):
        words = dict((w, int(n)) for n, w in
                     re.findall(r"(\d+) ([a-z]+)", m.group(1)))
        found.append((m.start(), words.get("passed", 0),
                      words.get("failed", 0) + words.get("error", 0)
                      + words.get("errors", 0)))
    return max(found)[1:] if found else (0, 0)


def library(name):
    """The path of a library of the compiler."""
    path = subprocess.run(["gcc", "-print-file-name=" + name], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    return os.path.realpath(path)


def make(*args):
    """NGINX is for the build alone: nginx itself takes it in its
    environment for a list of sockets."""
    nginx = ["NGINX=" + NGINX] if NGINX else []
    return ["make", "--no-print-directory"] + list(args) + nginx


def program(name):
    """t/NAME/run as a stage's command."""
    return [os.path.join("t", name, "run")]


def files(*parts):
    """The tests whose files' names begin with one of these."""
    return [f for part in parts
            for f in sorted(glob.glob("t/test_%s*.py" % part))]


def test():
    quick = {"QUICK": "1"}
    asan = {"OCI_MODULE": ASAN_MODULE, "OCI_PRELOAD": library("libasan.so")}
    # most of the time goes into tests that wait for an upstream
    fetching = files("edge", "evict", "fetch", "upstream")
    filling = files("fill")
    return [
        Stage("build", make("build", "SANITIZE="), fatal=True),
        Stage("unit", make("-s", "-j2", "unit", "SANITIZE=")),
        Stage("unit-asan", make("-s", "-j2", "unit", "SANITIZE=1")),
        Stage("fuzz", make("-s", "-j2", "fuzz", "SECONDS_EACH=5")),
        Stage("build-asan", make("build", "SANITIZE=1")),
        Together(
            Stage("http", PYTEST + ["--ignore=" + f
                                    for f in fetching + filling],
                  limit=1200),
            Stage("http-edge", PYTEST[:-1] + fetching, limit=1200),
            Stage("http-fill", PYTEST[:-1] + filling, limit=1200),
            Stage("http-asan", PYTEST + ["-m", "not slow and not waits"],
                  asan, limit=1200)),
        Stage("conformance", program("conformance"), quick),
        Stage("http-valgrind", PYTEST + ["-m", "valgrind"],
              {"OCI_VALGRIND": "1"}),
        Stage("interop", program("interop"), quick),
        Stage("bench", program("bench"), quick),
        Stage("soak", program("soak"), quick),
        Stage("mutants", program("mutants"), quick),
    ]


def debug():
    nginx = os.path.join(ROOT, "build/debug/nginx")
    return [
        Stage("debug-nginx", [".ci/nginx.sh", "debug"], fatal=True),
        Stage("debug-http", PYTEST + ["-m", "not slow and not native"],
              {"OCI_NGINX": nginx, "OCI_NGINX_NO_LOAD": "1"}, limit=3600),
    ]


def newest():
    script = ".ci/nginx.sh"
    return [
        Stage("newest-nginx", [script, "newest"], fatal=True),
        Stage("newest-http", [script, "newest-http"], limit=1800),
    ]


def main():
    kinds = {"test": test, "debug": debug, "newest": newest}
    if len(sys.argv) < 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    os.chdir(ROOT)
    os.makedirs(LOGS, exist_ok=True)
    stages = kinds[sys.argv[1]]()
    names = sys.argv[2:]
    if names:
        stages = [s for group in stages
                  for s in getattr(group, "stages", (group,))]
        unknown = set(names) - set(s.name for s in stages)
        if unknown:
            sys.exit("suite: no stage " + ", ".join(sorted(unknown)))
        stages = [s for s in stages if s.name in names]
    rows = []
    for stage in stages:
        if isinstance(stage, Together):
            rows += stage.run()
            continue
        script = os.path.join(ROOT, stage.command[0])
        if "/" in stage.command[0] and not os.path.exists(script):
            print("suite: %s is not there, no stage %s"
                  % (stage.command[0], stage.name))
            continue
        rows.append((stage.name,) + stage.run())
        if stage.fatal and rows[-1][2]:
            break
    print("\n%-16s %8s %8s %8s" % ("stage", "passed", "failed", "seconds"))
    for row in rows:
        print("%-16s %8d %8d %8.0f" % row)
    passed = sum(r[1] for r in rows)
    failed = sum(r[2] for r in rows)
    print("\n%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
