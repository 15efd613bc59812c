"""What stands on the disk, and how nginx starts and refuses to."""

import json
import os
import stat
import subprocess

import pytest

from nginx import GateError, wait_for
from oci import IMAGE, INDEX, absent, desc, digest, error, ok, \
    unique, upload_id

NOT_ROOT = os.geteuid() != 0


@pytest.mark.smoke
def test_rooms(server):
    names = os.listdir(server.made().store)
    assert {"format", "blobs", "repositories", "uploads", "tmp"} \
        <= set(names)
    assert set(names) <= {"format", "blobs", "repositories", "uploads",
                          "fills", "run", "tmp"}
    for alg in ("sha256", "sha512"):
        assert len(os.listdir(server.path("blobs", alg))) == 256
    if not NOT_ROOT:
        import pwd
        uid = pwd.getpwnam("www-data").pw_uid
        for base, dirs, files in os.walk(server.store):
            for x in dirs + files:
                assert os.lstat(os.path.join(base, x)).st_uid == uid


@pytest.mark.smoke
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_blob(reg, server, repo, alg):
    data = unique(3000)
    hexa = digest(data, alg).split(":")[1]
    reg.push(repo, data, alg)
    link = os.stat(server.repo(repo, "_blobs", alg, hexa))
    blob = os.stat(server.path("blobs", alg, hexa[:2], hexa))
    assert link.st_ino == blob.st_ino and blob.st_nlink == 2
    assert stat.S_IMODE(blob.st_mode) == 0o444
    with open(server.path("blobs", alg, hexa[:2], hexa), "rb") as f:
        assert f.read() == data
    reg.push(repo + "/b", data, alg)
    assert os.stat(server.repo(repo + "/b", "_blobs", alg,
                               hexa)).st_ino == blob.st_ino
    ok(reg.delete("/v2/%s/blobs/%s:%s" % (repo, alg, hexa)), 202)
    assert not os.path.exists(server.repo(repo, "_blobs", alg, hexa))
    assert os.path.exists(server.repo(repo + "/b", "_blobs", alg, hexa))


@pytest.mark.smoke
@pytest.mark.parametrize("alg", ["sha256", "sha512"])
def test_record(reg, server, repo, alg):
    data = reg.image(repo, alg=alg)
    d = digest(data, alg)
    hexa = d.split(":")[1]
    ok(reg.put_manifest(repo, d + "?tag=v1", data), 201)
    path = server.repo(repo, "_manifests", alg, hexa)
    with open(path, "rb") as f:
        raw = f.read()
    assert raw[512:] == data
    head = raw[:512].decode("ascii")
    assert IMAGE in head and hexa in head and str(len(data)) in head
    assert os.stat(path).st_mode & 0o222 == 0
    tag = server.repo(repo, "_tags", "v1")
    assert os.readlink(tag) == "../_manifests/%s/%s" % (alg, hexa)
    # a manifest is a record of its repository, no blob
    assert not os.path.exists(server.path("blobs", alg, hexa[:2], hexa))


def test_referrer(reg, server, repo):
    subject = unique()
    data = reg.index(subject=desc(subject, IMAGE), artifactType="a/b")
    ok(reg.put_manifest(repo, "v1", data, INDEX), 201)
    folder = server.repo(repo, "_referrers", "sha256", digest(subject)[7:])
    assert os.listdir(folder) == [digest(data).replace(":", "-")]
    with open(os.path.join(folder, os.listdir(folder)[0]), "rb") as f:
        assert json.load(f) == {
            "mediaType": INDEX, "digest": digest(data), "size": len(data),
            "artifactType": "a/b"}


@pytest.mark.smoke
def test_upload(reg, server, repo):
    loc = reg.start(repo)
    folder = server.path("uploads", upload_id(loc))
    assert os.path.isdir(folder)
    ok(reg.patch(loc, data=b"abc"), 202)
    assert {"data", "state"} <= set(os.listdir(folder))
    with open(os.path.join(folder, "data"), "rb") as f:
        assert f.read() == b"abc"
    ok(reg.finish(loc, digest(b"abc")), 201)
    assert not os.path.exists(folder)
    # a session alone makes no repository
    reg.start(repo + "/new")
    assert not os.path.exists(server.repo(repo + "/new"))


@pytest.mark.smoke
def test_nothing_stays_of_failures(reg, server, repo):
    before = server.tree("repositories", "blobs", "tmp", "uploads")
    error(reg.post("/v2/%s/blobs/uploads/?digest=%s" % (repo, absent()),
                   data=unique(100000)), 400, "DIGEST_INVALID")
    error(reg.put_manifest(repo, "v1", b"[]"), 400, "MANIFEST_INVALID")
    error(reg.put_manifest(repo, absent(), reg.index(), None), 400,
          "DIGEST_INVALID")
    error(reg.put_manifest(repo, "v1", reg.image(repo, blobs=False)),
          (400, 404), "MANIFEST_BLOB_UNKNOWN")
    error(reg.delete("/v2/%s/manifests/v1" % repo), 404, "MANIFEST_UNKNOWN",
          "NAME_UNKNOWN")
    reg.blob(repo, absent())
    reg.referrers(repo, absent())
    after = server.tree("repositories", "blobs", "tmp", "uploads")
    assert [x for x in after if x not in before
            and not x.endswith("_lock")] == []


@pytest.mark.parametrize("text", ["2\n", "99999\n", "garbage", ""])
def test_unknown_format(factory, text):
    """Refused at start, and under -t."""
    n = factory(start=False)
    path = n.path("format")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    n.own(path)
    rc, said = n.config_test()
    assert rc != 0 and "format" in said
    with open(path, encoding="ascii") as f:
        assert f.read() == text
    assert os.listdir(n.store) == ["format"]
    with pytest.raises(GateError):
        n.start()


@pytest.mark.smoke
def test_config_test_makes_nothing(factory):
    n = factory(start=False)
    rc, said = n.config_test()
    assert rc == 0, said
    assert os.listdir(n.store) == []


@pytest.mark.parametrize("knobs,said", [
    ({"v2": "location /v2/ { oci other; }"}, "other"),
    ({"v2": "location /v2/ { oci; }"}, "oci"),
    ({"location": "oci_mount some;"}, "oci_mount|some"),
    ({"location": "oci_sparse maybe;"}, "oci_sparse"),
    ({"methods": "pull fetch"}, "fetch"),
    ({"location": "oci_namespace UPPER;"}, "oci_namespace|UPPER"),
    ({"location": "oci_namespace a/b;"}, "oci_namespace|a/b"),
    ({"location": "oci_namespace ..;"}, "oci_namespace|\\.\\."),
    ({"location": "oci_namespace $arg_ns;"}, "allow"),
    ({"location": "oci_manifest_max_size 0x;"}, "oci_manifest_max_size"),
    ({"location": "oci_thread_pool none;"}, "none"),
    ({"stores": "oci_store @STORE@;"}, "zone|oci_store"),
    ({"stores": "oci_store @STORE@ zone=main;"}, "zone"),
    ({"stores": "oci_store @STORE@ zone=main:8m durable=x;"}, "durable"),
    ({"stores": "oci_store @STORE@ zone=main:8m foo=x;"}, "foo"),
    ({"stores": "oci_store @STORE@ zone=main:8m;"
                "oci_store @STORE@ zone=main:8m;"}, "main|duplicate"),
    ({"stores": "oci_store @STORE@ zone=main:4k;"}, "zone|small"),
], ids=str)
def test_bad_configuration(factory, knobs, said):
    """Refused with a text that names what is wrong."""
    import re
    n = factory(start=False, **knobs)
    rc, text = n.config_test()
    assert rc != 0
    emerg = [x for x in text.splitlines() if "[emerg]" in x]
    assert emerg and re.search(said, emerg[0]), text
    assert "nginx.conf:" in emerg[0]


def test_directives_are_inherited(factory):
    n = factory(http="oci main; oci_methods pull push; oci_sparse on;"
                     "server { listen 127.0.0.1:@PORT:b@; }",
                v2="location /v2/ro/ { oci_methods pull; }"
                   " location /v2/off/ { oci off; return 204; }")
    c = n.client()
    b = n.client("http://127.0.0.1:%d" % n.port("b"))
    data = c.image("a", blobs=False)
    ok(b.put_manifest("a", "v1", data), 201)
    ok(c.manifest("a", "v1"), 200)
    error(c.post("/v2/ro/a/blobs/uploads/"), 405, "UNSUPPORTED")
    ok(b.post("/v2/ro/a/blobs/uploads/"), 202)
    r = c.get("/v2/off/x")
    assert r.status_code == 204
    assert "Docker-Distribution-API-Version" not in r.headers


def test_two_stores(factory):
    n = factory(
        stores="oci_store @STORE@ zone=main:8m durable=off;"
               "oci_store @STORE@2 zone=second:8m durable=off;",
        server="location /v2/x/ { oci second; oci_methods pull push; }",
        start=False)
    os.mkdir(n.store + "2")
    n.own(n.store + "2")
    n.start()
    c = n.client()
    c.push_image("x/a", "v1")
    c.push_image("a", "v1")
    assert os.listdir(n.path("repositories")) == ["a"]
    assert os.listdir(n.store + "2/repositories") == ["x"]


@pytest.mark.smoke
def test_starts_again(factory):
    """A second nginx on the same store, and content that stays."""
    n = factory()
    c = n.client()
    d = c.push_image("a", "v1")
    loc = c.start("a")
    ok(c.patch(loc, data=b"abc"), 202)
    c.close()
    m = factory(stores="oci_store %s zone=main:8m durable=off;" % n.store)
    k = m.client()
    assert k.manifest("a", "v1").headers["Docker-Content-Digest"] == d
    assert k.get(loc).headers["Range"] == "0-2"
    # both serve what the other one does
    one, two = k.index(annotations={"x": "1"}), k.index()
    ok(k.put_manifest("a", "v1", one, None), 201)
    assert c.manifest("a", "v1").content == one
    ok(c.put_manifest("a", "v1", two, None), 201)
    assert k.manifest("a", "v1").content == two
    ok(c.delete("/v2/a/manifests/v1"), 202)
    assert k.manifest("a", "v1").status_code == 404


def test_no_scan_at_start(factory):
    """Start and reload do not read the folders of repositories."""
    n = factory()
    c = n.client()
    for i in range(20):
        c.push("many/r%d" % i)
    trace = n.prefix + "/files/reload.trace"
    p = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-e", "trace=getdents64,openat",
         "-o", trace, "-p", str(n.master)],
        stderr=subprocess.PIPE)
    wait_for("strace", lambda: "TracerPid:\t0\n" not in open(
        "/proc/%d/status" % n.master, encoding="ascii").read())
    n.reload()
    c.close()
    assert c.get("/v2/").status_code == 200
    p.terminate()
    p.wait()
    with open(trace, encoding="utf-8", errors="replace") as f:
        text = f.read()
    assert "nginx.conf" in text
    assert "repositories/many" not in text


def test_read_only_store(factory):
    """A node that only serves what another one pushes."""
    writer = factory(mount_size="16m")
    c = writer.client()
    data = unique()
    d = c.push("a", data)
    c.push_image("a", "v1")
    reader = factory(start=False, methods="pull", mount_size="4k")
    subprocess.run(["mount", "--bind", writer.store, reader.store],
                   check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", reader.store],
                   check=True)
    try:
        reader.start()
        r = reader.client()
        assert r.blob("a", d).content == data
        assert r.manifest("a", "v1").content == c.manifest("a", "v1").content
        assert r.get("/v2/a/tags/list").json()["tags"] == ["v1"]
        e = c.push("a", unique())
        assert r.has("a", e)
        error(r.post("/v2/a/blobs/uploads/"), 405, "UNSUPPORTED")
    finally:
        reader.stop()
        subprocess.run(["umount", "-l", reader.store], check=False)
