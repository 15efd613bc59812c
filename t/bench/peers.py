"""Other registries: CNCF distribution, and zot where a program is named."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import nginx as ngx
import programs
import servers
from rounds import say

ROOT = ngx.ROOT


def distribution(quick):
    """
    The program: version 3 as t/tools.sh builds it, else Debian's.  The short
    form takes Debian's where it is there, and does not wait for a compiler.
    """
    debian = [p for p in (
        shutil.which("docker-registry"),
        os.path.join(ROOT, "build/deb/docker-registry/usr/bin",
                     "docker-registry")) if p and os.path.exists(p)]
    if quick and debian:
        return debian[0]
    p = subprocess.run([os.path.join(ROOT, "t", "tools.sh"), "registry"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode == 0:
        return p.stdout.split()[-1]
    say("distribution v3 could not be built: " + p.stderr.strip()[-300:])
    if debian:
        return debian[0]
    raise programs.BenchError("no distribution to compare with: "
                              ".ci/install.sh bench brings one")


class Peer:
    """One process with a store of its own."""

    label = ""

    def __init__(self, program, tls=False):
        self.program = program
        self.tls = tls
        self.mounted = None
        self.folder = tempfile.mkdtemp(prefix="oci-peer-", dir="/tmp")
        self.store = os.path.join(self.folder, "store")
        os.mkdir(self.store)
        self.number = ngx.free_port()
        config = os.path.join(self.folder, "config")
        with open(config, "w", encoding="utf-8") as f:
            json.dump(self.config(), f)         # which is YAML too
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [program, "serve", config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
                cwd=self.folder, env=dict(
                    os.environ, OTEL_TRACES_EXPORTER="none"))
        try:
            ngx.wait_for(self.label, self.up, 30)
        except AssertionError as e:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                text = f.read()[-2000:]
            self.stop()
            raise programs.BenchError("%s does not serve: %s"
                                      % (program, text)) from e

    def up(self):
        if self.proc.poll() is not None:
            raise AssertionError("it has ended")
        try:
            socket.create_connection(("127.0.0.1", self.number), 1).close()
            return True
        except OSError:
            return False

    def port(self, name="main"):
        assert (name == "tls") == self.tls
        return self.number

    def pids(self):
        return [self.proc.pid]

    @property
    def pid(self):
        return self.proc.pid

    def version(self):
        p = subprocess.run([self.program, "--version"], text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
        words = [w.lstrip("v").partition("+")[0] for w in p.stdout.split()
                 if w[:1] in "v0123456789" and "." in w]
        return words[-1] if words else "?"

    def stop(self):
        try:
            os.killpg(self.proc.pid, signal.SIGTERM)
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        except ProcessLookupError:
            pass
        if self.mounted:
            subprocess.run(["umount", "-l", self.mounted], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self, name, digest):
        """The disk's room is given back, where that can be."""


class Distribution(Peer):
    label = "distribution"

    def config(self):
        http = {"addr": "127.0.0.1:%d" % self.number,
                "secret": hashlib.sha256(os.urandom(16)).hexdigest()}
        if self.tls:
            cert, key = servers.certificate()
            http["tls"] = {"certificate": cert, "key": key}
        return {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": self.store},
                "cache": {"blobdescriptor": "inmemory"},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}}},
            "http": http}

    def path(self, *parts):
        return os.path.join(self.store, "docker/registry/v2", *parts)

    def forget(self, name, digest):
        shutil.rmtree(self.path("repositories", name), ignore_errors=True)
        shutil.rmtree(self.path("blobs/sha256", digest[:2], digest),
                      ignore_errors=True)

    def tags(self, name, tags, digest):
        """Tags of a manifest that it has already, without asking it."""
        source = self.path("repositories", servers.NAME,
                           "_manifests/revisions")
        base = self.path("repositories", name, "_manifests")
        os.makedirs(base)
        if os.geteuid() == 0:
            # so many folders: in memory, to be made and gone in seconds
            subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=0",
                            "oci-bench", base], check=True)
            self.mounted = base
        shutil.copytree(source, os.path.join(base, "revisions"))
        for tag in tags:
            folder = os.path.join(base, "tags", tag, "current")
            os.makedirs(folder)
            with open(os.path.join(folder, "link"), "w",
                      encoding="ascii") as f:
                f.write(digest)


class Zot(Peer):
    label = "zot"

    def config(self):
        http = {"address": "127.0.0.1", "port": str(self.number)}
        if self.tls:
            cert, key = servers.certificate()
            http["tls"] = {"cert": cert, "key": key}
        return {"storage": {"rootDirectory": self.store, "gc": False},
                "http": http, "log": {"level": "error"}}


class Peers:
    """Those that there are, started when first asked for."""

    def __init__(self, quick):
        self.kinds = {"distribution": (Distribution, distribution(quick))}
        zot = os.environ.get("ZOT", "")
        if zot:
            if shutil.which(zot) is None:
                raise programs.BenchError("ZOT=%s is not a program" % zot)
            self.kinds["zot"] = (Zot, os.path.abspath(shutil.which(zot)))
        self.running = {}

    def get(self, tls=False):
        """name -> peer"""
        for name, (kind, program) in self.kinds.items():
            if (name, tls) not in self.running:
                self.running[name, tls] = kind(program, tls)
        return {name: self.running[name, tls] for name in self.kinds}

    def describe(self):
        return ", ".join("%s %s" % (n, self.get()[n].version())
                         for n in self.kinds)

    def stop(self):
        for p in self.running.values():
            p.stop()
