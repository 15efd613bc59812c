"""What every client's rows share: programs, servers, rows, layouts."""

import contextlib
import hashlib
import json
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
T = os.path.dirname(HERE)
ROOT = os.path.dirname(T)

LIMIT = 600         # seconds that one command may take


class Failed(Exception):
    """An operation that did not do what it should."""


class NotThere(Exception):
    """An operation that what is behind does not know."""


def need(condition, text):
    if not condition:
        raise Failed(text)


def same(got, wanted, what):
    if got != wanted:
        raise Failed("%s: got %.300r, not %.300r" % (what, got, wanted))


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return "sha256:" + h.hexdigest()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


class Row:
    """result: ok, FAIL or -, which is for what the set-up cannot do."""

    def __init__(self, client, operation, setup):
        self.client = client
        self.operation = operation
        self.setup = setup
        self.result = "ok"
        self.why = ""
        self.seconds = 0.0


class Lab:
    """One run: a folder for everything, the rows so far, the servers."""

    def __init__(self, folder, quick, tools):
        self.folder = folder
        self.quick = quick
        self.tools = tools
        self.rows = []
        self.servers = []
        self.env = dict(os.environ)
        self.setup = None
        self.lacks = {}

    # ---- the set-up

    @property
    def server(self):
        """The nginx that the clients talk to."""
        return self.setup.server

    @property
    def registry(self):
        """Its HOST:PORT."""
        return self.setup.registry

    @property
    def behind(self):
        """HOST:PORT of what stands behind the edge; in the set-up "origin"
        the registry itself."""
        return self.setup.upstream

    @contextlib.contextmanager
    def beside(self, what, prepare=None, **knobs):
        """
        Another server of the set-up that the lab is in, before the same
        thing, for as long as the block: see setups.Setup for the knobs.
        prepare(nginx) is called before it starts.
        """
        main = self.setup
        other = type(main)(self, main.name, main.behind, **knobs)
        if prepare:
            prepare(other.server)
        other.start()
        self.setup = other
        try:
            yield other
        finally:
            self.setup = main
            other.stop(what)

    def wants(self, feature):
        """Ends a row where what is behind lacks this: setups.LACKS."""
        why = self.lacks.get(feature)
        if why:
            raise NotThere(why)

    # ---- files

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def work(self, *parts):
        """A path below the folder of this set-up."""
        name = self.setup.name if self.setup else "first"
        return self.path("work", name, *parts)

    def fresh(self, name):
        """An empty folder there."""
        path = self.work(name)
        os.makedirs(path)
        return path

    def write(self, path, data):
        if isinstance(data, str):
            data = data.encode()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    # ---- programs

    def program(self, name):
        return self.tools.get(name, name)

    def attempt(self, *command, data=None, env=None, cwd=None):
        """Runs a command: (status, output, what it said)."""
        command = [self.program(command[0])] + [str(x) for x in command[1:]]
        if isinstance(data, str):
            data = data.encode()
        try:
            p = subprocess.run(
                command, env=dict(self.env, **(env or {})),
                cwd=cwd or self.path("work"), timeout=LIMIT,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                **({"stdin": subprocess.DEVNULL} if data is None
                   else {"input": data}))
        except subprocess.TimeoutExpired:
            raise Failed("%s: no end after %d s"
                         % (" ".join(command), LIMIT)) from None
        return p.returncode, p.stdout, p.stderr.decode(errors="replace")

    def raw(self, *command, **kw):
        """Runs a command that must succeed; its output, as bytes."""
        status, out, err = self.attempt(*command, **kw)
        if status != 0:
            raise Failed("%s: exit status %d\n%s" % (
                " ".join(str(x) for x in command), status,
                (out.decode(errors="replace")[-1500:] + err[-2500:]).strip()))
        return out

    def run(self, *command, **kw):
        return self.raw(*command, **kw).decode(errors="replace").strip()

    def json(self, *command, **kw):
        out = self.raw(*command, **kw)
        try:
            return json.loads(out)
        except ValueError:
            raise Failed("%s: no JSON: %.500r" % (command, out)) from None

    def refused(self, *command, says, **kw):
        """Runs a command that must fail, and for the reason given."""
        status, out, err = self.attempt(*command, **kw)
        text = out.decode(errors="replace") + err
        words = (says,) if isinstance(says, str) else says
        if status == 0:
            raise Failed("%s: should have failed"
                         % " ".join(str(x) for x in command))
        if not any(w.lower() in text.lower() for w in words):
            raise Failed("%s: failed, but not with %s: %s" % (
                " ".join(str(x) for x in command), words, text[-1500:]))

    # ---- rows

    @contextlib.contextmanager
    def row(self, client, operation):
        setup = self.setup.name if self.setup else "origin"
        row = Row(client, operation, setup)
        start = time.monotonic()
        marks = [(s, len(self.access(s))) for s in self.servers]
        try:
            yield
        except NotThere as e:
            row.result, row.why = "-", str(e)
        except Exception as e:      # one bad row must not hide the others
            row.result = "FAIL"
            row.why = "%s%s" % ("" if isinstance(e, (Failed, AssertionError))
                                else type(e).__name__ + ": ", e)
        row.seconds = time.monotonic() - start
        self.rows.append(row)
        print("%-4s %-9s  %s: %s (%.1f s)%s" % (
            row.result, setup, client, operation, row.seconds,
            " " + row.why if row.result == "-" else ""), flush=True)
        if row.result == "FAIL":
            print("     " + row.why.replace("\n", "\n     "))
            for server, mark in marks:
                for line in self.access(server)[mark:][-12:]:
                    print("     > " + line[:300])
            print(flush=True)

    # ---- servers

    @staticmethod
    def access(server):
        try:
            with open(os.path.join(server.prefix, "logs", "access.log"),
                      encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()
        except OSError:
            return []

    def stop(self, server, name):
        with self.row("nginx", "nothing in the log of %s" % name):
            self.servers.remove(server)
            server.stop()


# ---- OCI layouts

def blob_path(layout, d):
    return os.path.join(layout, "blobs", *d.split(":"))


def blobs(layout):
    """Digest to size of every blob, each one hashed again."""
    found = {}
    folder = os.path.join(layout, "blobs", "sha256")
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        same(sha256(path), "sha256:" + name, "a blob of " + layout)
        found["sha256:" + name] = os.path.getsize(path)
    return found


def heads(layout):
    """The digests that index.json names."""
    return [m["digest"] for m in
            load(os.path.join(layout, "index.json"))["manifests"]]


def same_layout(got, wanted):
    same(sorted(heads(got)), sorted(heads(wanted)), "the manifest's digest")
    a, b = blobs(got), blobs(wanted)
    need(a == b, "the blobs differ: only here %s, only there %s" % (
        sorted(set(a) - set(b)), sorted(set(b) - set(a))))


class Layout:
    """Writes an OCI layout by hand."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "blobs", "sha256"))
        with open(os.path.join(folder, "oci-layout"), "w",
                  encoding="ascii") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def add(self, data, media_type, **more):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        d = digest(data)
        with open(blob_path(self.folder, d), "wb") as f:
            f.write(data)
        return dict({"mediaType": media_type, "digest": d,
                     "size": len(data)}, **more)

    def finish(self, *descriptors):
        with open(os.path.join(self.folder, "index.json"), "w",
                  encoding="ascii") as f:
            json.dump({"schemaVersion": 2, "manifests": descriptors}, f)
        return self.folder
