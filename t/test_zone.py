"""The zone: what a hit costs, what survives, and that nobody sees an old
answer after a write was acknowledged."""

import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from metrics import Metrics
from nginx import ROOT, wait_for
from oci import IMAGE, absent, digest, dumps, ok, unique
from raw import Raw

STATUS = "add_header X-Cache $oci_cache_status always; " \
         "add_header X-Worker $pid always; "
LONG = "oci_valid 1h; oci_valid_missing 1h; " + STATUS
METRICS = "location = /metrics { oci_metrics; }"
KNOBS = dict(location=LONG, server=METRICS, listen="reuseport")


def image(text, size=0):
    """A manifest that needs no blobs, where oci_sparse is on."""
    return dumps({
        "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
        "annotations": {"x": text, "y": "." * size}, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(b"{}"), "size": 2}})


def metrics(n):
    r = n.client().get("/metrics")
    assert r.status_code == 200
    return Metrics(r.text)


class Worker:
    """A connection to one worker, kept."""

    def __init__(self, raw, pid):
        self.raw, self.pid = raw, pid

    def ask(self, method, target, *headers, body=None):
        r = self.raw.request(method, target, *headers, body=body)
        assert r.get("X-Worker") == str(self.pid), (self.pid, r)
        return r

    def get(self, target, *headers):
        return self.ask("GET", target, *headers)

    def put(self, ref, data, repo="a/b"):
        r = self.ask("PUT", "/v2/%s/manifests/%s" % (repo, ref),
                     ("Content-Type", IMAGE), body=data)
        assert r.status == 201, r

    def push(self, data, repo="a/b"):
        r = self.ask("POST", "/v2/%s/blobs/uploads/?digest=%s"
                     % (repo, digest(data)), body=data)
        assert r.status == 201, r


def each(n, pids=None):
    """A connection to each of the workers."""
    want, found = set(pids or n.workers()), {}

    def all_of_them():
        raw = Raw(n.addr)
        r = raw.request("GET", "/v2/")
        pid = int(r.get("X-Worker"))
        if pid in want and pid not in found:
            found[pid] = Worker(raw, pid)
        else:
            raw.close()
        return len(found) == len(want)

    wait_for("a connection to each worker", all_of_them)
    return list(found.values())


# ---- what a hit costs

FILES = re.compile(
    r"^(?:open|openat|openat2|stat|fstat|lstat|newfstatat|statx|access|"
    r"faccessat2?|read|pread64|preadv2?|readv|readlink(?:at)?|getdents(?:64)?|"
    r"sendfile|mmap|munmap|close|utimensat|fcntl|flock|link|unlink|rename|"
    r"futex|clone3?)$")


class Calls:
    """The system calls of a process and its threads."""

    def __init__(self, n, pid):
        self.file = n.prefix + "/files/calls"
        self.proc = subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "200", "-e", "signal=none", "-o",
             self.file, "-p", str(pid)], stderr=subprocess.PIPE)
        wait_for("strace", lambda: "TracerPid:\t0\n" not in open(
            "/proc/%d/status" % pid, encoding="ascii").read())

    def end(self):
        self.proc.terminate()
        self.proc.wait()
        with open(self.file, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()


def between(lines):
    """For each request, the calls from its arrival to its answer."""
    out, now = [], None
    for line in lines:
        m = re.match(r"^\d+ +(\w+)\((.*)", line)
        if m is None:
            assert "resumed>" in line or "+++" in line or now is None, line
            if now is not None:
                now.append("resumed")
            continue
        name, args = m.groups()
        if name == "recvfrom" and re.search(r'"(?:GET|HEAD) /v2/', args):
            now = []
        elif name in ("writev", "sendto", "write") and "HTTP/1.1 " in args:
            out.append(now)
            now = None
        elif now is not None:
            now.append(name)
    return out


@pytest.mark.native
def test_hit_without_a_file(factory):
    """Between a request and its answer from the zone: no call at all."""
    n = factory(workers=1, **KNOBS)
    c = n.client()
    data = c.image("a/b")
    d = digest(data)
    for ref in "v1", d:
        ok(c.put_manifest("a/b", ref, data), 201)
    small = c.push("a/b", unique(3000))
    manifest, blob = "/v2/a/b/manifests/", "/v2/a/b/blobs/"
    etag = ("If-None-Match", '"%s"' % d)
    asked = [
        ("GET", manifest + "v1", 200), ("GET", manifest + d, 200),
        ("HEAD", manifest + "v1", 200), ("HEAD", manifest + d, 200),
        ("GET", manifest + "v1", 304, etag), ("GET", manifest + d, 304, etag),
        ("GET", manifest + "none", 404), ("HEAD", manifest + "none", 404),
        ("GET", manifest + absent(), 404), ("GET", blob + absent(), 404),
        ("GET", blob + small, 200), ("HEAD", blob + small, 200)]
    raw = Raw(n.addr)
    for method, target, status, *headers in asked:
        assert raw.request(method, target, *headers).status == status
    calls = Calls(n, n.workers()[0])
    for method, target, status, *headers in asked:
        r = raw.request(method, target, *headers)
        assert r.status == status and r.get("X-Cache") == "HIT", (target, r)
    found = between(calls.end())
    assert len(found) == len(asked), found
    for (method, target, *_), names in zip(asked, found):
        bad = [x for x in names if FILES.match(x) or x == "resumed"]
        assert not bad, (method, target, names)


@pytest.mark.native
def test_the_judge_of_calls(factory):
    """It does see the calls of a miss."""
    n = factory(workers=1, **KNOBS)
    c = n.client()
    c.push_image("a/b", "v1")
    raw = Raw(n.addr)
    raw.request("GET", "/v2/")
    calls = Calls(n, n.workers()[0])
    assert raw.request("GET", "/v2/a/b/manifests/v1").status == 200
    (names,) = between(calls.end())
    assert [x for x in names if FILES.match(x)], names


# ---- what survives

def test_reload_keeps_it(factory):
    """The first request after a reload is a hit."""
    n = factory(**KNOBS)
    c = n.client()
    d = c.push_image("a/b", "v1")
    c.manifest("a/b", "v1")
    c.manifest("a/b", "none")
    before = metrics(n)
    assert before.get("zone_entries") >= 2
    assert before.get("zone_negative_entries") == 1
    for _ in range(3):
        n.reload(gone=True)
        c.close()
        for ref, status in ("v1", 200), (d, 200), ("none", 404):
            r = c.manifest("a/b", ref)
            assert r.status_code == status
            assert r.headers["X-Cache"] == "HIT"
    assert metrics(n).get("zone_entries") == before.get("zone_entries")
    assert "rebuilt" not in n.log() and "starts empty" not in n.log()


def test_another_size(factory):
    """A zone of another size is a new one, and the log says so."""
    n = factory(**KNOBS)
    c = n.client()
    c.push_image("a/b", "v1")
    c.manifest("a/b", "v1")
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "HIT"
    n.parts["STORES"] = n.parts["STORES"].replace(":8m", ":4m")
    n._configure()
    n.reload(gone=True)
    c.close()
    assert n.log().count('oci zone "main" is rebuilt with another size') == 1
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "MISS"
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "HIT"
    assert metrics(n).get("zone_size_bytes") < 4 << 20


def test_too_small(factory):
    """Below 512k nginx does not start, from there on it works."""
    n = factory(start=False, zone="511k")
    rc, said = n.config_test()
    assert rc != 0 and "zone=main:511k" in said
    n = factory(zone="512k", **KNOBS)
    c = n.client()
    c.push_image("a/b", "v1")
    for status in "MISS", "HIT":
        assert c.manifest("a/b", "v1").headers["X-Cache"] == status


class Busy(threading.Thread):
    """A client that goes on whatever happens to its connections."""

    def __init__(self, n, seed, steps):
        super().__init__()
        self.n, self.rnd, self.steps = n, random.Random(seed), steps
        self.over = threading.Event()
        self.done = self.wrong = 0
        self.start()

    def run(self):
        raw = None
        while not self.over.is_set():
            method, target, body, good = self.rnd.choice(self.steps)
            try:
                if raw is None:
                    raw = Raw(self.n.addr)
                r = raw.request(method, target, *([(
                    "Content-Type", IMAGE)] if body else []), body=body)
                self.done += 1
                if r.status not in good:
                    self.wrong += 1
            except OSError:
                if raw:
                    raw.close()
                raw = None
        if raw:
            raw.close()

    def end(self):
        self.over.set()
        self.join(60)
        assert not self.is_alive() and self.wrong == 0


def test_workers_killed(factory):
    """100 workers die at random moments; the others go on each time."""
    n = factory(workers=2, main="worker_priority 5;", zone="512k",
                location=LONG + "oci_sparse on;", server=METRICS,
                listen="reuseport")
    # more than fits, so that most of the time is spent under the lock
    data = [image("m%d" % i, 30000) for i in range(40)]
    c = n.client()
    for d in data:
        ok(c.put_manifest("a/b", "m%d" % data.index(d), d), 201)
    steps = [("GET", "/v2/a/b/manifests/" + digest(d), None, (200,))
             for d in data]
    steps += [("GET", "/v2/a/b/manifests/m%d" % i, None, (200,))
              for i in range(len(data))]
    steps += [("HEAD", "/v2/a/b/blobs/" + absent(), None, (404,))
              for _ in range(40)]
    steps += [("PUT", "/v2/a/b/manifests/m%d" % i, data[i], (201,))
              for i in range(0, len(data), 8)]
    clients = [Busy(n, i, steps) for i in range(4)]
    rnd = random.Random(5)
    try:
        for i in range(100):
            pid = rnd.choice(n.workers())
            time.sleep(rnd.random() * 0.01)
            os.kill(pid, signal.SIGSTOP)
            n.kill_workers(pid)
            before = sum(x.done for x in clients)
            wait_for("requests to go on after death %d" % i,
                     lambda: sum(x.done for x in clients) > before + 20)
    finally:
        for x in clients:
            x.end()
    m = metrics(n)
    assert m.get("requests_total") > 1000
    # whatever the state it was left in, it can be used
    for status in "HIT MISS", "HIT":
        for d in data[:3]:
            r = c.manifest("a/b", digest(d))
            assert r.content == d and r.headers["X-Cache"] in status
    assert n.log().count("left half changed") == m.get("zone_resets_total")


def layout():
    """The version that the source gives the zone's layout."""
    with open(os.path.join(ROOT, "src/zone/ngx_http_oci_zone.c"),
              encoding="ascii") as f:
        return int(re.search(r"OCI_ZONE_VERSION +([0-9]+)$", f.read(),
                             re.M).group(1))


class Memory:
    """The zone of a running nginx, seen from outside."""

    LOCK, END = 0, 96           # in nginx's ngx_slab_pool_t
    VERSION, CHANGING = 0, 4    # in what lies at its end

    def __init__(self, pid, size):
        with open("/proc/%d/maps" % pid, encoding="ascii") as f:
            found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw-s \S+ \S+ \d+ "
                               r" */dev/zero", f.read(), re.M)
        # the pages of a zone lie alone in a mapping, or beside another one
        (self.start,) = [int(b, 16) - size for a, b in found
                         if int(b, 16) - int(a, 16) == size]
        self.file = open("/proc/%d/mem" % pid, "r+b", buffering=0)
        self.sh = self.get(self.start + self.END, 8)
        assert self.start < self.sh < self.start + size
        assert self.get(self.sh + self.VERSION, 4) == layout()

    def get(self, at, size):
        return int.from_bytes(os.pread(self.file.fileno(), size, at),
                              "little")

    def put(self, at, size, value):
        os.pwrite(self.file.fileno(), value.to_bytes(size, "little"), at)

    lock = property(lambda self: self.get(self.start + self.LOCK, 8))
    changing = property(lambda self: self.get(self.sh + self.CHANGING, 4))


@pytest.mark.native
@pytest.mark.parametrize("changing", (0, 1))
def test_dead_in_the_lock(factory, changing):
    """nginx frees the lock, and a change left half done empties the zone."""
    n = factory(workers=2, zone="512k", **KNOBS)
    c = n.client()
    c.push_image("a/b", "v1")
    victim, other = each(n)
    for status in "MISS", "HIT":
        assert other.get("/v2/a/b/manifests/v1").get("X-Cache") == status
    m = Memory(victim.pid, 512 << 10)
    os.kill(victim.pid, signal.SIGSTOP)
    wait_for("the victim to stop", lambda: " (stopped)" in open(
        "/proc/%d/status" % victim.pid, encoding="ascii").read())
    assert m.lock == 0 and m.changing == 0
    m.put(m.start + m.LOCK, 8, victim.pid)
    m.put(m.sh + m.CHANGING, 4, changing)

    other.raw.head("GET", "/v2/a/b/manifests/v1")
    assert other.raw.quiet(0.3)
    n.kill_workers(victim.pid)
    r = other.raw.response()
    assert r.status == 200
    assert r.get("X-Cache") == ("MISS" if changing else "HIT")
    assert n.log().count("left half changed") == changing
    assert metrics(n).get("zone_resets_total") == changing
    # in the store also, one that died may have left something half done:
    # its successor says so when it begins
    wait_for("a look at the store", lambda: other.get(
        "/v2/a/b/manifests/v1").get("X-Cache") == "MISS")
    for w in each(n):
        assert w.get("/v2/a/b/manifests/v1").get("X-Cache") == "HIT"


# ---- full

def test_full(factory):
    """Old entries go, nothing fails, and one line says so."""
    n = factory(workers=2, zone="512k", location=LONG + "oci_sparse on;",
                server=METRICS)
    c = n.client()
    count = 1200
    data = [image("m%d" % i, i % 3000) for i in range(count)]
    for i, d in enumerate(data):
        ok(c.put_manifest("a/b", "m%d" % i, d), 201)
    start = time.monotonic()
    rnd = random.Random(3)
    for i in range(count):
        r = c.manifest("a/b", "m%d" % i)
        assert r.status_code == 200 and r.content == data[i]
        # those of long ago are as right as those of now
        k = rnd.randrange(i + 1)
        assert c.manifest("a/b", digest(data[k])).content == data[k]
        if i % 4 == 0:
            assert c.manifest("a/b", "none%d" % i).status_code == 404
            # one that is asked for again and again stays
            r = c.manifest("a/b", "m0")
            assert r.headers["X-Cache"] == "HIT" or i == 0, i
    lines = n.log().count("is full:")
    assert 1 <= lines <= 1 + (time.monotonic() - start) // 60
    m = metrics(n)
    assert m.get("zone_evictions_total") > 1000
    assert 0 < m.get("zone_entries") < 2000
    assert m.get("zone_resets_total") == 0


def test_missing_does_not_push_out(factory):
    """A flood of requests for what is not there costs no entry its place."""
    n = factory(workers=1, zone="512k", **KNOBS)
    c = n.client()
    c.push_image("a/b", "v1")
    c.manifest("a/b", "v1")
    for i in range(3000):
        assert c.manifest("a/b", "none%d" % i, "HEAD").status_code == 404
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "HIT"
    assert metrics(n).get("zone_negative_entries") < 100


# ---- coherence: what is trusted for an hour is seen to change at once

def seen_by(readers, writer):
    """All of them have it in the cache; then it changes."""
    def ask(target, want):
        for w in readers:
            r = w.get(target)
            assert r.status == want if isinstance(want, int) \
                else r.body == want, (w.pid, target, r)

    one, two = unique(900), unique(900)
    first, second = image("one" + os.urandom(8).hex()), image(
        "two" + os.urandom(8).hex())
    tag = "/v2/a/b/manifests/t" + os.urandom(4).hex()
    ref = tag.rpartition("/")[2]
    blob = "/v2/a/b/blobs/"

    for _ in range(2):
        ask(tag, 404)
        ask(blob + digest(one), 404)
        ask("/v2/a/b/manifests/" + digest(first), 404)
    writer.put(ref, first)
    ask(tag, first)
    ask(tag, first)
    ask("/v2/a/b/manifests/" + digest(first), first)
    writer.put(ref, second)
    ask(tag, second)
    writer.put(ref, first)
    ask(tag, first)
    ask(tag, first)
    writer.push(one)
    writer.push(two)
    ask(blob + digest(one), one)
    ask(blob + digest(one), one)
    ask(blob + digest(two), two)
    assert writer.ask("DELETE", blob + digest(one)).status == 202
    ask(blob + digest(one), 404)
    ask(blob + digest(two), two)
    assert writer.ask("DELETE", tag).status == 202
    ask(tag, 404)
    ask("/v2/a/b/manifests/" + digest(first), first)
    assert writer.ask("DELETE", "/v2/a/b/manifests/"
                      + digest(first)).status == 202
    ask("/v2/a/b/manifests/" + digest(first), 404)

    tags = "/v2/a/b/tags/list"
    writer.put(ref, second)
    for w in readers:
        assert ref in w.get(tags).json()["tags"]
    assert writer.ask("DELETE", tag).status == 202
    for w in readers:
        r = w.get(tags)
        assert r.status == 404 or ref not in r.json()["tags"] or []

    subject = digest(second)
    referrer = dumps(dict(
        schemaVersion=2, mediaType=IMAGE, layers=[], config={
            "mediaType": "application/vnd.x", "digest": digest(b"{}"),
            "size": 2}, subject={
                "mediaType": IMAGE, "digest": subject, "size": len(second)},
        annotations={"z": os.urandom(8).hex()}))
    lists = "/v2/a/b/referrers/" + subject
    for w in readers:
        assert w.get(lists).json()["manifests"] == []
        w.get(lists)
    writer.put(digest(referrer), referrer)
    for w in readers:
        assert [m["digest"] for m in w.get(lists).json()["manifests"]] \
            == [digest(referrer)]
        w.get(lists)
    assert writer.ask("DELETE", "/v2/a/b/manifests/"
                      + digest(referrer)).status == 202
    for w in readers:
        assert w.get(lists).json()["manifests"] == []


COHERENT = dict(KNOBS, location=LONG + "oci_sparse on;")


def test_every_worker(factory):
    """A write by one is the next answer of each."""
    n = factory(workers=4, **COHERENT)
    workers = each(n)
    for w in workers:
        seen_by(workers, w)
    m = metrics(n)
    assert m.get("cache_requests_total", status="hit") > 50


class Half:
    """A request that was begun and not ended: its worker stays."""

    def __init__(self, worker, method, target, *headers, body=b""):
        self.raw, self.method = worker.raw, method
        self.body = body
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: registry.test"]
        lines += ["%s: %s" % h for h in headers]
        if body:
            lines.append("Content-Length: %d" % len(body))
        self.raw.send(("\r\n".join(lines) + "\r\n").encode())

    def end(self):
        self.raw.send(b"\r\n" + self.body)
        return self.raw.response(self.method)


def test_across_a_reload(factory):
    """Workers of before and after see each other's writes."""
    n = factory(workers=2, **COHERENT)
    tag = "/v2/a/b/manifests/v1"
    one, two, three = image("one"), image("two"), image("three")
    reader, writer = each(n)
    writer.put("v1", one)
    for w in reader, writer:
        assert w.get(tag).body == one
    reading = Half(reader, "GET", tag)
    writing = Half(writer, "PUT", tag, ("Content-Type", IMAGE), body=three)
    # the old workers have begun to read these requests
    wait_for("the halves to be read", lambda: not any(
        unread(n, w.raw) for w in (reader, writer)))
    old = n.reload()
    new = each(n, set(n.workers()) - set(old))
    for w in new:
        r = w.get(tag)
        assert r.body == one and r.get("X-Cache") == "HIT"
    new[0].put("v1", two)
    r = reading.end()
    assert r.body == two and r.get("X-Worker") == str(reader.pid)
    for w in new:
        assert w.get(tag).body == two
    r = writing.end()
    assert r.status == 201 and r.get("X-Worker") == str(writer.pid)
    for w in new:
        assert w.get(tag).body == three
    seen_by(new, new[1])


def unread(n, raw):
    """Bytes of a connection that its worker has not taken yet."""
    want = "%04X" % raw.sock.getsockname()[1]
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f:
            parts = line.split()
            if parts[1].endswith(":%04X" % n.port()) \
                    and parts[2].endswith(":" + want):
                return int(parts[4].split(":")[1], 16)
    return 0


def test_second_nginx(factory):
    """Two of them on one store, each with a zone of its own."""
    a = factory(workers=2, **COHERENT)
    b = factory(workers=2, stores="oci_store %s zone=main:4m durable=off;"
                % a.store, **COHERENT)
    all_of_them = each(a) + each(b)
    for w in all_of_them:
        seen_by(all_of_them, w)
    for n in a, b:
        assert metrics(n).get("cache_requests_total", status="hit") > 20
    # one that reloads does not fall behind
    b.reload(gone=True)
    all_of_them = each(a) + each(b)
    seen_by(all_of_them, all_of_them[0])


def test_binary_upgrade(factory):
    """USR2: the new nginx has a zone of its own."""
    # what a sanitizer needs is for the new one too
    n = factory(start=False, workers=2, main="env LD_PRELOAD; "
                "env ASAN_OPTIONS; env UBSAN_OPTIONS;", **COHERENT)
    n._configure()
    conf = n.prefix + "/files/nginx.conf"
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(text.replace("daemon off;\n", ""))
    assert subprocess.run(n.command(), env=n.environ(), check=False,
                          stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0
    masters = []
    try:
        masters.append(wait_for("the master", lambda: n.master))
        wait_for("workers", lambda: len(n.workers()) == 2)
        old = each(n)
        kept = n.workers()
        os.kill(masters[0], signal.SIGUSR2)
        masters.append(wait_for("the new master", lambda: n.master not in
                                (None, masters[0]) and n.master))
        wait_for("the new workers", lambda: len(n.workers()) == 2)
        assert not set(n.workers()) & set(kept)
        new = each(n)
        for w in old + new:
            seen_by(old + new, w)
        for p in kept:
            os.kill(p, 0)
        os.kill(masters[0], signal.SIGQUIT)
        wait_for("the old ones to leave", lambda: not any(
            os.path.exists("/proc/%d" % p) and running(p) for p in
            masters[:1] + kept))
        seen_by(new, new[0])
    finally:
        for p in masters:
            if running(p):
                os.kill(p, signal.SIGQUIT)
                wait_for("the end of %d" % p, lambda p=p: not running(p))
    assert not n.log_problems(0) + n.reports()


def running(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def relink(n, tag, d):
    """As another machine would: this one's counters know nothing of it."""
    path = n.repo("a/b", "_tags", tag)
    alg, value = d.split(":")
    os.symlink("../_manifests/%s/%s" % (alg, value), path + ".new")
    os.rename(path + ".new", path)


def test_another_machine(factory):
    """Its writes are seen after oci_valid, and not before."""
    n = factory(workers=2, location="oci_valid 2s; oci_valid_missing 1h; "
                "oci_sparse on; " + STATUS, server=METRICS)
    c = n.client()
    one, two = image("one"), image("two")
    for tag, data in ("v1", one), ("v2", two):
        ok(c.put_manifest("a/b", tag, data), 201)

    def after(tag, want):
        begun = time.monotonic()
        first = c.manifest("a/b", tag)
        relinked = time.monotonic()
        relink(n, tag, digest(want))
        while True:
            asked = time.monotonic()
            r = c.manifest("a/b", tag)
            if r.content == want:
                break
            assert r.content == first.content
            assert asked - relinked < 20
            time.sleep(0.02)
        assert r.headers["X-Cache"] == "MISS"
        assert time.monotonic() - begun >= 1.9

    after("v1", two)
    after("v2", one)

    # unchanged, it is good for as long again
    wait_for("a look at the disk", lambda: c.manifest("a/b", "v1").headers[
        "X-Cache"] == "REVALIDATED", 20)
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "HIT"

    # gone, and behind the tag's back
    os.unlink(n.repo("a/b", "_manifests", "sha256",
                     digest(two).split(":")[1]))
    wait_for("a 404", lambda: c.manifest("a/b", "v1").status_code == 404, 20)
    wait_for("a 404", lambda: c.manifest("a/b", digest(two)).status_code
             == 404, 20)


def test_another_machine_long(factory):
    """What is trusted for an hour is not looked at."""
    n = factory(workers=1, **COHERENT)
    c = n.client()
    one, two = image("one"), image("two")
    for tag, data in ("v1", one), ("v2", two):
        ok(c.put_manifest("a/b", tag, data), 201)
    assert c.manifest("a/b", "v1").content == one
    relink(n, "v1", digest(two))
    assert c.manifest("a/b", "v1").content == one
    # a write on this machine has everything read anew
    ok(c.put_manifest("a/b", "v3", one), 201)
    assert c.manifest("a/b", "v1").content == two


def test_missing_for_a_while(factory):
    """What was not there is asked for again after oci_valid_missing."""
    n = factory(workers=2, location="oci_valid 1h; oci_valid_missing 1s; "
                "oci_sparse on; " + STATUS, server=METRICS,
                listen="reuseport")
    each(n)     # one that starts may say that all is to be looked at anew
    c = n.client()
    one = image("one")
    ok(c.put_manifest("a/b", "v1", one), 201)
    c.manifest("a/b", "v1")
    begun = time.monotonic()
    for status in "MISS", "HIT":
        r = c.manifest("a/b", "v9")
        assert r.status_code == 404 and r.headers["X-Cache"] == status
    relink(n, "v9", digest(one))
    r = wait_for("the tag", lambda: c.manifest("a/b", "v9").content == one
                 and c.manifest("a/b", "v9"), 20)
    assert time.monotonic() - begun >= 0.9
    assert c.manifest("a/b", "v1").headers["X-Cache"] == "HIT"


def test_blob_of_another_machine(factory):
    """A blob that goes is gone after oci_valid, one that comes is there."""
    n = factory(workers=1, location="oci_valid 1s; oci_valid_missing 1s; "
                + STATUS)
    c = n.client()
    data = unique(500)
    d = c.push("a/b", data)
    for _ in range(2):
        assert c.blob("a/b", d).content == data
    path = n.repo("a/b", "_blobs", "sha256", d.split(":")[1])
    os.rename(path, path + ".away")
    wait_for("a 404", lambda: c.blob("a/b", d).status_code == 404, 20)
    os.rename(path + ".away", path)
    wait_for("the blob", lambda: c.blob("a/b", d).content == data, 20)
