"""Tags from the zone: pages of a list of any length without a look at the
folder, brought up to date by writes; referrers likewise."""

import os
import random
import threading
import time

import pytest

from nginx import wait_for
from oci import INDEX, absent, digest, dumps, ok, unique
from raw import Raw
from test_referrers import referrer
from test_tags import follow, next_link
from test_zone import FILES, KNOBS, LONG, STATUS, Calls, between, \
    each, image, metrics

KNOBS = dict(KNOBS, http="keepalive_requests 100000;")
TAGS = "/v2/a/b/tags/list"
SPARSE = LONG + "oci_sparse on;"


def fill(n, names, repo="a/b"):
    """One push, then the links that as many more would have left."""
    names = list(names)
    c = n.client()
    ok(c.put_manifest(repo, names[0], c.index(), INDEX), 201)
    folder = n.repo(repo, "_tags")
    target = os.readlink(os.path.join(folder, names[0]))
    for name in names[1:]:
        os.symlink(target, os.path.join(folder, name))
    return c


def body(names, repo="a/b"):
    return dumps({"name": repo, "tags": names})


def warm(c, url=TAGS + "?n=1"):
    wait_for("a hit", lambda: c.get(url).headers["X-Cache"] == "HIT")


def mixed(count):
    """Names of 1 to 128 bytes, in order."""
    rnd = random.Random(count)
    made = set()
    while len(made) < count:
        made.add(rnd.choice("abcXYZ_019") + "".join(
            rnd.choice("abz.-_09") for _ in range(
                rnd.choice((0, 1, 2, 3, 8, 8, 8, 40, 127)))))
    return sorted(made)


def page(names, n=None, last=""):
    """What a page holds, and whether another one follows."""
    rest = [x for x in names if x > last]
    if n is None:
        return rest, False
    return rest[:n], 0 < n < len(rest)


def same(c, names, n=None, last="", cached="HIT"):
    """The page is right to the byte, with its Link, and from the zone."""
    query = "&".join((["n=%d" % n] if n is not None else [])
                     + (["last=" + last] if last else []))
    r = ok(c.get(TAGS + ("?" + query if query else "")), 200)
    want, more = page(names, n, last)
    assert r.content == body(want)
    assert r.headers["Content-Type"] == "application/json"
    assert next_link(r) == ("%s?n=%d&last=%s" % (TAGS, n, want[-1])
                            if more else None)
    if cached:
        assert r.headers["X-Cache"] in cached, (query, r.headers)


@pytest.mark.smoke
@pytest.mark.parametrize("count", [
    pytest.param(n, marks=pytest.mark.valgrind) for n in (1, 3, 400)] + [6000])
def test_pages(factory, count):
    """Every page, the same from the disk and from the zone."""
    names = mixed(count)
    n = factory(workers=1, **KNOBS)
    c = fill(n, names)
    os.symlink("../_manifests/sha256/" + "0" * 64,
               n.repo("a/b", "_tags", names[0] + "-dangles"))
    rnd = random.Random(7)
    asked = [(None, ""), (0, ""), (1, ""), (2, ""), (count - 1, ""),
             (count, ""), (count + 1, ""), (99999, ""), (10 ** 15, ""),
             (None, names[0]), (None, names[-1]), (5, "zzz"), (5, "0"),
             (1, names[-1]), (1, names[count // 2]), (None, "~"),
             (0, names[0]), (100, names[0][:1]), (5000, names[count // 3])]
    asked += [(rnd.randrange(1, 300), rnd.choice(names)
               + rnd.choice(("", ".", "-x"))) for _ in range(40)]
    same(c, names, 1, cached="MISS")
    warm(c)
    for size, last in asked:
        same(c, names, size, last)
    r = c.get(TAGS)
    head = c.head(TAGS)
    assert head.headers["Content-Length"] == str(len(r.content))
    assert head.headers["X-Cache"] == "HIT" and head.content == b""
    size = max(1, count // 7)
    assert sum(follow(c, TAGS + "?n=%d" % size, "tags"), []) == names


def test_whole_list_first(factory):
    """One that is asked for without n is kept as it is sent."""
    names = mixed(5000)
    n = factory(workers=1, **KNOBS)
    c = fill(n, names)
    same(c, names, cached="MISS")
    same(c, names, 100)
    same(c, names)


# ---- writes

class Model:
    """What the tags are, and a write of each kind by each of the workers."""

    def __init__(self, names, workers):
        self.names, self.workers = set(names), workers
        self.rnd = random.Random(11)
        self.index = image("x")
        self.other = image("y")

    def fresh(self):
        name = self.rnd.choice("acegMXZ_0159") + "".join(
            self.rnd.choice("abcdefghijk.-0123456789")
            for _ in range(self.rnd.choice((3, 8, 8, 40, 100))))
        return name

    def put(self, w):
        name = self.fresh()
        w.put(name, self.index)
        self.names.add(name)

    def put_again(self, w):
        w.put(self.rnd.choice(sorted(self.names)), self.other)

    def put_many(self, w):
        names = [self.fresh() for _ in range(self.rnd.randrange(2, 40))]
        w.put(digest(self.index) + "?" + "&".join("tag=" + x for x in names),
              self.index)
        self.names.update(names)

    def put_none(self, w):
        w.put(digest(self.other), self.other)

    def delete(self, w):
        name = self.rnd.choice(sorted(self.names))
        assert w.ask("DELETE", "/v2/a/b/manifests/" + name).status == 202
        self.names.remove(name)

    def not_there(self, w):
        assert w.ask("DELETE", "/v2/a/b/manifests/none").status == 404
        assert w.ask("PUT", "/v2/a/b/manifests/none", ("Content-Type", INDEX),
                     body=b"{").status == 400

    def blob(self, w):
        data = unique()
        w.push(data)
        assert w.ask("POST", "/v2/a/b/c/blobs/uploads/?mount=%s&from=a/b"
                     % digest(data)).status == 201
        loc = w.ask("POST", "/v2/a/b/blobs/uploads/").get("Location")
        more = unique()
        assert w.ask("PUT", loc + "?digest=" + digest(more),
                     body=more).status == 201
        assert w.ask("DELETE", "/v2/a/b/blobs/" + digest(more)).status == 202

    def mounted(self, w):
        data = unique()
        w.push(data, "a/b/c")
        assert w.ask("POST", "/v2/a/b/blobs/uploads/?mount=%s&from=a/b/c"
                     % digest(data)).status == 201

    def step(self):
        self.rnd.choice((self.put, self.put, self.put, self.put_again,
                         self.put_many, self.put_none, self.delete,
                         self.delete, self.not_there, self.blob,
                         self.mounted))(self.rnd.choice(self.workers))

    def check(self, w, cached="HIT"):
        names = sorted(self.names)
        last = self.rnd.choice(names)
        for size, after in ((self.rnd.randrange(1, 200), ""),
                            (self.rnd.randrange(1, 200), last), (None, "")):
            query = ["n=%d" % size] if size else []
            query += ["last=" + after] if after else []
            r = w.get(TAGS + "?" + "&".join(query))
            want, more = page(names, size, after)
            assert r.body == body(want), query
            assert more == (r.get("Link") is not None)
            if cached:
                assert r.get("X-Cache") in cached, query


@pytest.mark.smoke
@pytest.mark.parametrize("count", [3, 60, 3000])
def test_brought_up_to_date(factory, count):
    """After every kind of write by either worker: a hit, and right."""
    n = factory(workers=2, **dict(KNOBS, location=SPARSE))
    c = fill(n, mixed(count))
    warm(c)
    workers = each(n)
    m = Model(mixed(count), workers)
    for _ in range(150):
        m.step()
        # a small one that has outgrown its place is read once more
        cached = "HIT" if count == 3000 else ("HIT", "MISS")
        m.check(m.rnd.choice(workers), cached)
    found = metrics(n)
    assert found.get("cache_requests_total", status="miss") < 40


def test_grows_and_shrinks(factory):
    """From one tag to many pages and back to none, by writes alone."""
    n = factory(workers=2, **dict(KNOBS, location=SPARSE))
    one, two = each(n)
    m = Model([], [one, two])
    for _ in range(60):
        m.put_many(one)
    m.put(two)
    c = n.client()
    warm(c)
    m.check(two)
    names = sorted(m.names)
    m.rnd.shuffle(names)
    while names:
        for name in names[-7:]:
            assert one.ask("DELETE", "/v2/a/b/manifests/" + name).status \
                == 202
            m.names.remove(names.pop())
        if names:
            m.check(two)
    for w in one, two, one:
        assert w.get(TAGS).body == body([])
    m.put(one)
    m.check(two, None)
    m.check(one)


def test_manifest_deleted(factory):
    """Its tags are gone from the list with it."""
    n = factory(workers=2, **dict(KNOBS, location=SPARSE))
    c = fill(n, mixed(2000))
    warm(c)
    one, two = each(n)
    m = Model(mixed(2000), [one, two])
    data = image("gone")
    before = sorted(m.names)
    one.put(digest(data) + "?tag=a-gone&tag=z-gone", data)
    m.names |= {"a-gone", "z-gone"}
    m.check(two)
    assert one.ask("DELETE", "/v2/a/b/manifests/"
                   + digest(data)).status == 202
    m.names = set(before)
    m.check(two, None)
    m.check(one, None)


def test_dangles_later(factory):
    """A tag whose manifest another tool took away is gone at the latest
    when the folder has changed."""
    n = factory(workers=1, **dict(KNOBS, location=SPARSE))
    c = n.client()
    data = image("x"), image("y")
    for tag, d in zip("ab", data):
        ok(c.put_manifest("a/b", tag, d), 201)
    same(c, ["a", "b"], cached="MISS")
    same(c, ["a", "b"])
    ok(c.delete("/v2/a/b/manifests/" + digest(data[0])), 202)
    same(c, ["b"], cached="MISS")
    same(c, ["b"])


def test_writers_at_once(factory):
    """Whoever loses the race brings nothing half up to date."""
    n = factory(workers=2, **dict(KNOBS, location=SPARSE))
    names = mixed(1500)
    warm(fill(n, names))
    wrong = []

    def work(k):
        rnd = random.Random(k)
        own = set()
        raw = Raw(n.addr)
        for i in range(60):
            name = "w%d-%d" % (k, i) if not own or rnd.random() < 0.7 \
                else rnd.choice(sorted(own))
            url = "/v2/a/b/manifests/" + name
            if name in own:
                status = raw.request("DELETE", url).status
                own.discard(name)
            else:
                status = raw.request("PUT", url, (
                    "Content-Type", INDEX), body=index).status
                own.add(name)
            r = raw.request("GET", TAGS + "?last=w%d-&n=200" % k)
            seen = {x for x in r.json()["tags"]
                    if x.startswith("w%d-" % k)}
            if seen != own or status not in (201, 202):
                wrong.append((k, i, status, seen ^ own))
        mine[k] = own
        raw.close()

    index = n.client().index()
    mine = {}
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    want = sorted(set(names).union(*mine.values()))
    c = n.client()
    same(c, want, cached=None)
    wait_for("a hit", lambda: c.get(TAGS).headers["X-Cache"] == "HIT")
    same(c, want)


def test_second_nginx(factory):
    """A write of one is the other's next list, whatever it has kept."""
    knobs = dict(KNOBS, location=SPARSE)
    a = factory(workers=1, **knobs)
    names = mixed(1500)
    fill(a, names)
    b = factory(workers=1, stores="oci_store %s zone=main:8m durable=off;"
                % a.store, **knobs)
    (one,), (two,) = each(a), each(b)
    m = Model(names, [one, two])
    m.names = set(names)
    for _ in range(25):
        for n in a, b:
            warm(n.client())
        m.step()
        m.check(one, None)
        m.check(two, None)
    # interleaved: each has written what the other has not seen
    m.put(one)
    m.put(two)
    m.put(one)
    m.check(one, None)
    m.check(two, None)


def test_reload_keeps_it(factory):
    n = factory(workers=2, **KNOBS)
    names = mixed(3000)
    c = fill(n, names)
    warm(c)
    n.reload(gone=True)
    c.close()
    same(c, names)
    same(c, names, 100, names[1000])


@pytest.mark.native
def test_filler_killed(factory):
    """Whoever dies while filling is in nobody's way for long."""
    n = factory(workers=1, start=False, **dict(KNOBS, location=SPARSE))
    n.start_slow("getdents64:delay_exit", 200)
    names = mixed(2000)
    c = fill(n, names)
    same(c, names, 10, cached="MISS")
    # the page is answered, and the rest is being read for those to come
    (pid,) = n.workers()
    wait_for("the folder to be read", lambda: reading(n, pid))
    c.close()
    n.kill_workers(pid)
    same(c, names, 10, cached="MISS")
    wait_for("a hit", lambda: c.get(TAGS + "?n=10").headers["X-Cache"]
             == "HIT", 40, 0.5)
    same(c, names, 10)
    same(c, names)
    assert metrics(n).get("zone_resets_total") == 0


@pytest.mark.native
def test_asked_while_it_is_filled(factory):
    """Who read the folder beside it does not fill the list once more, and
    take it from its readers."""
    n = factory(workers=1, start=False, **dict(KNOBS, location=SPARSE))
    n.start_slow("getdents64:delay_exit", 200)
    names = mixed(2000)
    c = fill(n, names)
    (pid,) = n.workers()
    same(c, names, 10, cached="MISS")
    wait_for("the folder to be read", lambda: reading(n, pid))
    same(c, names, 10, cached="MISS")
    warm(c, TAGS + "?n=10")
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        assert not reading(n, pid)
    same(c, names)


# ---- room

def test_longer_than_its_share(factory):
    """A list over a quarter of the zone is read each time, and right."""
    names = ["%04d-%s" % (i, "x" * 100) for i in range(3000)]
    n = factory(workers=1, zone="1m", **dict(KNOBS, location=SPARSE))
    c = fill(n, names)
    for _ in range(2):
        same(c, names, cached="MISS")
        same(c, names, 100, names[500], cached="MISS")
    m = metrics(n)
    assert m.get("zone_resets_total") == 0
    # what it took while it was tried was given back
    small = image("z", 20000)
    for i in range(12):
        ok(c.put_manifest("c/d", "v%d" % i, small[:-1] + b" " * i + b"}"),
           201)
    for i in range(12):
        c.manifest("c/d", "v%d" % i)
    for i in range(12):
        assert c.manifest("c/d", "v%d" % i).headers["X-Cache"] == "HIT"


def test_pushed_out(factory):
    """What is used more takes its room, and it comes back."""
    names = mixed(2000)
    n = factory(workers=1, zone="512k", **dict(KNOBS, location=SPARSE))
    c = fill(n, names)
    warm(c)
    for i in range(60):
        data = image("m%d" % i, 25000)
        ok(c.put_manifest("c/d", "v%d" % i, data), 201)
        for _ in range(3):
            assert c.manifest("c/d", "v%d" % i).content == data
    same(c, names, 50, cached="MISS")
    same(c, names, 50, names[1500], cached=None)
    warm(c)
    same(c, names, 50, names[1500])
    assert metrics(n).get("zone_resets_total") == 0


def test_nothing_is_lost(factory):
    """Lists that come, change and go leave no page behind."""
    n = factory(workers=2, zone="1m", **dict(KNOBS, location=SPARSE))
    one, two = each(n)
    free = None
    for turn in range(4):
        m = Model([], [one, two])
        for _ in range(20):
            m.put_many(one)
        warm(n.client())
        for _ in range(20):
            m.step()
        m.check(two, None)
        for name in sorted(m.names):
            assert two.ask("DELETE", "/v2/a/b/manifests/" + name).status \
                == 202
        assert one.get(TAGS).body == body([])
        now = metrics(n).get("zone_free_bytes")
        if turn == 1:
            free = now
    assert now >= free - 16384


# ---- another machine

def test_another_machine(factory):
    """Its tags are seen after oci_valid; without a change one look is
    enough for as long again."""
    n = factory(workers=1, **dict(KNOBS, location="oci_valid 1s; " + STATUS))
    names = mixed(1500)
    c = fill(n, names)
    warm(c)
    wait_for("a look at the folder", lambda: c.get(TAGS + "?n=3").headers[
        "X-Cache"] == "REVALIDATED", 20)
    same(c, names, 7)
    folder = n.repo("a/b", "_tags")
    os.symlink(os.readlink(os.path.join(folder, names[0])),
               os.path.join(folder, "_new"))
    names = sorted(names + ["_new"])
    wait_for("the new tag", lambda: c.get(TAGS).content == body(names), 20)
    os.unlink(os.path.join(folder, names[5]))
    del names[5]
    wait_for("the old tag's end", lambda: c.get(TAGS).content
             == body(names), 20)


def test_another_machine_after_a_write(factory):
    """A write of this machine does not stand in for a look at the folder."""
    n = factory(workers=1, **dict(KNOBS, location="oci_valid 3s; " + STATUS))
    names = mixed(1500)
    c = fill(n, names)
    warm(c)
    # the folder is left alone for long enough to have a stamp
    wait_for("a look at the folder", lambda: c.get(TAGS + "?n=3").headers[
        "X-Cache"] == "REVALIDATED", 20)
    data = c.index()
    folder = n.repo("a/b", "_tags")
    before = os.stat(folder).st_ctime_ns
    os.symlink(os.readlink(os.path.join(folder, names[0])),
               os.path.join(folder, "_new"))
    assert os.stat(folder).st_ctime_ns > before
    ok(c.put_manifest("a/b", "_own", data, INDEX), 201)
    same(c, sorted(names + ["_own"]))
    wait_for("the other's tag", lambda: c.get(TAGS).content
             == body(sorted(names + ["_own", "_new"])), 20)


def reading(n, pid):
    """The worker holds the folder of tags open."""
    base = "/proc/%d/fd/" % pid
    for fd in os.listdir(base):
        try:
            if os.readlink(base + fd) == n.repo("a/b", "_tags"):
                return True
        except OSError:
            pass
    return False


@pytest.mark.native
@pytest.mark.parametrize("count", [20, 400])
def test_a_write_while_it_is_read(factory, count):
    """What was read before a write is not taken for what is there now."""
    n = factory(workers=2, start=False, **dict(KNOBS, location=SPARSE))
    n.start_slow("getdents64:delay_exit", 300)
    names = mixed(count)
    fill(n, names)
    one, two = each(n)
    m = Model(names, [one, two])
    for _ in range(2):
        # the names are read, and a write comes before it is known
        one.raw.head("GET", TAGS)
        wait_for("the folder to be read", lambda: reading(n, one.pid))
        m.put(two)
        two.put("0-next", m.index)
        m.names.add("0-next")
        r = one.raw.response()
        assert r.status == 200 and r.get("X-Cache") == "MISS"
        assert set(names) <= set(r.json()["tags"]) <= m.names
        m.check(two, None)
        m.check(one, None)
        names = sorted(m.names)
        # a delete by digest says of no tag which it took: nothing is kept
        assert two.ask("DELETE", "/v2/a/b/manifests/"
                       + digest(m.other)).status == 404


# ---- what a hit costs

@pytest.mark.native
def test_hit_without_a_file(factory):
    n = factory(workers=1, **dict(KNOBS, location=SPARSE))
    names = mixed(3000)
    c = fill(n, names)
    subject = image("s")
    ok(c.put_manifest("a/b", "0-s", subject), 201)
    referrer(c, "a/b", subject)
    lists = "/v2/a/b/referrers/"
    targets = [TAGS + "?n=100", TAGS + "?n=1000&last=" + names[1000],
               TAGS + "?last=" + names[2900], lists + digest(subject),
               lists + digest(subject) + "?artifactType=none",
               lists + absent()]
    for t in targets:
        warm(c, t)
    raw = Raw(n.addr)
    raw.request("GET", "/v2/")
    calls = Calls(n, n.workers()[0])
    for t in targets:
        r = raw.request("GET", t)
        assert r.status == 200 and r.get("X-Cache") == "HIT", t
    found = between(calls.end())
    assert len(found) == len(targets), found
    for t, names in zip(targets, found):
        assert not [x for x in names if FILES.match(x) or x == "resumed"], \
            (t, names)


@pytest.mark.native
def test_after_a_push_without_the_folder(factory):
    """A page that follows a push is read from the zone all the same."""
    n = factory(workers=1, **dict(KNOBS, location=SPARSE))
    names = mixed(3000)
    warm(fill(n, names))
    raw = Raw(n.addr)
    data = image("x")
    calls = Calls(n, n.workers()[0])
    r = raw.request("PUT", "/v2/a/b/manifests/00-new", (
        "Content-Type", "application/vnd.oci.image.manifest.v1+json"),
        body=data)
    assert r.status == 201
    r = raw.request("GET", TAGS + "?n=2")
    lines = calls.end()
    assert r.json()["tags"] == sorted(names + ["00-new"])[:2]
    assert [x for x in lines if "symlink(" in x]
    assert not [x for x in lines if "getdents" in x]


# ---- referrers

@pytest.mark.smoke
def test_referrers_kept(factory):
    """Also an empty list, each filter for itself, and right after a write
    of either worker."""
    n = factory(workers=2, **KNOBS)
    c = n.client()
    subject = c.image("a/b")
    d = digest(subject)
    url = "/v2/a/b/referrers/" + d
    types = (None, "application/vnd.sig+json", "application/vnd.other", "")
    sent = []

    def check(cached):
        for t in types:
            want = {digest(s) for k, s in sent if t in (None, k)}
            for w in each(n):
                r = w.get(url + ("" if t is None else "?artifactType="
                                 + t.replace("+", "%2B")))
                assert {x["digest"] for x in r.json()["manifests"]} == want
                assert (r.get("OCI-Filters-Applied") == "artifactType") \
                    == (t is not None)
                if cached:
                    assert r.get("X-Cache") == cached, t
                w.raw.close()

    check(None)
    check("HIT")
    for i in range(3):
        for t in types[1:3]:
            sent.append((t, referrer(c, "a/b", subject, i, artifactType=t)))
            check(None)
            check("HIT")
    while sent:
        _, data = sent.pop()
        ok(c.delete("/v2/a/b/manifests/" + digest(data)), 202)
        check(None)
        check("HIT")


def test_referrers_apart(factory):
    """Neither by subject, repository, filter, nor by where the page begins."""
    n = factory(workers=1, **KNOBS)
    c = n.client()
    subjects = [c.image("a/b"), c.image("a/b")]
    first = referrer(c, "a/b", subjects[0], artifactType="1,0,x/y")
    name = digest(first).replace(":", "-")
    asked = [("a/b", 0, "", 1), ("a/b", 1, "", 0), ("c/d", 0, "", 0),
             ("a/b", 0, "?last=" + name, 0),
             ("a/b", 0, "?last=" + name[:-1], 1),
             ("a/b", 0, "?artifactType=1,0,x/y", 1),
             ("a/b", 0, "?artifactType=", 0),
             ("a/b", 0, "?artifactType=x/y&last=sha", 0),
             ("a/b", 0, "?artifactType=1,0,x/y&last=" + name, 0)]
    for _ in range(2):
        for repo, i, query, count in asked:
            r, found = c.referrers(repo, digest(subjects[i]), query)
            assert len(found) == count, (repo, i, query)
    assert r.headers["X-Cache"] == "HIT"


def test_long_referrers(factory):
    """More than is kept: read each time."""
    n = factory(workers=1, **KNOBS)
    c = n.client()
    subject = c.image("a/b")
    sent = [referrer(c, "a/b", subject, "x" * 12000 + str(i))
            for i in range(4)]
    for _ in range(3):
        r, found = c.referrers("a/b", digest(subject))
        assert {x["digest"] for x in found} == {digest(s) for s in sent}
        assert r.headers["X-Cache"] == "MISS"


def test_referrers_of_another_machine(factory):
    n = factory(workers=1, **dict(KNOBS, location="oci_valid 1s; " + STATUS))
    c = n.client()
    subject = c.image("a/b")
    d = digest(subject)
    data = referrer(c, "a/b", subject)
    assert len(c.referrers("a/b", d)[1]) == 1
    wait_for("a look at the folder", lambda: c.referrers("a/b", d)[
        0].headers["X-Cache"] == "REVALIDATED", 20)
    os.unlink(n.repo("a/b", "_referrers", "sha256", d.split(":")[1],
                     digest(data).replace(":", "-")))
    wait_for("its end", lambda: c.referrers("a/b", d)[1] == [], 20)
