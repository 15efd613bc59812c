"""A blob of 4 GiB pushed in chunks and pulled by 8 parallel ranges: the same
bytes, and the worker's own memory, read every 50 ms, stays within 16 MiB of
what it was when idle."""

import hashlib
import os
import random
import re
import socket
import struct
import threading
import time

import soak

SIZE = 256 << 20 if soak.QUICK else 4 << 30
CHUNK = 16 << 20 if soak.QUICK else 64 << 20
BLOCK = 1 << 20
RANGES = 8
ABOVE = 16 << 20
REPO = "big/blob"


class Content:
    """Any block of it is cheap, no two are the same."""

    def __init__(self, rng):
        self.noise = rng.randbytes(BLOCK - 8)

    def block(self, number):
        return struct.pack(">Q", number) + self.noise

    def digest(self):
        h = hashlib.sha256()
        for n in range(SIZE // BLOCK):
            h.update(self.block(n))
        return "sha256:" + h.hexdigest()


class Memory(threading.Thread):
    """RssAnon of the workers."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids
        self.idle = {p: self.read(p) for p in pids}
        self.most = 0
        self.samples = 0
        self.stop = False

    @staticmethod
    def read(pid):
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)
                       ) * 1024

    def run(self):
        while not self.stop:
            for p in self.pids:
                self.most = max(self.most, self.read(p) - self.idle[p])
            self.samples += 1
            time.sleep(.05)


def request(port, head):
    s = socket.create_connection(("127.0.0.1", port), 300)
    s.sendall(head.encode())
    return s


def head_of(s):
    text = b""
    while b"\r\n\r\n" not in text:
        got = s.recv(65536)
        if not got:
            raise soak.Violation("closed before its answer: %r" % text)
        text += got
    head, _, rest = text.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def location(head):
    return re.search(r"(?im)^location: (\S+)", head).group(1)


def push(port, content, d):
    c = soak.Client(port)
    r = c.start(REPO)
    assert r.status == 202, r
    loc = r.headers["Location"]
    c.close()
    for at in range(0, SIZE, CHUNK):
        s = request(port, (
            "PATCH %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
            "Content-Type: application/octet-stream\r\n"
            "Content-Range: %d-%d\r\nContent-Length: %d\r\n\r\n"
            % (loc, at, at + CHUNK - 1, CHUNK)))
        for n in range(at // BLOCK, (at + CHUNK) // BLOCK):
            s.sendall(content.block(n))
        head, _ = head_of(s)
        s.close()
        if " 202 " not in head.splitlines()[0]:
            raise soak.Violation("PATCH at %d: %s" % (at, head))
        loc = location(head)
    c = soak.Client(port, 600)
    r = c.finish(loc, d)
    c.close()
    if r.status != 201 or r.headers["Docker-Content-Digest"] != d:
        raise soak.Violation("PUT: %r" % r)


class Range(threading.Thread):
    def __init__(self, port, content, d, first, count):
        super().__init__(daemon=True)
        self.port, self.content, self.d = port, content, d
        self.first, self.count = first, count
        self.failure = None

    def run(self):
        try:
            self.pull()
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def pull(self):
        at = self.first * BLOCK
        s = request(self.port, (
            "GET /v2/%s/blobs/%s HTTP/1.1\r\nHost: t\r\nConnection: close"
            "\r\nRange: bytes=%d-%d\r\n\r\n"
            % (REPO, self.d, at, at + self.count * BLOCK - 1)))
        head, rest = head_of(s)
        if " 206 " not in head.splitlines()[0]:
            raise soak.Violation(head)
        buf = bytearray(BLOCK)
        buf[:len(rest)] = rest
        have = len(rest)
        for n in range(self.first, self.first + self.count):
            view = memoryview(buf)
            while have < BLOCK:
                got = s.recv_into(view[have:])
                if not got:
                    raise soak.Violation("block %d broke off" % n)
                have += got
            if buf[:BLOCK] != self.content.block(n):
                raise soak.Violation("block %d differs" % n)
            view.release()
            have = 0
        if s.recv(1):
            raise soak.Violation("more than the range")
        s.close()


def run():
    content = Content(random.Random(soak.seed()))
    d = content.digest()
    server = soak.Nginx(workers=1, store_opts="durable=on")
    try:
        port = server.port()
        c = soak.Client(port)
        small = os.urandom(1 << 20)
        r = c.push(REPO, small)
        assert r.status == 201, r
        assert c.blob(REPO, soak.digest(small)).body == small
        c.close()

        memory = Memory(server.workers())
        memory.start()
        start = time.monotonic()
        push(port, content, d)
        pushed = time.monotonic() - start
        up = memory.most

        blocks = SIZE // BLOCK // RANGES
        start = time.monotonic()
        ranges = [Range(port, content, d, i * blocks, blocks)
                  for i in range(RANGES)]
        for t in ranges:
            t.start()
        for t in ranges:
            t.join()
        pulled = time.monotonic() - start
        memory.stop = True
        memory.join()
        for t in ranges:
            if t.failure is not None:
                raise soak.Violation("a range: %s" % t.failure)
        if memory.most > ABOVE:
            raise soak.Violation("RssAnon %d KiB above idle"
                                 % (memory.most >> 10))
    except BaseException:
        server.stop(gate=False)
        raise
    server.stop()
    return ("%d MiB in %d chunks in %.1f s, %d ranges in %.1f s, every byte "
            "the same; RssAnon at most %d KiB above idle (%d KiB while "
            "pushing), %d samples"
            % (SIZE >> 20, SIZE // CHUNK, pushed, RANGES, pulled,
               memory.most >> 10, up >> 10, memory.samples))


soak.main(run)
