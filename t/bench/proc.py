"""What a process costs, seen from outside."""

import os
import re
import signal
import subprocess
import threading
import time

from gate import wait_for


def cpu(pid):
    """CPU seconds so far of all threads of a process, also of ended ones."""
    return time.clock_gettime((~pid << 3) | 2)


def status(pid, key):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(r"^%s:\s+(\d+)" % key, f.read(), re.M).group(1))


def clear(pids):
    """Lets the peak of memory begin again."""
    for pid in pids:
        with open("/proc/%d/clear_refs" % pid, "w", encoding="ascii") as f:
            f.write("5")


def peak(pids):
    """MiB, shared pages counted in each process that has touched them."""
    return sum(status(pid, "VmHWM") for pid in pids) / 1024


class Anon:
    """The most of RssAnon in KiB while the block ran, read every 50 ms."""

    def __init__(self, pid):
        self.pid = pid
        self.peak = self.idle = status(pid, "RssAnon")
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.end.wait(0.05):
            self.peak = max(self.peak, status(self.pid, "RssAnon"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def syscalls(pid, run):
    """strace over a process, with its threads, while run() runs."""
    p = subprocess.Popen(
        ["strace", "-f", "-c", "-U", "calls,name", "-p", str(pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    tasks = "/proc/%d/task" % pid
    try:
        wait_for("strace", lambda: all(
            status(int(t), "TracerPid") for t in os.listdir(tasks)))
        run()
    finally:
        p.send_signal(signal.SIGINT)
        text = p.communicate()[1]
    return {m.group(2): int(m.group(1)) for m in
            re.finditer(r"^\s*(\d+)\s+(\w+)\s*$", text, re.M)
            if m.group(2) != "total"}
