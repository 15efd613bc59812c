"""What a server must not have done, whatever its answers were."""

import os
import re
import time

VALGRIND = os.environ.get("OCI_VALGRIND") == "1"
PRELOAD = os.environ.get("OCI_PRELOAD", "")
SLOWDOWN = 6 if VALGRIND else 3 if PRELOAD else 1

# what must never stand in an error log, whatever its level says
FORBIDDEN = re.compile(
    r"\[(?:alert|emerg|crit)\]"
    r"|zero size buf|header already sent|count is zero|already closed"
    r"|open socket|left in connection|busy buffers after|task #"
    r"|overlapped|exited on signal|was locked by"
    r"|ngx_slab_alloc\(\) failed: no memory|ngx_slab_free\(\)"
    r"|finalize non-active request|ngx_slab_alloc\(\): negative"
    r"|runtime error:|(?:Address|UndefinedBehavior|Leak)Sanitizer")


class GateError(AssertionError):
    """The server itself misbehaved, whatever its answers were."""


def wait_for(what, cond, timeout=10.0, step=0.02):
    """
    Waits until cond() is true and returns its value.  An HTTP response is
    one whatever its status, though requests calls those of errors false.
    """
    end = time.monotonic() + timeout * SLOWDOWN
    while True:
        value = cond()
        if value or hasattr(value, "status_code"):
            return value
        if time.monotonic() > end:
            raise AssertionError("timed out waiting for %s" % what)
        time.sleep(step)


class Gate:
    """The half of a server that looks at its log, files and descriptors."""

    def log(self):
        try:
            with open(os.path.join(self.prefix, "logs", "error.log"),
                      encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def stderr(self):
        with open(os.path.join(self.prefix, "logs", "stderr"),
                  encoding="utf-8", errors="replace") as f:
            return f.read()

    def allow(self, pattern):
        """Lines that match are expected by this test."""
        self.allowed.append(re.compile(pattern))

    def log_problems(self, start):
        bad = []
        for line in self.log()[start:].splitlines():
            if FORBIDDEN.search(line) is None:
                continue
            m = re.search(r"process (\d+) exited on signal 9|"
                          r"was locked by (\d+)", line)
            if m and int(m.group(1) or m.group(2)) in self.killed:
                continue
            if any(p.search(line) for p in self.allowed):
                continue
            bad.append("error.log: " + line)
        return bad

    def check(self):
        """After each test: what the log and the sanitizers said since."""
        start, self.log_checked = self.log_checked, len(self.log())
        problems = self.log_problems(start) + self.reports()
        if problems:
            raise GateError("\n".join(problems))

    def reports(self):
        out = []
        folder = os.path.join(self.prefix, "san")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8",
                      errors="replace") as f:
                text = f.read()
            if text.strip():
                out.append("%s:\n%s" % (name, text[:8000]))
        return out

    def fds(self, pid):
        out = {}
        try:
            for fd in os.listdir("/proc/%d/fd" % pid):
                try:
                    out[int(fd)] = os.readlink("/proc/%d/fd/%s" % (pid, fd))
                except OSError:
                    pass
        except OSError:
            pass
        return out

    def fd_counts(self):
        return {p: len(self.fds(p)) for p in self.workers()}

    def held_files(self):
        """Content that an idle worker holds open: a leak."""
        rooms = tuple(os.path.join(self.store, d) + "/" for d in
                      ("repositories", "uploads", "tmp", "blobs"))
        held = []
        for pid in self.workers():
            for fd, target in self.fds(pid).items():
                if target.startswith(rooms) and not os.path.isdir(target):
                    held.append("worker %d holds fd %d: %s"
                                % (pid, fd, target))
        return held

    def leaks(self):
        try:
            wait_for("idle workers", lambda: not self.held_files(), 8)
        except AssertionError:
            return self.held_files()
        limit = (self.baseline or 0) + 16
        try:
            wait_for("descriptors", lambda: all(
                n <= limit for n in self.fd_counts().values()), 8)
        except AssertionError:
            return ["descriptors leak: %d at start, now %s: %s" % (
                self.baseline, self.fd_counts(),
                [self.fds(p) for p in self.workers()])]
        return []

    def no_tmp(self):
        """tmp/ is empty, once each process has opened a new store."""
        wait_for("tmp/ to be empty", lambda: not self.tree("tmp"), 5)

    def tree(self, *rooms):
        """Files below the rooms of the store, relative to it."""
        found = []
        for room in rooms:
            for base, dirs, files in os.walk(os.path.join(self.store, room)):
                found += [os.path.relpath(os.path.join(base, x), self.store)
                          for x in files + [d for d in dirs if os.path.islink(
                              os.path.join(base, d))]]
        return sorted(found)

    def leftovers(self):
        rooms = ["tmp"] if not self.killed else []
        if self.store_clean:
            rooms.append("uploads")
        return ["left behind: " + x for x in self.tree(*rooms)]
