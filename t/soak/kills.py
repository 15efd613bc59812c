"""Workers killed with kill -9 during pushes, in each phase of one: while the
body comes, while a thread hashes, writes or syncs, while names are linked.
What got 201 is there whole, nothing half is visible, the successor serves,
and what the session still has is continued.

The phase is read off the worker itself: it is stopped (SIGSTOP) first, looked
at, and then killed or let go."""

import os
import random
import signal
import socket
import threading
import time

import soak

KILLS, EACH = (18, 4) if soak.QUICK else (200, 20)
LIMIT = 50 if soak.QUICK else 3600
REPO = "kills/victim"
BYSTANDERS = 2

# futex(), in which a thread without work waits
FUTEX = {"aarch64": "98"}.get(os.uname().machine, "202")


class Stopped:
    """A worker that stands still, and what its threads were doing."""

    def __init__(self, pid):
        self.pid = pid
        os.kill(pid, signal.SIGSTOP)
        soak.wait_for("a stopped worker", self.stands, 30, .0005)
        self.calls = self.read()

    def threads(self):
        return [t for t in os.listdir("/proc/%d/task" % self.pid)
                if int(t) != self.pid]

    def stands(self):
        for t in os.listdir("/proc/%d/task" % self.pid):
            with open("/proc/%d/task/%s/stat" % (self.pid, t),
                      encoding="ascii", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] not in "TtZX":
                    return False
        return True

    def read(self):
        calls = []
        for t in self.threads():
            with open("/proc/%d/task/%s/syscall" % (self.pid, t),
                      encoding="ascii") as f:
                calls.append(f.read().split()[0])
        return calls

    @property
    def working(self):
        """A thread of the pools is not waiting for work."""
        return any(c != FUTEX for c in self.calls)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def go(self):
        os.kill(self.pid, signal.SIGCONT)


class Bystander(threading.Thread):
    """Pushes small images all the time, whoever dies."""

    def __init__(self, number, port, rng):
        super().__init__(daemon=True)
        self.number = number
        self.rng = rng
        self.client = soak.Client(port)
        self.done = []
        self.open = []
        self.failure = None
        self.stop = False

    def run(self):
        n = 0
        while not self.stop and self.failure is None:
            n += 1
            blobs = [soak.content(self.rng, 20, 60)] + [
                soak.content(self.rng, 1000, 100000) for _ in range(2)]
            image = soak.Image("kills/by%d" % self.number, "t%d" % n, blobs)
            try:
                if image.push(self.client):
                    self.done.append(image)
                else:
                    self.open.append(image)
            except soak.BROKEN:
                self.open.append(image)
            except soak.Violation as e:
                self.failure = e
            time.sleep(.02)


class Push:
    """One blob, in a session, by hand: its bytes go out as told."""

    def __init__(self, server, rng, size):
        self.server = server
        self.data = rng.randbytes(size)
        self.digest = soak.digest(self.data)
        c = soak.Client(server.port())
        r = c.start(REPO)
        assert r.status == 202, r
        self.loc = r.headers["Location"]
        c.close()
        self.sock = None
        self.sent = 0
        self.answer = b""

    def open(self, method, length, query=""):
        self.sock = socket.create_connection(self.server.addr, 30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall((
            "%s %s%s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
            "Content-Type: application/octet-stream\r\n\r\n"
            % (method, self.loc, query, length)).encode())

    def send(self, n):
        piece = self.data[self.sent:self.sent + n]
        self.sock.sendall(piece)
        self.sent += len(piece)

    def read(self, timeout=30):
        """What was answered before the connection broke, if anything."""
        self.sock.settimeout(timeout)
        try:
            while b"\r\n\r\n" not in self.answer:
                got = self.sock.recv(65536)
                if not got:
                    break
                self.answer += got
        except OSError:
            pass
        return self.answer.startswith(b"HTTP/1.1 201")

    def held(self, pid):
        """The worker has the session open: the request is under way."""
        data = "/%s/data" % self.loc.partition("?")[0].rpartition("/")[2]
        return any(x.endswith(data) for x in self.server.fds(pid).values())

    def answered(self):
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(30)

    def path(self, *parts):
        return self.server.repo(REPO, *parts)

    def linked(self):
        return os.path.exists(self.path("_blobs", "sha256",
                                        self.digest[7:]))

    def check(self, client, acknowledged):
        """Whole or not there; then to its end, on what the session has."""
        r = client.blob(REPO, self.digest)
        if r.status == 200:
            if r.body != self.data:
                raise soak.Violation("half a blob: %d of %d bytes"
                                     % (len(r.body), len(self.data)))
        elif acknowledged or r.status != 404:
            raise soak.Violation("a blob after its 201: %r" % r)
        if acknowledged:
            return
        r = client.req("GET", self.loc)
        if r.status == 404:
            if not self.linked():
                raise soak.Violation("the session is gone, its blob too")
            return
        if r.status != 204:
            raise soak.Violation("status of a session: %r" % r)
        first, last = r.headers.get("Range", "0-0").split("-")
        have = int(last) + 1 if int(last) else 0
        if int(first) != 0 or have > self.sent:
            raise soak.Violation("Range %s after %d bytes were sent"
                                 % (r.headers["Range"], self.sent))
        r = client.finish(r.headers["Location"], self.digest,
                          self.data[have:])
        if r.status != 201:
            raise soak.Violation("continued at %d of %d: %r"
                                 % (have, len(self.data), r))
        r = client.blob(REPO, self.digest)
        if r.status != 200 or r.body != self.data:
            raise soak.Violation("a continued blob differs: %d" % r.status)


class Killer:
    def __init__(self, server, rng):
        self.server = server
        self.rng = rng
        self.counts = {"body": 0, "task": 0, "link": 0}
        self.kills = self.acknowledged = self.tries = 0
        self.client = soak.Client(server.port())
        self.pushes = []

    def wanted(self):
        """The phase that lacks most."""
        return min(self.counts, key=lambda k: (self.counts[k], k))

    def die(self, stopped, phase, push):
        self.counts[phase] += 1
        self.kills += 1
        server = self.server
        server.killed.add(stopped.pid)
        stopped.kill()
        acknowledged = push.read()
        push.sock.close()
        soak.wait_for("a successor", lambda: (
            stopped.pid not in server.workers() and server.workers()), 20)
        self.client.close()
        push.check(self.client, acknowledged)
        self.acknowledged += acknowledged
        self.pushes.append(push)

    def stop_worker(self):
        return Stopped(soak.wait_for("a worker", self.server.workers)[0])

    def body(self):
        """A slow client: some of the body has come, the threads rest."""
        push = Push(self.server, self.rng, 300000)
        push.open("PATCH", len(push.data))
        push.send(self.rng.randint(1, 200000))
        time.sleep(self.rng.uniform(0, .01))
        stopped = self.stop_worker()
        self.judge(stopped, push, "task" if stopped.working else "body")

    def task(self):
        """A fast client: stopped anywhere in the middle of much."""
        push = Push(self.server, self.rng, 16 << 20)
        push.open(self.rng.choice(("PATCH", "PUT")), len(push.data),
                  "?digest=" + push.digest)
        until = self.rng.randint(1 << 20, len(push.data) - (1 << 18))
        while push.sent < until:
            push.send(1 << 18)
        stopped = self.stop_worker()
        self.judge(stopped, push, "task" if stopped.working else "body")

    def link(self):
        """The closing PUT: stopped as soon as the first name stands."""
        push = Push(self.server, self.rng, self.rng.randint(1, 300000))
        pid = soak.wait_for("a worker", self.server.workers)[0]
        push.open("PUT", len(push.data), "?digest=" + push.digest)
        push.send(len(push.data))
        end = time.monotonic() + 5
        while not push.linked() and time.monotonic() < end:
            pass
        delay = time.monotonic() + self.rng.uniform(0, .004)
        while time.monotonic() < delay:
            pass
        stopped = Stopped(pid)
        linking = push.linked() and stopped.working
        self.judge(stopped, push, "link" if linking else None)

    def judge(self, stopped, push, phase):
        self.tries += 1
        if push.answered() or not push.held(stopped.pid):
            phase = None
        if phase is None or (phase != self.wanted()
                             and self.counts[phase] >= EACH
                             and KILLS - self.kills <= self.lacking()):
            stopped.go()
            acknowledged = False
            if push.sent == len(push.data):
                acknowledged = push.read()
            push.sock.close()
            if acknowledged:
                push.check(self.client, True)
            return
        self.die(stopped, phase, push)

    def lacking(self):
        return sum(max(0, EACH - n) for n in self.counts.values())

    def run(self):
        end = time.monotonic() + LIMIT
        while self.kills < KILLS or self.lacking():
            getattr(self, self.wanted())()
            if time.monotonic() > end:
                raise soak.Violation("only %r in %d s, %d tries"
                                     % (self.counts, LIMIT, self.tries))


def run():
    rng = random.Random(soak.seed())
    server = soak.Nginx(workers=1, store_opts="durable=on")
    killer = Killer(server, rng)
    others = [Bystander(i, server.port(), random.Random(rng.random()))
              for i in range(BYSTANDERS)]
    try:
        for o in others:
            o.start()
        killer.run()
        soak.wait_for("bystanders to come through", lambda: all(
            len(o.done) > 2 or o.failure for o in others), 30)
        for o in others:
            o.stop = True
        for o in others:
            o.join()
            if o.failure:
                raise o.failure
        whole = audit(server, killer, others)

        # all of it at once, and a start after it
        os.killpg(server.proc.pid, signal.SIGKILL)
        server.proc.wait()
        server.start()
        killer.client = soak.Client(server.port())
        audit(server, killer, others)
    except BaseException:
        server.stop(gate=False)
        raise
    killer.client.close()
    server.stop()
    return ("%d kills of workers (%s) in %d tries; %d blobs had their 201, "
            "%d others were continued or sent again; bystanders: %d images "
            "acknowledged, %d broken off, of which %d came to be whole; none "
            "lost, nothing half, one start after killing all"
            % (killer.kills, ", ".join("%s %d" % x for x in sorted(
                killer.counts.items())), killer.tries, killer.acknowledged,
               killer.kills - killer.acknowledged,
               sum(len(o.done) for o in others),
               sum(len(o.open) for o in others), whole))


def audit(server, killer, others):
    client = soak.Client(server.port())
    for p in killer.pushes:
        r = client.blob(REPO, p.digest)
        if r.status != 200 or r.body != p.data:
            raise soak.Violation("a blob after its 201: %d" % r.status)
    whole = 0
    for o in others:
        for image in o.done:
            image.check(client, by_digest=True)
        for image in o.open:
            whole += image.never_half(client)
    client.close()
    return whole


soak.main(run)
