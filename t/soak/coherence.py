"""A storm of random operations on two nginx that share one store, each with
a zone of its own, the second one reloading all the time and workers of both
dying by kill -9, many of them while they change the zone.  Each write has
a value of its own and is read back at once through another worker and the
other nginx; every answer is held against what may be seen when it was asked
for (storm.c).  In the end all is deleted, and the zone must hold as much as it
did when it was new."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import soak

OPERATIONS = int(os.environ.get("OPERATIONS")
                 or (250000 if soak.QUICK else 10000000))
KILLS = 12 if soak.QUICK else 120
HELD = 3 if soak.QUICK else 40          # of them, while the zone changes
RELOADS = 6 if soak.QUICK else 100      # at least, of the second one
REPOSITORIES = 24 if soak.QUICK else 48
CONNECTIONS = 48
PERMILLE = 20
LIMIT = 100 if soak.QUICK else 4 * 3600

ZONES = ((1 if soak.QUICK else 3) << 20, 512 << 10)
WORKERS = (8, 4)

# what fills a zone: each takes half a page and nothing more
FILLING = 1500
FILLERS = 3 * 2 * ZONES[0] // 4096

ROOT = os.path.dirname(soak.T)
BUILD = os.path.join(ROOT, "build", "soak")
SOURCES = ("storm.c", "storm_conn.c", "storm_model.c", "storm_check.c")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O2",
         "-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith", "-Werror",
         "-DOPENSSL_SUPPRESS_DEPRECATED"]

V2 = """location /v2/ {
    oci main;
    oci_methods pull push delete;
    oci_valid %s;
    oci_thread_pool soak;
    keepalive_requests 20000;
}
location = /status { oci_status; }
"""


def build(name, sources, *more):
    os.makedirs(BUILD, exist_ok=True)
    program = os.path.join(BUILD, name)
    files = [os.path.join(soak.HERE, f) for f in sources + more]
    if not os.path.exists(program) or os.path.getmtime(program) < max(
            os.path.getmtime(f) for f in files):
        subprocess.run([os.environ.get("CC", "gcc")] + FLAGS
                       + ["-o", program + ".new"] + files[:len(sources)]
                       + ["-lcrypto"], check=True, stdin=subprocess.DEVNULL)
        os.rename(program + ".new", program)
    return program


class Server(soak.Nginx):
    """Told by its processes, not by its log, which grows here."""

    def __init__(self, number, store=None, valid="1h"):
        self.number = number
        self.reloads = 0
        super().__init__(
            workers=WORKERS[number], listen="reuseport backlog=1024",
            main="thread_pool soak threads=4 max_queue=65536;",
            server="access_log off;", v2=V2 % valid,
            http="add_header X-Cache $oci_cache_status always;",
            stores="oci_store %s zone=main:%dk durable=off;" % (
                store or "@STORE@", ZONES[number] >> 10))

    def _configure(self):
        """As all servers of tests, but without a line for each 404."""
        super()._configure()
        path = os.path.join(self.prefix, "files", "nginx.conf")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert "error.log info;" in text
        self.file("nginx.conf", text.replace("error.log info;",
                                             "error.log notice;"))

    def children(self):
        master = self.master
        try:
            with open("/proc/%d/task/%d/children" % (master, master),
                      encoding="ascii") as f:
                return [int(p) for p in f.read().split()]
        except OSError:
            return []

    def workers(self):
        """Those that take connections."""
        found = []
        for pid in self.children():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    title = f.read()
            except OSError:
                continue
            if title.startswith(b"nginx: worker process") \
                    and b"shutting down" not in title:
                found.append(pid)
        return sorted(found)

    def reload(self, gone=False):
        old = set(self.workers())
        os.kill(self.master, signal.SIGHUP)
        soak.wait_for("new workers after a reload", lambda: len(
            set(self.workers()) - old) == self.workers_wanted, 60)
        self.reloads += 1

    def zone_address(self, pid):
        """Where the zone's shared memory lies in a process."""
        with open("/proc/%d/maps" % pid, encoding="ascii",
                  errors="replace") as f:
            for line in f:
                m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-s ", line)
                if m and int(m.group(2), 16) - int(m.group(1), 16) \
                        == ZONES[self.number]:
                    return int(m.group(1), 16)
        raise AssertionError("no zone in process %d" % pid)

    def kill_one(self, rng):
        """kill -9 of any worker."""
        self.finish(rng.choice(soak.wait_for("a worker", self.workers)))

    def kill_changing(self, rng, program):
        """
        kill -9 of a worker in the middle of a change of its zone; False if
        it left, or had nothing to change.
        """
        pid = rng.choice(soak.wait_for("a worker", self.workers))
        try:
            address = self.zone_address(pid)
        except OSError:
            return False        # it has left
        self.killed.add(pid)
        p = subprocess.run([program, str(pid), hex(address),
                            str(rng.randrange(1 << 30)), "5"], check=False,
                           stdin=subprocess.DEVNULL)
        if p.returncode == 0:
            return True
        assert p.returncode == 3, p
        return False

    def finish(self, pid):
        self.killed.add(pid)
        os.kill(pid, signal.SIGKILL)

    def count(self, text):
        return self.log().count(text)

    def zone(self):
        """The figures of its zone."""
        client = soak.Client(self.port())
        r = client.req("GET", "/status")
        client.close()
        assert r.status == 200, r
        return json.loads(r.body)["stores"][0]


class Reloader(threading.Thread):
    """Reloads the second nginx all the time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.stop = False
        self.failure = None

    def run(self):
        try:
            while not self.stop:
                self.server.reload()
                time.sleep(.3)
        except BaseException as e:
            self.failure = e


class Storm(threading.Thread):
    """The program, and how far it is."""

    def __init__(self, program, servers, number):
        super().__init__(daemon=True)
        self.proc = subprocess.Popen(
            [program] + [str(s.port()) for s in servers]
            + [str(x) for x in (OPERATIONS, number, REPOSITORIES,
                                CONNECTIONS, PERMILLE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.at = 0
        self.last = ""
        self.start()

    def run(self):
        for line in self.proc.stdout:
            if line.startswith("at "):
                self.at = int(line[3:])
            else:
                self.last = line

    def running(self):
        return self.proc.poll() is None

    def figures(self):
        self.join(10)
        if self.proc.wait() != 0:
            raise soak.Violation(self.proc.stderr.read().strip())
        return json.loads(self.last)

    def end(self):
        if self.running():
            self.proc.kill()
        self.proc.wait()


class Filler:
    """Content enough to fill a zone three times over, of one size."""

    def __init__(self, server, rng):
        self.client = soak.Client(server.port())
        self.repo = "filler/all"
        self.digests = []
        for _ in range(FILLERS):
            data = rng.randbytes(FILLING)
            d = soak.digest(data)
            r = self.client.req("POST", "/v2/%s/blobs/uploads/?digest=%s"
                                % (self.repo, d), data)
            assert r.status == 201, r
            self.digests.append(d)

    def fill(self, server):
        client = soak.Client(server.port())
        for d in self.digests:
            r = client.blob(self.repo, d)
            assert r.status == 200 and soak.digest(r.body) == d, r
        client.close()

    def held(self, server):
        """
        What the zone holds when it is full of this and nothing else; what is
        not in the page cache is not kept the first time.
        """
        self.fill(server)
        self.fill(server)
        zone = server.zone()
        return zone["zone_entries"], zone["zone_free_bytes"]


def rage(servers, storm, slay, rng):
    """Kills and reloads, spread over the storm; how many of them in mid-change."""
    end = time.monotonic() + LIMIT
    step = OPERATIONS // (KILLS + 1)
    kills = held = told = 0
    while storm.running():
        if storm.at >= told + OPERATIONS // 10:
            told = storm.at
            print("%d operations, %d kills, %d reloads"
                  % (told, kills, servers[1].reloads), flush=True)
        if time.monotonic() > end:
            raise soak.Violation("not at its end after %d s, at %d of %d"
                                 % (LIMIT, storm.at, OPERATIONS))
        enough = kills >= KILLS and held >= HELD
        if enough and servers[1].reloads >= RELOADS:
            if not storm.proc.stdin.closed:
                storm.proc.stdin.close()
        if enough or storm.at < step * (kills + 1):
            time.sleep(.02)
            continue
        kills += 1
        server = servers[kills % 5 == 0]
        if kills % 2 and server.kill_changing(rng, slay):
            held += 1
        else:
            server.kill_one(rng)
        if kills % 6 == 3:
            servers[0].reload()
    return kills, held


def settle(servers):
    """Old workers are gone, so that only what lives holds anything."""
    for s in servers:
        soak.wait_for("old workers to leave", lambda s=s: len(
            s.children()) <= s.workers_wanted + 2
            and len(s.workers()) == s.workers_wanted, 60)


def run():
    number = soak.seed()
    rng = random.Random(number)
    storm_program = build("storm", SOURCES, "storm.h")
    slay = build("slay", ("slay.c",))
    servers = []
    storm = None
    try:
        servers.append(Server(0))
        servers.append(Server(1, servers[0].store, "1s"))
        filler = Filler(servers[0], rng)
        new = filler.held(servers[0])
        reloader = Reloader(servers[1])
        storm = Storm(storm_program, servers, number)
        reloader.start()
        kills, held = rage(servers, storm, slay, rng)
        reloader.stop = True
        reloader.join()
        figures = storm.figures()
        if reloader.failure:
            raise reloader.failure
        settle(servers)
        old = filler.held(servers[0])
        zones = [s.zone() for s in servers]
        resets = [s.count("was left half changed") for s in servers]
        if [z["zone_resets"] for z in zones] != resets:
            raise soak.Violation("%s resets were logged, %s counted"
                                 % (resets, zones))
    except BaseException:
        if storm is not None:
            storm.end()
        for s in servers:
            s.stop(gate=False)
        raise
    filler.client.close()
    for s in reversed(servers):
        s.stop()
    judge(figures, servers, kills, held, sum(resets), new, old)
    return report(figures, servers, kills, held, sum(resets), new, old, zones)


def judge(figures, servers, kills, held, resets, new, old):
    wanted = (
        ("operations", figures["operations"] >= OPERATIONS),
        ("one write in a hundred",
         figures["writes"] * 100 >= figures["operations"]),
        ("kills", kills >= KILLS),
        ("kills in mid-change", held >= HELD),
        ("resets of a zone: %d" % resets, resets >= held),
        ("reloads", servers[1].reloads >= RELOADS),
        ("hits", figures["hits"] > figures["operations"] // 10),
        ("readings through another worker",
         figures["other_worker"] * 4 > figures["writes"]
         and figures["other_nginx"] > figures["writes"]),
        ("the zone's room: %s when new, %s now" % (new, old),
         old[0] >= new[0] - 2 and old[1] >= new[1] - 4096))
    missed = [what for what, ok in wanted if not ok]
    if missed:
        raise soak.Violation("missed: %s; %s; %d kills, %d of them in "
                             "mid-change, %d reloads"
                             % (", ".join(missed), figures, kills, held,
                                servers[1].reloads))


def report(f, servers, kills, held, resets, new, old, zones):
    return ("%d operations in %.0f s (%.0f a second), %d of them writes; read "
            "back: %d through another worker, %d through the other nginx, %d "
            "through the same worker; %d reloads of the second nginx, %d of "
            "the first; %d workers killed, %d of them while they changed a "
            "zone, which was reset %d times; %d workers answered, %d "
            "requests broke off, %d were put off; %d hits, %d revalidated, "
            "%d misses, %s entries evicted; a full zone held %d entries when "
            "new, %d in the end; no stale answer, no hang, no leak"
            % (f["operations"], f["seconds"], f["operations"] / f["seconds"],
               f["writes"], f["other_worker"], f["other_nginx"],
               f["same_worker"], servers[1].reloads, servers[0].reloads,
               kills, held, resets, f["workers"], f["lost"], f["again"],
               f["hits"], f["revalidated"], f["misses"],
               " + ".join(str(z["zone_evictions"]) for z in zones),
               new[0], old[0]))


soak.main(run)
