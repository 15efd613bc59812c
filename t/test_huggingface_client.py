"""oci_huggingface under the real huggingface_hub: what it downloads is what
was pushed, and what it is told is what it understands."""

import contextlib
import os
import re
import signal

import pytest

from edge import edge
from gate import wait_for
from hub import IMAGE, PATH, commit, push, tar_of
from huggingface import Line, Program, tree
from oci import desc, digest, dumps, ok

# most of what these take is the client's own: once is enough
pytestmark = pytest.mark.waits

LOG = ("log_format hub '$request_method $uri $status $http_range "
       "$body_bytes_sent';\naccess_log logs/hub.log hub;")
HUB = "location / { oci_huggingface main; }"
SERVER = dict(http=LOG, server=HUB)

FILES = {"config.json": b'{"model_type": "test"}',
         "README.md": b"# A model\n",
         "empty.txt": b"",
         "model.safetensors": os.urandom(3 << 20),
         "tokenizer/a b+c%.json": b"{}",
         "tokenizer/deep/vocab.bin": os.urandom(70000)}
CODE = {"src/run.py": b"print(1)\n", "src/data/table.bin": os.urandom(40000),
        "config.json": b"the layer behind it counts"}
BIG = "model.safetensors"

AI = "application/vnd.docker.ai."


@pytest.fixture(scope="module", params=["hf", "hf-old"])
def program(request):
    """The newest release, and the last but few of those before 1.0."""
    return Program(request.param)


@pytest.fixture
def either(program, server, tmp_path):
    return program.at(server.url, tmp_path / "hf")


@pytest.fixture
def hub(server, tmp_path):
    return Program("hf").at(server.url, tmp_path / "hf")


@pytest.fixture(scope="module")
def model(reg):
    """The digest of the manifest of Org/Model."""
    return push(reg, "org/model", FILES, "latest", "v1.0")


class Log:
    """What was asked of a server since then."""

    LINE = re.compile(r"^(\S+) (.*) (\d+) (\S+) (\d+)$")

    def __init__(self, n):
        self.path = n.path("..", "logs", "hub.log")
        self.seen = len(self._lines())

    def _lines(self):
        with open(self.path, encoding="utf-8") as f:
            return f.read().splitlines()

    def gets(self, name=""):
        """(status, Range, bytes of the body) of GETs of files."""
        found = []
        for line in self._lines()[self.seen:]:
            m = self.LINE.match(line)
            if (m.group(1) == "GET" and "/resolve/" in m.group(2)
                    and m.group(2).endswith(name)):
                found.append((int(m.group(3)), m.group(4), int(m.group(5))))
        return found


def test_snapshot(either, server, model):
    hub = either
    folder = hub.snapshot("Org/Model")
    assert tree(folder) == FILES
    assert os.path.basename(folder) == commit(model)

    # content is known by its sha256, the revision by its commit

    repo = os.path.dirname(os.path.dirname(folder))
    assert sorted(os.listdir(os.path.join(repo, "blobs"))) == sorted(
        digest(data)[7:] for data in FILES.values())
    with open(os.path.join(repo, "refs", "main"), encoding="ascii") as f:
        assert f.read() == commit(model)

    # all is here now, by whatever name it goes

    log = Log(server)
    assert hub.snapshot("Org/Model", revision="v1.0") == folder
    assert hub.snapshot("Org/Model", revision=commit(model)) == folder
    assert log.gets() == []


def test_transfer(reg, server, tmp_path):
    """hf_transfer asks for large files in many ranges at once."""
    files = {"config.json": b"{}", BIG: os.urandom(52 << 20)}
    push(reg, "org/fast", files, "latest")
    hub = Program("hf-old").at(server.url, tmp_path / "hf", transfer=True)
    log = Log(server)
    assert tree(hub.snapshot("org/fast")) == files
    parts = [size for status, _, size in log.gets(BIG) if status == 206]
    assert len(parts) > 5
    # one byte tells it how long the file is; no other comes twice
    assert sum(parts) == 1 + len(files[BIG])


def test_patterns_and_folder(hub, server, model, tmp_path):
    log = Log(server)
    folder = hub.snapshot("Org/Model", allow_patterns=["*.json"],
                          local_dir=str(tmp_path / "here"))
    assert tree(folder) == {n: d for n, d in FILES.items()
                            if n.endswith(".json")}
    assert len(log.gets()) == len(tree(folder))


def test_command(hub, model, tmp_path):
    out = hub.command("download", "Org/Model", "--local-dir",
                      str(tmp_path / "all"))
    assert str(tmp_path / "all") in out
    assert tree(tmp_path / "all") == FILES

    hub.command("download", "Org/Model", BIG, "--revision", "v1.0",
                "--local-dir", str(tmp_path / "one"))
    assert tree(tmp_path / "one") == {BIG: FILES[BIG]}


def test_verify(hub, model):
    """What is in the cache is checked against what the hub says of it."""
    folder = hub.snapshot("Org/Model")
    hub.command("cache", "verify", "Org/Model")
    with open(os.path.realpath(os.path.join(folder, BIG)), "r+b") as f:
        f.write(b"other")
    with pytest.raises(AssertionError, match=BIG):
        hub.command("cache", "verify", "Org/Model")


def test_tar(reg, hub):
    """A file in a tar is one as any other."""
    d = push(reg, "org/packed", {"config.json": b"{}"},
             tars=[tar_of(CODE), tar_of({"x" * 120 + "/y": b"1" * 513})])
    folder = hub.snapshot("org/packed")
    assert os.path.basename(folder) == commit(d)
    assert tree(folder) == dict(CODE, **{"x" * 120 + "/y": b"1" * 513})


def docker(reg, repo, version, layers):
    """Pushes a model as Docker's tools do: (media type, path, content)."""
    config = dumps({"config": {"format": "gguf"}, "version": version})
    reg.push(repo, config)
    for _, _, data in layers:
        reg.push(repo, data)
    ok(reg.put_manifest(repo, "latest", dumps({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": desc(config, AI + "model.config.%s+json" % version),
        "layers": [desc(data, AI + kind, **(
            {"annotations": {PATH: path}} if path else {}))
            for kind, path, data in layers]})), 201)


def test_docker(reg, hub):
    """Weights without a path, shards of them, and files with theirs."""
    one, two = os.urandom(100000), os.urandom(100000)
    docker(reg, "ai/one", "v0.1", [("gguf.v3", None, one),
                                   ("license", None, b"Free.")])
    assert tree(hub.snapshot("ai/one")) == {"model.gguf": one,
                                            "LICENSE": b"Free."}

    docker(reg, "ai/two", "v0.1", [
        ("safetensors", None, one), ("safetensors", None, two),
        ("vllm.config.tar", None, tar_of({"config.json": b"{}"}))])
    assert tree(hub.snapshot("ai/two")) == {
        "model-00001-of-00002.safetensors": one,
        "model-00002-of-00002.safetensors": two, "config.json": b"{}"}

    docker(reg, "ai/paths", "v0.2", [("model.file", path, data)
                                     for path, data in FILES.items()])
    assert tree(hub.snapshot("ai/paths")) == FILES


def test_moved_tag(reg, hub, server):
    """A snapshot follows the tag, and fetches what differs alone."""
    old = {"a": b"a" * 1000, "b": os.urandom(1000)}
    new = dict(old, b=os.urandom(1000))
    one = push(reg, "org/moves", old)
    assert tree(hub.snapshot("org/moves")) == old
    two = push(reg, "org/moves", new)
    log = Log(server)
    folder = hub.snapshot("org/moves")
    assert os.path.basename(folder) == commit(two)
    assert tree(folder) == new
    assert [n for _, _, n in log.gets()] == [1000]
    assert tree(hub.snapshot("org/moves", revision=commit(one))) == old


ERRORS = [
    ("hub.hf_hub_download('org/none', 'x')", "RepositoryNotFoundError"),
    ("hub.hf_hub_download('Org/Model', 'none')", "EntryNotFoundError"),
    ("hub.hf_hub_download('Org/Model', 'x', revision='none')",
     "RevisionNotFoundError"),
    ("hub.hf_hub_download('Org/Model', 'x', revision='refs/pr/1')",
     "RevisionNotFoundError"),
    ("hub.hf_hub_download('Org/Model', 'x', revision='0' * 40)",
     "RevisionNotFoundError"),
    ("hub.snapshot_download('org/none')", "RepositoryNotFoundError"),
    ("hub.snapshot_download('Org/Model', revision='none')",
     "RevisionNotFoundError"),
    ("hub.model_info('org/none')", "RepositoryNotFoundError"),
    ("list(hub.HfApi().list_repo_tree('Org/Model', 'none'))",
     "EntryNotFoundError"),
    ("hub.HfApi().dataset_info('Org/Model')", "RepositoryNotFoundError")]


def test_errors(either, model):
    """Each is the exception by which callers go on, or give up."""
    got = either.run("""
names = []
for code in args["codes"]:
    try:
        eval(code)
        names.append(None)
    except Exception as e:
        names.append(type(e).__name__)
print(json.dumps(names))
""", codes=[code for code, _ in ERRORS])
    for (code, name), found in zip(ERRORS, got):
        assert found in (name, "Remote" + name), code


def test_absence_is_remembered(hub, model):
    """Of a file that may be there it is known that this commit has none."""
    assert hub.run("""
try:
    hub.hf_hub_download("Org/Model", "none.json")
except hub.errors.EntryNotFoundError:
    pass
found = hub.try_to_load_from_cache("Org/Model", "none.json")
print(json.dumps(found is hub._CACHED_NO_EXIST))
""") is True


def test_api(either, model):
    got = either.run("""
api = hub.HfApi()
info = api.model_info("Org/Model", files_metadata=True)
refs = api.list_repo_refs("Org/Model", include_pull_requests=True)
paths = api.get_paths_info("Org/Model", ["tokenizer", "README.md", "none"],
                           expand=True)
top = list(api.list_repo_tree("Org/Model"))
print(json.dumps({
    "id": info.id, "sha": info.sha, "modified": str(info.last_modified),
    "files": {s.rfilename: [s.size, s.lfs.sha256] for s in info.siblings},
    "list": api.list_repo_files("Org/Model", revision="v1.0"),
    "refs": [[r.name, r.target_commit] for r in refs.branches + refs.tags],
    "pulls": refs.pull_requests,
    "top": [[type(e).__name__, e.path] for e in top],
    "paths": [[type(e).__name__, e.path, e.last_commit.oid] for e in paths],
    "exists": [api.repo_exists("Org/Model"), api.repo_exists("org/none"),
               api.file_exists("Org/Model", "README.md"),
               api.file_exists("Org/Model", "none"),
               api.revision_exists("Org/Model", "v1.0"),
               api.revision_exists("Org/Model", "v2.0")],
    "commits": [c.commit_id for c in api.list_repo_commits("Org/Model")]}))
""")
    sha = commit(model)
    assert (got["id"], got["sha"]) == ("Org/Model", sha)
    assert got["modified"].startswith("20")
    assert got["files"] == {n: [len(d), digest(d)[7:]]
                            for n, d in FILES.items()}
    assert sorted(got["list"]) == sorted(FILES)
    assert ["main", sha] in got["refs"] and ["v1.0", sha] in got["refs"]
    assert got["pulls"] == []
    assert sorted(got["top"]) == sorted(
        [["RepoFolder", "tokenizer"]]
        + [["RepoFile", n] for n in FILES if "/" not in n])
    assert sorted(got["paths"]) == [["RepoFile", "README.md", sha],
                                    ["RepoFolder", "tokenizer", sha]]
    assert got["exists"] == [True, False] * 3
    assert got["commits"] == [sha]


def test_file_system(hub, model):
    """Ranges in the middle of files, as fsspec reads them."""
    got = hub.run("""
fs = hub.HfFileSystem()
with fs.open("Org/Model/model.safetensors", block_size=65536) as f:
    f.seek(1000000)
    middle = f.read(1000).hex()
    f.seek(-10, 2)
    last = f.read().hex()
print(json.dumps({
    "ls": fs.ls("Org/Model/tokenizer", detail=False),
    "find": sorted(fs.find("Org/Model")),
    "sizes": [fs.info("Org/Model/README.md")["size"],
              fs.info("Org/Model@v1.0/empty.txt")["size"]],
    "middle": middle, "last": last,
    "text": fs.read_text("Org/Model/tokenizer/a b+c%.json")}))
""")
    assert sorted(got["ls"]) == ["Org/Model/tokenizer/a b+c%.json",
                                 "Org/Model/tokenizer/deep"]
    assert got["find"] == sorted("Org/Model/" + n for n in FILES)
    assert got["sizes"] == [len(FILES["README.md"]), 0]
    assert bytes.fromhex(got["middle"]) == FILES[BIG][1000000:1001000]
    assert bytes.fromhex(got["last"]) == FILES[BIG][-10:]
    assert got["text"] == "{}"


@pytest.fixture
def line(server):
    relay = Line(server.addr)
    yield relay
    relay.stop()


def rest_of(log, size):
    """What was fetched first, and then all that was missing: where from."""
    wait_for("both answers to be over", lambda: len(log.gets("big.bin")) == 2)
    first, rest = log.gets("big.bin")
    assert first[:2] == (200, "-")
    assert rest[0] == 206
    start = int(re.fullmatch(r"bytes=(\d+)-", rest[1]).group(1))
    assert rest[2] == size - start
    return start


@pytest.mark.parametrize("packed", [False, True])
def test_cut(reg, program, server, line, tmp_path, packed):
    """A broken connection: what is missing is fetched, and nothing else."""
    data = os.urandom(24 << 20)
    name = "org/cut" + str(packed).lower()
    push(reg, name, {} if packed else {"big.bin": data},
         tars=[tar_of({"small": b"1", "big.bin": data})] if packed else [])
    hub = program.at(line.url, tmp_path)
    log = Log(server)
    line.cut(16 << 20)
    if program.name == "hf-old":        # it gives up, and goes on when told
        assert hub.error("hub.snapshot_download(**args)", repo_id=name) \
            == "ChunkedEncodingError"
    assert tree(hub.snapshot(name))["big.bin"] == data
    assert line.cuts == 1
    assert 0 < rest_of(log, len(data)) <= 16 << 20


def test_killed(reg, program, server, line, tmp_path):
    """Another process goes on with what the killed one left."""
    data = {"small-%d" % i: os.urandom(100) for i in range(8)}
    data["big.bin"] = os.urandom(24 << 20)
    push(reg, "org/killed", data)
    hub = program.at(line.url, tmp_path)

    def sizes(name=""):
        found = []
        for top, _, names in os.walk(tmp_path):
            for n in names:
                # one that is whole by now has another name
                with contextlib.suppress(FileNotFoundError):
                    if n.startswith(name):
                        found.append(os.stat(os.path.join(top, n)).st_size)
        return found

    log = Log(server)
    line.hold(12 << 20)
    p = hub.start("hub.snapshot_download(**args)", repo_id="org/killed")
    try:
        wait_for("a part of a file", lambda: max(sizes(), default=0)
                 >= 10 << 20, 60)
        wait_for("the small files", lambda: sizes("small-") == [100] * 8)
    finally:
        p.send_signal(signal.SIGKILL)
        p.communicate()
        line.release()
    wait_for("the end of its request", lambda: log.gets("big.bin"))

    assert tree(hub.snapshot("org/killed")) == data
    assert len(log.gets("small-0")) == 1
    if program.name == "hf-old":
        assert rest_of(log, len(data["big.bin"])) >= 10 << 20
    else:               # which keeps no part of a file, by design
        wait_for("the end of the second", lambda: log.gets("big.bin")[1:] == [
            (200, "-", len(data["big.bin"]))])


def test_edge(hub, factory, reg, model, tmp_path):
    """Through an edge that has none of it yet, and again from there."""
    n = edge(factory, reg.nginx.url, http=LOG, server="""
        location / { oci_huggingface main; oci_pass %s; }
        """ % reg.nginx.url)
    d = push(reg, "org/tarred", {"one": b"1"}, tars=[tar_of(CODE)])
    for home in ("cold", "warm"):
        there = Program("hf").at(n.url, tmp_path / home)
        assert tree(there.snapshot("Org/Model")) == FILES
        assert tree(there.snapshot("org/tarred", revision=commit(d))) \
            == dict(CODE, one=b"1")
