"""The order of fsyncs and answers on every path that writes, from a store
that is empty at the start."""

import json
import subprocess

import pytest

from oci import IMAGE, INDEX, desc, digest, location, ok, unique
from strace import CALLS, Trace

pytestmark = pytest.mark.native


class Traced:
    def __init__(self, factory, **knobs):
        self.nginx = factory(
            workers=1, store_opts="durable=on", start=False, **knobs)
        self.file = self.nginx.prefix + "/files/trace"
        self.nginx.wrap = ["strace", "-f", "-qq", "-y", "-s", "300", "-e",
                           "trace=" + CALLS, "-e", "signal=none", "-o",
                           self.file]
        self.nginx.start()
        self.client = self.nginx.client()

    def check(self, statuses):
        """All answers of the given statuses came after their fsyncs."""
        self.client.close()
        self.nginx.stop()
        # the prefix is gone with the server: the trace was kept
        trace = Trace(self.kept, self.nginx.store)
        answers = trace.responses()
        assert [s for _, s in answers] == statuses, answers
        problems = trace.unsynced_links()
        for e, status in answers:
            if status in (201, 202):
                problems += ["%d: %s" % (status, p)
                             for p in trace.problems(e)]
        assert not problems, "\n".join(problems)
        return trace


@pytest.fixture
def traced(factory, tmp_path):
    import shutil

    def make(**knobs):
        t = Traced(factory, **knobs)
        t.kept = str(tmp_path / "trace")
        remove = t.nginx._remove

        def keep():
            shutil.copy(t.file, t.kept)
            t.nginx._remove = remove
            remove()

        t.nginx._remove = keep
        return t

    return make


def synced(trace, *ends):
    """Some path with each of these ends was fsynced."""
    from strace import fd_path
    paths = [fd_path(e.args) or "" for e in trace.events
             if e.name in ("fsync", "fdatasync")]
    for end in ends:
        assert [p for p in paths if p.endswith(end)], (end, paths)


def test_the_reader_finds_faults(tmp_path):
    """The judge itself: lines in the wrong order are refused."""
    good = ['1 openat(AT_FDCWD</>, "/s/tmp/x", O_WRONLY|O_CREAT, 0444)'
            ' = 5</s/tmp/x>', '1 write(5</s/tmp/x>, "abc", 3) = 3',
            '1 fsync(5</s/tmp/x>) = 0',
            '1 link("/s/tmp/x", "/s/repositories/a/_blobs/x") = 0',
            '1 fsync(6</s/repositories/a/_blobs>) = 0',
            '1 writev(3<socket:[1]>, [{iov_base="HTTP/1.1 201 Created",'
            ' iov_len=20}], 1) = 20']

    def judge(lines):
        path = tmp_path / "t"
        path.write_text("\n".join(lines) + "\n")
        t = Trace(str(path), "/s")
        (e, status), = t.responses()
        assert status == 201
        return t.problems(e) + t.unsynced_links()

    assert judge(good) == []
    for left_out in (2, 4):
        assert judge(good[:left_out] + good[left_out + 1:])
    assert judge(good[:4] + [good[5], good[4]])
    assert judge(good[:2] + [good[3], good[2]] + good[4:])
    late = good[:4] + ["2 fsync(6</s/repositories/a/_blobs> <unfinished ...>",
                       good[5], "2 <... fsync resumed>) = 0"]
    assert judge(late)


@pytest.mark.smoke
def test_post_and_put(traced):
    t = traced()
    t.client.push("a/b", unique(1000))
    trace = t.check([202, 201])
    synced(trace, "/data", "_blobs/sha256", "/store", "/repositories",
           "/repositories/a", "/repositories/a/b")


def test_single_post(traced):
    t = traced()
    data = unique(100000)
    for alg in ("sha256", "sha512"):
        ok(t.client.post("/v2/a/b/blobs/uploads/?digest=" + digest(
            data, alg), data=data), 201)
    t.check([201, 201])


def test_patches_and_put(traced):
    t = traced()
    data = unique(100000)
    loc = t.client.start("x")
    loc = location(ok(t.client.chunk(loc, 0, data[:50000]), 202))
    loc = location(ok(t.client.patch(loc, data=data[50000:80000]), 202))
    ok(t.client.finish(loc, digest(data, "sha512"), data[80000:]), 201)
    t.check([202, 202, 202, 201])


def test_blob_that_is_here_already(traced):
    """A second push must not lean on names that are not yet synced."""
    t = traced()
    data = unique()
    t.client.push("a", data)
    t.client.push("a", data)
    t.client.push("b", data)
    ok(t.client.post("/v2/b/blobs/uploads/?digest=" + digest(data)), 201)
    t.check([202, 201, 202, 201, 202, 201, 201])


@pytest.mark.smoke
def test_mount(traced):
    t = traced(location="oci_mount any;")
    d = t.client.push("a")
    ok(t.client.post("/v2/c/d/blobs/uploads/?mount=%s&from=a" % d), 201)
    ok(t.client.post("/v2/e/blobs/uploads/?mount=" + d), 201)
    t.check([202, 201, 201, 201])


@pytest.mark.smoke
def test_manifests(traced):
    t = traced(location="oci_sparse on;")
    c = t.client
    data = c.image("a/b", blobs=False)
    ok(c.put_manifest("a/b", "v1", data), 201)
    ok(c.put_manifest("a/b", "v2", data), 201)
    other = c.image("a/b", blobs=False)
    ok(c.put_manifest("a/b", digest(other), other), 201)
    ok(c.put_manifest("a/b", "v1", other), 201)
    ok(c.put_manifest("c", digest(other, "sha512") + "?tag=x&tag=y",
                      other), 201)
    ref = c.index(subject=desc(data, IMAGE))
    ok(c.put_manifest("a/b", digest(ref), ref, INDEX), 201)
    trace = t.check([201] * 6)
    synced(trace, "_manifests/sha256", "_tags", "/repositories/a/b",
           "/repositories/c", "_manifests/sha512",
           "_referrers/sha256/" + digest(data)[7:])


@pytest.mark.smoke
def test_deletes(traced):
    t = traced(location="oci_sparse on;")
    c = t.client
    data = c.image("a", blobs=False)
    ref = c.index(subject=desc(data, IMAGE))
    ok(c.put_manifest("a", "v1", data), 201)
    ok(c.put_manifest("a", "v2", data), 201)
    ok(c.put_manifest("a", "r", ref, INDEX), 201)
    blob = c.push("a")
    ok(c.delete("/v2/a/manifests/v1"), 202)
    ok(c.delete("/v2/a/manifests/" + digest(ref)), 202)
    ok(c.delete("/v2/a/manifests/" + digest(data)), 202)
    ok(c.delete("/v2/a/blobs/" + blob), 202)
    trace = t.check([201, 201, 201, 202, 201, 202, 202, 202, 202])
    gone = [e for e in trace.events if e.name.startswith("unlink")
            and "repositories" in e.args]
    assert len(gone) >= 6


def test_an_image_as_clients_push_it(traced):
    t = traced()
    c = t.client
    data = c.image("lib/app", layers=3)
    ok(c.put_manifest("lib/app", "latest", data), 201)
    assert len(json.loads(data)["layers"]) == 3
    t.check([202, 201] * 4 + [201])


def test_not_durable(factory, tmp_path):
    """durable=off: the same names, no waiting for a disk."""
    n = factory(workers=1, start=False)
    trace = str(tmp_path / "t")
    n.wrap = ["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync",
              "-o", trace]
    n.start()
    c = n.client()
    c.push_image("a", "v1")
    c.close()
    n.stop()
    out = subprocess.run(["grep", "-c", "store/repositories", trace],
                         stdout=subprocess.PIPE, check=False).stdout
    assert int(out) == 0
