"""Counters: what is counted is what the clients saw."""

import collections
import json
import os
import random
import re
import socket
import threading

import httpx
import pytest

from metrics import Metrics
from nginx import wait_for
from oci import IMAGE, absent, digest, dumps, unique, upload_id
from raw import Raw

PAGES = """
    location = /metrics { oci_metrics; access_log off; }
    location = /status { oci_status; access_log off; }
"""
LOG = ("log_format t '$request_method $request_uri $status $body_bytes_sent "
       "$oci_cache_status $oci_upstream_bytes $pid';\n")


def metrics(n):
    r = n.client().get("/metrics")
    assert r.status_code == 200
    return Metrics(r.text)


class Seen:
    """What the clients saw, in the words of the metrics."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = collections.Counter()
        self.events = collections.Counter()
        self.bytes = self.received = self.broken = 0
        self.aborted = []

    def add(self, op, status, size, received=0, *events):
        with self.lock:
            self.requests[op, "%dxx" % (status // 100)] += 1
            self.bytes += size
            self.received += received
            self.events.update(events)


class Load(threading.Thread):
    """One client of many, over connections that it opens anew at times."""

    def __init__(self, n, seen, seed, rounds, work):
        super().__init__()
        self.n, self.seen, self.rounds = n, seen, rounds
        self.rnd = random.Random(seed)
        self.work = work
        self.raw = None
        self.failure = None
        self.count = seed * 1000000
        self.start()

    def run(self):
        try:
            for _ in range(self.rounds):
                self.rnd.choice(self.STEPS)(self)
                if self.raw and self.rnd.random() < 0.1:
                    self.leave()
        except Exception as e:    # told by join()
            self.failure = e
        finally:
            self.leave()

    def leave(self):
        if self.raw:
            self.raw.close()
            self.raw = None

    def ask(self, op, method, target, *headers, body=None, events=()):
        """Until an answer comes: a worker may close an idle connection."""
        for _ in range(50):
            try:
                if self.raw is None:
                    self.raw = Raw(self.n.addr)
                r = self.raw.request(method, target, *headers, body=body)
                break
            except OSError:
                with self.seen.lock:
                    self.seen.broken += 1
                self.leave()
        else:
            raise AssertionError("no answer to %s %s" % (method, target))
        self.seen.add(op, r.status, len(r.body),
                      len(body or b"") if op.startswith("upload") else 0,
                      *events.get(r.status, ()) if events else ())
        if r.get("Connection") == "close":
            self.leave()
        return r

    def sure(self, right, r):
        """A repeated request may find what its first one has done."""
        assert right or self.seen.broken, r

    def manifest(self):
        ref = self.rnd.choice(["v1", "v2", self.work.manifest, "none",
                               absent()])
        method = self.rnd.choice(["GET", "GET", "HEAD"])
        headers = []
        if self.rnd.random() < 0.3:
            headers.append(("If-None-Match", '"%s"' % self.work.manifest))
        r = self.ask("manifest_get", method, "/v2/m/a/manifests/" + ref,
                     *headers)
        self.sure(r.status in (200, 304, 404), r)

    def blob(self):
        d = self.rnd.choice([self.work.small, self.work.large, absent()])
        method = self.rnd.choice(["GET", "GET", "HEAD"])
        headers = []
        if self.rnd.random() < 0.5:
            headers.append(("Range", self.rnd.choice([
                "bytes=5-20", "bytes=-7", "bytes=0-9,20-29,100-",
                "bytes=99999999-"])))
        r = self.ask("blob_get", method, "/v2/m/a/blobs/" + d, *headers)
        self.sure(r.status in (200, 206, 404, 416), r)

    def lists(self):
        self.ask("tags", "GET", "/v2/m/a/tags/list")
        self.ask("referrers", "GET", "/v2/m/a/referrers/" + absent())
        self.ask("base", "GET", "/v2/")
        self.ask("catalog", "GET", "/v2/_catalog")

    def refused(self):
        self.ask("other", "GET", "/v2/m/a/nothing")
        self.ask("other", "POST", "/v2/m/a/tags/list")
        self.ask("manifest_put", "PUT", "/v2/m/a/manifests/bad", body=b"{")
        self.ask("upload_status", "GET", "/v2/m/a/blobs/uploads/"
                 + os.urandom(16).hex())

    def push(self):
        data = os.urandom(self.rnd.randrange(1, 100000))
        r = self.ask("upload_start", "POST", "/v2/m/p/blobs/uploads/",
                     ("Content-Length", "0"),
                     events={202: ["started"]})
        loc = r.get("Location")
        half = len(data) // 2
        self.ask("upload_patch", "PATCH", loc, body=data[:half])
        self.ask("upload_status", "GET", loc)
        way = self.rnd.choice(["put", "cancel", "wrong"])
        if way == "cancel":
            self.ask("upload_cancel", "DELETE", loc,
                     events={204: ["cancelled"]})
            return
        d = digest(data) if way == "put" else absent()
        r = self.ask("upload_put", "PUT", loc + "?digest=" + d,
                     body=data[half:], events={201: ["finished"],
                                               400: ["failed"]})
        self.sure(r.status == (201 if way == "put" else 400), r)
        if way == "put":
            r = self.ask("upload_start", "POST", "/v2/m/q/blobs/uploads/"
                         "?mount=%s&from=m/p" % d, ("Content-Length", "0"),
                         events={201: ["mounted"]})
            self.sure(r.status == 201, r)
            self.ask("blob_delete", "DELETE", "/v2/m/p/blobs/" + d)

    def tag(self):
        data = self.work.image(os.urandom(8).hex())
        r = self.ask("manifest_put", "PUT", "/v2/m/a/manifests/v2",
                     ("Content-Type", IMAGE), body=data)
        self.sure(r.status == 201, r)
        if self.rnd.random() < 0.3:
            self.ask("manifest_delete", "DELETE", "/v2/m/a/manifests/"
                     + digest(data))

    def abort(self):
        """Leaves in the middle of a large answer."""
        self.count += 1
        raw = Raw(self.n.addr)
        try:
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.head("GET", "/v2/m/a/blobs/%s?abort=%d" % (self.work.large,
                                                           self.count))
            status, _ = raw.response_head()
            assert status == 200
            with self.seen.lock:
                self.seen.aborted.append(self.count)
                self.seen.requests["blob_get", "2xx"] += 1
        except OSError:
            with self.seen.lock:
                self.seen.broken += 1
        finally:
            raw.abort()

    STEPS = [manifest] * 6 + [blob] * 6 + [lists, refused, push, push, tag,
                                           abort]


class Work:
    """Content that all clients ask for."""

    def __init__(self, client):
        self.small = client.push("m/a", unique(3000))
        self.large = client.push("m/a", unique(6 << 20))
        self.config = unique(20)
        client.push("m/a", self.config)
        data = self.image("first")
        self.manifest = digest(data)
        for tag in "v1", "v2":
            assert client.put_manifest("m/a", tag, data).status_code == 201

    def image(self, text):
        return dumps({
            "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
            "annotations": {"x": text}, "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(self.config), "size": len(self.config)}})


@pytest.fixture
def loaded(factory):
    n = factory(workers=4, listen="reuseport", server=PAGES,
                http=LOG + "access_log logs/t.log t;")
    n.work = Work(n.client())
    wait_for("the first counts", lambda: metrics(n).get(
        "requests_total", operation="manifest_put") == 2)
    n.before = metrics(n)
    n.mark = len(access(n))
    return n


def access(n):
    with open(n.prefix + "/logs/t.log", encoding="ascii") as f:
        return [x.split() for x in f.read().splitlines()]


def load(n, seen, seed, middle=None, rounds=150):
    threads = [Load(n, seen, seed * 100 + i, rounds, n.work)
               for i in range(6)]
    if middle:
        middle(threads)
    for t in threads:
        t.join(120)
        assert not t.is_alive()
        if t.failure:
            raise t.failure


def since(n, now, name, *labels):
    old = n.before.table(name, *labels)
    return {k: v - old.get(k, 0) for k, v in now.table(name, *labels).items()
            if v != old.get(k, 0)}


def exact(n, seen):
    """All figures are the clients' own; what aborted ones got, the log's."""

    def counted():
        return since(n, metrics(n), "requests_total", "operation", "status")

    try:
        wait_for("the counts", lambda: counted() == dict(seen.requests), 10)
    except AssertionError:
        assert counted() == dict(seen.requests)

    lines = access(n)[n.mark:]
    assert len(lines) == sum(seen.requests.values())
    aborted = {}
    for line in lines:
        m = re.search(r"abort=(\d+)$", line[1])
        if m:
            aborted[int(m.group(1))] = int(line[3])
    assert sorted(aborted) == sorted(seen.aborted)

    now = metrics(n)
    sent = since(n, now, "sent_bytes_total", "source")
    assert set(sent) == {("memory",), ("file",)}
    assert sum(sent.values()) == seen.bytes + sum(aborted.values())
    assert sum(sent.values()) == sum(int(x[3]) for x in lines)

    cache = since(n, now, "cache_requests_total", "status")
    said = collections.Counter(x[4].lower() for x in lines if x[4] != "-")
    assert {k: v for (k,), v in cache.items()} == dict(said)

    def change(name):
        return now.get(name) - n.before.get(name)

    assert change("uploads_started_total") == seen.events["started"]
    assert change("uploads_finished_total") == seen.events["finished"]
    assert change("uploads_failed_total") == seen.events["failed"]
    assert change("uploads_cancelled_total") == seen.events["cancelled"]
    assert change("mounts_total") == seen.events["mounted"]
    assert change("uploads_received_bytes_total") == seen.received
    return now


def test_sums(loaded):
    """Under load over four workers, with a reload and a dead worker."""
    n, seen = loaded, Seen()
    load(n, seen, 1)
    assert seen.broken == 0
    exact(n, seen)
    assert sum(seen.requests.values()) > 1000
    assert {x[6] for x in access(n)} == {str(p) for p in n.workers()}
    for op in "manifest_get", "blob_get", "upload_put", "manifest_put":
        assert seen.requests[op, "2xx"] and seen.requests[op, "4xx"]
    assert seen.requests["manifest_get", "3xx"] and seen.aborted
    assert all(seen.events[e] for e in ("started", "finished", "failed",
                                        "cancelled", "mounted"))

    # old and new workers count side by side
    load(n, seen, 2, lambda _: n.reload())
    exact(n, seen)

    # what a worker counted does not die with it
    n.kill_workers(n.workers()[0])
    exact(n, seen)
    load(n, seen, 3)
    exact(n, seen)
    n.kill_workers()
    exact(n, seen)


def test_killed_under_load(loaded):
    """At most what was under way is unsure."""
    n, seen = loaded, Seen()

    def kill(threads):
        for _ in range(5):
            before = sum(seen.requests.values())
            wait_for("some load", lambda: sum(seen.requests.values())
                     > before + 20 or not any(t.is_alive() for t in threads))
            n.kill_workers(n.workers()[0])

    load(n, seen, 4, kill, rounds=300)
    assert seen.broken
    total = sum(seen.requests.values())

    def near():
        now = sum(since(n, metrics(n), "requests_total",
                        "operation").values())
        return abs(now - total) <= seen.broken

    wait_for("the counts", near)


def test_client_that_says_nothing_more(loaded):
    """A push that breaks off is counted once, and so is what it brought."""
    n = loaded
    loc = n.client().start("m/p")
    raw = Raw(n.addr)
    raw.head("PATCH", loc, ("Content-Length", "100000"))
    raw.send(b"x" * 1000)
    data = n.path("uploads", upload_id(loc), "data")
    wait_for("the bytes", lambda: os.path.getsize(data) == 1000)
    raw.abort()

    def counted():
        return since(n, metrics(n), "requests_total", "operation")

    wait_for("the count", lambda: counted().get(("upload_patch",)) == 1)
    assert since(n, metrics(n), "uploads_received_bytes_total", "store") \
        == {("main",): 1000}


def test_expect_is_no_body(loaded):
    """The interim answer is not a byte of the answer's body."""
    n = loaded
    loc = n.client().start("m/p")
    wait_for("the start", lambda: since(
        n, metrics(n), "requests_total", "operation"))
    with Raw(n.addr) as raw:
        raw.head("PUT", loc + "?digest=" + absent(),
                 ("Content-Length", "3"), ("Expect", "100-continue"))
        assert raw.response_head()[0] == 100
        raw.send(b"abc")
        r = raw.response()
    assert r.status == 400
    wait_for("the count", lambda: since(
        n, metrics(n), "requests_total", "operation").get(("upload_put",)))
    assert since(n, metrics(n), "sent_bytes_total", "source") \
        == {("memory",): len(r.body)}


def test_text(factory):
    """The format, for several stores, with names that need care."""
    n = factory(
        stores="""
        oci_store @STORE@ zone=main:1m durable=off;
        oci_store @PREFIX@/temp/two 'zone=a"b\\\\c\\nd:1m' durable=off;
        """,
        server=PAGES, v2="""
        location /v2/ { oci main; oci_methods pull push delete; }
        """, http="""
        server { listen 127.0.0.1:@PORT:other@;
                 location / { oci_metrics; } }
        """)
    c = n.client()
    c.push_image("a/b", "v1")
    wait_for("the counts", lambda: metrics(n).get(
        "requests_total", operation="manifest_put") == 2)
    r = c.get("/metrics")
    assert r.headers["Content-Type"] \
        == "text/plain; version=0.0.4; charset=utf-8"
    assert r.headers["Cache-Control"] == "no-store"
    assert r.headers["Content-Length"] == str(len(r.content))
    m = Metrics(r.text)
    names = {labels["store"] for _, labels, _ in m.samples}
    assert names == {"main", 'a"b\\c\nd'}
    assert m.get("requests_total", store="main")
    assert not m.get("requests_total", store='a"b\\c\nd')
    assert m.get("store_ready") == 2
    assert m.get("zone_free_bytes") <= m.get("zone_size_bytes") < 2 << 20
    for status in "none", "2xx", "3xx", "4xx", "5xx":
        assert ("referrers", status) in {
            (s[1]["operation"], s[1]["status"]) for s in m.samples
            if s[0] == "oci_requests_total"}

    # a server of its own answers the same, HEAD its head
    other = n.client("http://127.0.0.1:%d" % n.port("other"))
    assert other.get("/anything").text == r.text
    h = other.head("/")
    assert h.status_code == 200 and not h.content
    assert h.headers["Content-Length"] == r.headers["Content-Length"]
    for page in "/metrics", "/status":
        for method in "POST", "PUT", "DELETE", "OPTIONS":
            assert c.req(method, page).status_code == 405


def test_json(factory):
    """The same figures, and nothing that is nobody's business."""
    n = factory(
        stores="""
        oci_store @STORE@ zone=main:1m durable=off;
        oci_store @PREFIX@/temp/two 'zone=a"b\\\\c:1m' durable=off;
        """, server=PAGES + """
        location /v2/s/ { auth_basic x; auth_basic_user_file users;
                          oci main; }
        """, files={"users": "geheim:{PLAIN}wort\n"})
    c = n.client()
    c.push_image("a/b", "v1")
    wait_for("the counts", lambda: metrics(n).get(
        "requests_total", operation="manifest_put") == 2)
    c.get("/v2/s/x/tags/list", auth=("geheim", "wort"))
    wait_for("the counts", lambda: metrics(n).get(
        "requests_total", operation="tags") == 1)
    r = c.get("/status")
    assert r.headers["Content-Type"] == "application/json"
    assert r.headers["Cache-Control"] == "no-store"
    stores = json.loads(r.text)["stores"]
    assert [s["name"] for s in stores] == ["main", 'a"b\\c']
    m = metrics(n)
    for s in stores:
        for name, value in s.items():
            if name == "name":
                continue
            if name == "requests":
                for op, by in value.items():
                    for status, number in by.items():
                        assert number == m.get(
                            "requests_total", store=s["name"], operation=op,
                            status=status)
                continue
            full = name if "oci_" + name in m.types else name + "_total"
            if isinstance(value, dict):
                for label, number in value.items():
                    key = "source" if "sent" in name else "status"
                    assert number == m.get(full, store=s["name"],
                                           **{key: label}), name
            else:
                assert value == m.get(full, store=s["name"]), name
    for text in r.text, c.get("/metrics").text:
        for secret in "geheim", "wort", n.prefix, "a/b", "users":
            assert secret not in text


def test_without_a_store(factory):
    """Where nothing is declared there is nothing to say."""
    n = factory(stores="", v2="", server=PAGES)
    assert not metrics(n).samples
    assert n.client().get("/status").json() == {"stores": []}


def test_location_of_another_handler(factory):
    """oci inherited from above leaves the pages alone, and their counts."""
    n = factory(server="oci main; oci_methods pull push;" + PAGES, v2="")
    for _ in range(3):
        n.client().get("/metrics")
    n.client().get("/v2/")
    n.client().get("/elsewhere")
    wait_for("the count", lambda: metrics(n).get("requests_total") == 1)
    assert metrics(n).table("requests_total", "operation", "status") \
        == {("base", "2xx"): 1}


def test_one_handler_only(factory):
    """A location is a registry or a page, not both."""
    for page in "oci_metrics", "oci_status":
        n = factory(start=False, server="location /x { oci main; %s; }"
                    % page)
        rc, said = n.config_test()
        assert rc != 0 and "beside" in said, said


def test_refusals_of_nginx(factory):
    """As the client saw them, also where our filter changed the status."""
    n = factory(server=PAGES + """
        location /v2/d/ { oci main; deny all; }
        location /v2/l/ { oci main; limit_req zone=z; }
        location /v2/r/ { oci main; return 503; }
        """, http="limit_req_zone $binary_remote_addr zone=z:1m rate=1r/m;")
    c = n.client()
    assert c.get("/v2/d/x/tags/list").status_code == 403
    c.get("/v2/l/x/tags/list")
    assert c.get("/v2/l/x/tags/list").status_code == 429
    assert c.get("/v2/r/x/tags/list").status_code == 503
    wait_for("the counts", lambda: metrics(n).get("requests_total") == 4)
    assert metrics(n).table("requests_total", "status") \
        == {("4xx",): 3, ("5xx",): 1}


def test_slots_come_back(factory):
    """As many workers as can be die, and the numbers stay."""
    n = factory(workers=4, zone="512k", server=PAGES)
    c = n.client()
    for i in range(12):
        assert c.get("/v2/").status_code == 200
        c.close()
        wait_for("the count", lambda: metrics(n).get("requests_total")
                 == i + 1)
        n.kill_workers()
    n.reload(gone=True)
    assert metrics(n).get("requests_total") == 12
    assert "are taken" not in n.log()


def test_more_processes_than_slots(factory):
    """They work, they are not counted, and the log says so."""
    n = factory(workers=34, zone="512k", server=PAGES)
    lines = wait_for("the lines", lambda: n.log().count("all are taken"))
    assert lines <= 3
    c = n.client()
    for _ in range(40):
        assert c.get("/v2/").status_code == 200
        c.close()
    assert metrics(n).get("requests_total") <= 40


def test_single_process(factory):
    """master_process off: counted all the same."""
    n = factory(start=False, workers=1, main="master_process off;",
                server=PAGES)
    n.workers = lambda: [n.master]
    n.start()
    c = n.client()
    assert c.get("/v2/").status_code == 200
    wait_for("the count", lambda: metrics(n).get("requests_total") == 1)
    assert "are taken" not in n.log()


def test_expired_uploads(factory):
    """Those that the cache manager removes."""
    n = factory(server=PAGES, location="oci_upload_timeout 1s;")
    c = n.client()
    c.start("a/b")
    wait_for("the removal", lambda: metrics(n).get(
        "uploads_expired_total") >= 1, 20)
    assert metrics(n).get("uploads_started_total") == 1


def test_http2(factory):
    """Frames are no bytes of a body."""
    n = factory(server=PAGES, listen="http2")
    with httpx.Client(http1=False, http2=True, trust_env=False) as c:
        r = c.get(n.url + "/v2/x/manifests/none")
        assert r.status_code == 404
        size = len(r.content)
        wait_for("the count", lambda: Metrics(
            c.get(n.url + "/metrics").text).get("requests_total") == 1)
        m = Metrics(c.get(n.url + "/metrics").text)
    assert m.get("sent_bytes_total") == size


def cached(n, *want):
    """The last lines of the log, once they are there."""
    def last():
        said = [x[4] for x in access(n)]
        return said[-len(want):] == list(want)

    try:
        wait_for("the log", last, 5)
    except AssertionError:
        assert [x[4] for x in access(n)][-len(want):] == list(want)


def test_variables(factory):
    """$oci_cache_status and $oci_upstream_bytes in a log."""
    n = factory(location="oci_valid 1s; oci_valid_missing 1h;", workers=1,
                http=LOG + "access_log logs/t.log t;", server=PAGES
                + "location = /x { return 204; }")
    c = n.client()
    d = c.push_image("a/b", "v1")
    c.get("/v2/")
    cached(n, "-")
    c.manifest("a/b", "v1")
    c.manifest("a/b", "v1")
    c.manifest("a/b", d, "HEAD")
    cached(n, "MISS", "HIT", "HIT")

    def again():
        c.manifest("a/b", "v1")
        return access(n)[-1][4] == "REVALIDATED"

    wait_for("oci_valid to pass", again)
    c.manifest("a/b", "v1")
    cached(n, "REVALIDATED", "HIT")
    c.manifest("a/b", "none")
    c.manifest("a/b", "none")
    cached(n, "MISS", "HIT")
    b = absent()
    c.blob("a/b", b)
    c.blob("a/b", b)
    cached(n, "MISS", "HIT")
    assert {x[5] for x in access(n)} == {"0"}
    c.get("/x")
    wait_for("the log", lambda: access(n)[-1][1:6] == ["/x", "204", "0", "-",
                                                       "-"])
