"""A loop-mounted ext4 loses its power in mid-push: it is shut down without
its log being flushed (EXT4_IOC_SHUTDOWN), mounted again, and nginx started on
it as after a boot.  Every push that got 201 is there whole, nothing half is
visible, and sessions go on or are gone.

A boot has an id of its own: nginx runs in a mount namespace where
/proc/sys/kernel/random/boot_id is ours."""

import fcntl
import os
import random
import signal
import struct
import subprocess
import tempfile
import threading
import time
import uuid

import soak

ROUNDS = 3 if soak.QUICK else 100
CLIENTS = 3
IMAGE_SIZE = 4 << 30

# _IOR('X', 125, __u32); 2: without flushing the log
EXT4_IOC_SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125
NOLOGFLUSH = 2

BOOT = "/proc/sys/kernel/random/boot_id"


class Disk:
    """A file with an ext4 in it, mounted where the store is."""

    def __init__(self, where):
        self.where = where
        fd, self.path = tempfile.mkstemp(prefix="oci-ext4-", dir="/tmp")
        os.ftruncate(fd, IMAGE_SIZE)
        os.close(fd)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.path], check=True)
        self.mounted = False

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.path, self.where],
                       check=True)
        self.mounted = True

    def shutdown(self):
        fd = os.open(self.where, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)

    def umount(self):
        def done():
            return subprocess.run(["umount", self.where], check=False,
                                  stderr=subprocess.DEVNULL
                                  ).returncode == 0
        soak.wait_for("umount", done, 30, .05)
        self.mounted = False

        # while a dying process holds its namespace, the dead file system
        # is still there, and the next mount would find it

        soak.wait_for("the loop device to go", lambda: not subprocess.run(
            ["losetup", "-j", self.path], check=True,
            stdout=subprocess.PIPE).stdout, 30, .02)

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.where], check=False)
        os.unlink(self.path)


class Pusher(threading.Thread):
    """Pushes images, one after the other, until the power is gone."""

    def __init__(self, number, port, rng, turn):
        super().__init__(daemon=True)
        self.number = number
        self.rng = rng
        self.turn = turn
        self.client = soak.Client(port, 20)
        self.done = []
        self.open = []
        self.failure = None
        self.off = False

    def run(self):
        n = 0
        while not self.off:
            n += 1
            blobs = [soak.content(self.rng, 20, 60)] + [
                soak.content(self.rng, 100, self.rng.choice(
                    (5000, 300000))) for _ in range(2)]
            image = soak.Image("loss/%d" % self.number,
                               "t%d-%d" % (self.turn, n), blobs)
            try:
                if image.push(self.client):
                    self.done.append(image)
                else:
                    self.open.append(image)
            except soak.BROKEN:
                self.open.append(image)
            except soak.Violation as e:
                self.open.append(image)
                if not self.off and "500" not in str(e):
                    self.failure = e
                    return
        self.client.close()


class Chunks(threading.Thread):
    """A session in chunks; it may find its end after the power came back."""

    def __init__(self, port, rng):
        super().__init__(daemon=True)
        self.client = soak.Client(port, 20)
        self.data = rng.randbytes(24 << 20)
        self.digest = soak.digest(self.data)
        self.loc = None
        self.sent = 0
        self.acknowledged = False
        self.off = False

    def run(self):
        try:
            r = self.client.start("loss/chunks")
            if r.status != 202:
                return
            self.loc = r.headers["Location"]
            while self.sent < len(self.data) and not self.off:
                piece = self.data[self.sent:self.sent + (1 << 20)]
                r = self.client.req("PATCH", self.loc, piece, {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": "%d-%d" % (
                        self.sent, self.sent + len(piece) - 1)})
                if r.status != 202:
                    return
                self.loc = r.headers["Location"]
                self.sent += len(piece)
                time.sleep(.02)
            if not self.off:
                r = self.client.finish(self.loc, self.digest)
                self.acknowledged = r.status == 201
        except soak.BROKEN:
            pass
        finally:
            self.client.close()

    def resume(self, client):
        """After the power came back: "whole", "continued" or "gone"."""
        r = client.blob("loss/chunks", self.digest)
        if r.status == 200:
            if r.body != self.data:
                raise soak.Violation("half a blob of chunks")
            self.delete(client)
            return "whole"
        if self.acknowledged or r.status != 404:
            raise soak.Violation("a blob of chunks after its 201: %r" % r)
        if self.loc is None:
            return "gone"
        r = client.req("GET", self.loc)
        if r.status == 404:
            return "gone"
        if r.status != 204:
            raise soak.Violation("status of a session: %r" % r)
        last = int(r.headers.get("Range", "0-0").split("-")[1])
        have = last + 1 if last else 0
        if have > self.sent + (1 << 20):
            raise soak.Violation("the session has more than was sent")
        r = client.finish(r.headers["Location"], self.digest,
                          self.data[have:])
        if r.status != 201:
            raise soak.Violation("continued at %d: %r" % (have, r))
        r = client.blob("loss/chunks", self.digest)
        if r.status != 200 or r.body != self.data:
            raise soak.Violation("a continued blob differs")
        self.delete(client)
        return "continued"

    def delete(self, client):
        r = client.req("DELETE", "/v2/loss/chunks/blobs/" + self.digest)
        if r.status != 202:
            raise soak.Violation("a delete: %r" % r)


class Machine:
    def __init__(self, rng):
        self.rng = rng
        fd, self.boot = tempfile.mkstemp(prefix="oci-boot-", dir="/tmp")
        os.close(fd)
        os.chmod(self.boot, 0o644)
        self.server = soak.Nginx(
            start=False, store_opts="durable=on",
            wrap=["unshare", "-m", "--propagation", "unchanged", "sh", "-c",
                  'mount --make-private /proc && mount --bind %s %s '
                  '&& exec "$@"' % (self.boot, BOOT),
                  "sh"])
        self.disk = Disk(self.server.store)
        self.images = []
        self.open = []
        self.states = {"whole": 0, "continued": 0, "gone": 0}

    def power_on(self):
        boot = str(uuid.uuid4())
        with open(self.boot, "w", encoding="ascii") as f:
            f.write(boot + "\n")
        self.disk.mount()
        self.server.own(self.server.store)
        self.server.start()
        soak.wait_for("counters of this boot", lambda: os.path.exists(
            self.server.path("run", boot)))

    def power_off(self, pushers):
        self.disk.shutdown()
        for p in pushers:
            p.off = True
        os.killpg(self.server.proc.pid, signal.SIGKILL)
        self.server.proc.wait()
        for p in pushers:
            p.join()
        self.disk.umount()

    def turn(self, number):
        port = self.server.port()
        pushers = [Pusher(i, port, random.Random(self.rng.random()), number)
                   for i in range(CLIENTS)]
        chunks = Chunks(port, self.rng)
        for p in pushers + [chunks]:
            p.start()
        time.sleep(self.rng.uniform(.1, 1.2))
        self.power_off(pushers + [chunks])
        self.power_on()
        client = soak.Client(self.server.port())
        for p in pushers:
            if p.failure:
                raise p.failure
            for image in p.done:
                image.check(client, by_digest=True)
            for image in p.open:
                image.never_half(client)
            self.images += p.done
            self.open += p.open
        for image in self.rng.sample(self.images, min(5, len(self.images))):
            image.check(client)
        self.states[chunks.resume(client)] += 1
        client.close()

    def run(self):
        self.power_on()
        for n in range(ROUNDS):
            self.turn(n)
        client = soak.Client(self.server.port())
        for image in self.images:
            image.check(client, by_digest=True)

        # what a loss left of sessions is theirs to expire, not half a file
        self.expire()
        return ("%d losses of power; %d images acknowledged before them, "
                "all whole; %d in mid-push, nothing half; sessions: %s"
                % (ROUNDS, len(self.images), len(self.open),
                   ", ".join("%s %d" % x for x in
                             sorted(self.states.items()))))

    def expire(self):
        """A start with a short oci_upload_timeout empties uploads/."""
        os.killpg(self.server.proc.pid, signal.SIGKILL)
        self.server.proc.wait()
        self.server.parts["V2"] = self.server.parts["V2"].replace(
            "oci main;", "oci main; oci_upload_timeout 1s;")
        self.server.start()
        soak.wait_for("abandoned sessions to expire",
                      lambda: not self.server.tree("uploads"), 30)

    def close(self):
        if self.server.proc is not None and self.server.proc.poll() is None:
            os.killpg(self.server.proc.pid, signal.SIGKILL)
            self.server.proc.wait()
        self.disk.remove()
        os.unlink(self.boot)
        self.server.emergency()


def run():
    if os.geteuid() != 0:
        raise soak.Violation("mounting needs root")
    machine = Machine(random.Random(soak.seed()))
    try:
        return machine.run()
    finally:
        machine.close()


soak.main(run)
