"""Layers that overwritten tags leave behind are collected without any grace
while several clients push and mount the same blobs: whatever manifest was
answered with 201 stays whole as long as its tag is not moved."""

import random
import re
import threading
import time

import soak

CLIENTS = 4
REPOS = ("soak/a", "soak/b", "soak/c", "d")
SHARED = 60
PASSES, LINKS = (30, 200) if soak.QUICK else (1000, 10000)
LIMIT = 50 if soak.QUICK else 3600

PASS = re.compile(r'collection pass (\d+) of "main": manifests (\d+), '
                  r'tags (\d+), links (\d+), blobs (\d+), bytes (\d+)')


class Count:
    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = self.refused = self.mounted = self.checked = 0
        self.stop = False
        self.failure = None

    def add(self, **more):
        with self.lock:
            for key, value in more.items():
                setattr(self, key, getattr(self, key) + value)


class Pusher(threading.Thread):
    """Moves its own tags from image to image; the blobs are everybody's."""

    def __init__(self, number, port, count, pool, rng):
        super().__init__(daemon=True)
        self.number = number
        self.client = soak.Client(port)
        self.count = count
        self.pool = pool
        self.rng = rng
        self.current = {}

    def run(self):
        try:
            while not self.count.stop:
                self.step()
            self.check()
        except Exception as e:  # pylint: disable=broad-except
            self.count.failure = e
            self.count.stop = True
        finally:
            self.client.close()

    def check(self):
        for image in self.current.values():
            image.check(self.client)
            self.count.add(checked=1)

    def step(self):
        repo = self.rng.choice(REPOS)
        tag = "t%d" % self.number
        blobs = ([soak.content(self.rng, 20, 40)]
                 + self.rng.sample(self.pool, 3)
                 + [soak.content(self.rng, 50, 5000) for _ in range(2)])
        image = soak.Image(repo, tag, blobs)
        old = self.current.get(repo)
        if old is not None:
            old.check(self.client)
            self.count.add(checked=1)
        for b in blobs:
            source = self.rng.choice(REPOS) if self.rng.random() < .5 else ""
            r = self.client.push(repo, b, source)
            if r.status != 201:
                raise soak.Violation("push of a blob: %r" % r)
            if source:
                self.count.add(mounted=1)
        r = self.client.put(repo, tag, image.manifest)
        if r.status == 201:
            self.current[repo] = image
            self.count.add(acknowledged=1)
        elif r.status == 400 and b"MANIFEST_BLOB_UNKNOWN" in r.body:
            # without grace a blob may go before it is named
            self.count.add(refused=1)
        elif r.status != 503:
            raise soak.Violation("push of a manifest: %r" % r)


class Passes:
    """Adds up the log's lines of finished passes."""

    def __init__(self, server):
        self.path = server.prefix + "/logs/error.log"
        self.at = 0
        self.passes = self.manifests = self.links = self.blobs = 0
        self.bytes = 0

    def read(self):
        with open(self.path, "rb") as f:
            f.seek(self.at)
            text = f.read()
        text = text[:text.rfind(b"\n") + 1]
        self.at += len(text)
        for m in PASS.finditer(text.decode("utf-8", "replace")):
            self.passes = max(self.passes, int(m.group(1)))
            self.manifests += int(m.group(2))
            self.links += int(m.group(4))
            self.blobs += int(m.group(5))
            self.bytes += int(m.group(6))


def run():
    rng = random.Random(soak.seed())
    server = soak.Nginx(location="oci_gc grace=0s untagged=0s;")
    count = Count()
    passes = Passes(server)
    pool = [soak.content(rng, 100, 3000) for _ in range(SHARED)]
    pushers = [Pusher(i, server.port(), count, pool,
                      random.Random(rng.random())) for i in range(CLIENTS)]
    end = time.monotonic() + LIMIT
    for p in pushers:
        p.start()
    while not count.stop:
        time.sleep(.2)
        passes.read()
        if passes.passes >= PASSES and passes.links >= LINKS:
            break
        if time.monotonic() > end:
            count.failure = soak.Violation(
                "only %d passes and %d links in %d s"
                % (passes.passes, passes.links, LIMIT))
            break
    count.stop = True
    for p in pushers:
        p.join()
    passes.read()
    if count.failure is not None:
        server.stop(gate=False)
        raise soak.Violation("%s: %s" % (type(count.failure).__name__,
                                         count.failure))
    # some more passes, in peace: what is tagged is still whole after them
    last = passes.passes

    def further():
        passes.read()
        return passes.passes >= last + 3

    soak.wait_for("three more passes", further, 60)
    for p in pushers:
        p.check()
        p.client.close()
    server.stop()
    return ("%d passes removed %d links, %d manifests and %d blobs (%d "
            "bytes) while %d manifests were acknowledged, %d blobs mounted "
            "or pushed after a try, %d manifests refused; %d checks, none "
            "lost" % (passes.passes, passes.links, passes.manifests,
                      passes.blobs, passes.bytes, count.acknowledged,
                      count.mounted, count.refused, count.checked))


soak.main(run)
