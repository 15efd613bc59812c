"""
A pull by containerd over a slow link: an uncompressed layer of weights, in a
network namespace of its own, behind a token bucket.
"""

import ctypes
import hashlib
import http.client
import json
import os
import platform
import re
import signal
import subprocess
import tarfile
import time

import programs
import servers
from gate import wait_for
from proc import cpu
from rounds import interleave, say
from stats import column, half_width, median, ratios

MBIT = 200
ADDRESS = "192.0.2.1"           # for documentation: nobody's
NEWNET = 0x40000000
ROUNDS = int(os.environ.get("ROUNDS") or 3)
NAME = "bench/weights"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
PORTS = {"plain": 5000, "zstd": 5001, "stock": 5002}

CONTAINERD = """\
version = 3
root = "%(folder)s/root"
state = "%(folder)s/state"
disabled_plugins = ["io.containerd.cri.v1.images",
                    "io.containerd.cri.v1.runtime",
                    "io.containerd.grpc.v1.cri",
                    "io.containerd.internal.v1.opt",
                    "io.containerd.nri.v1.nri",
                    "io.containerd.snapshotter.v1.btrfs",
                    "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "%(folder)s/socket"
"""


def run(*command, **kw):
    p = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, check=False, **kw)
    if p.returncode:
        raise programs.BenchError("%s: %s" % (" ".join(p.args), p.stdout))
    return p.stdout


def tools():
    """The paths of containerd and ctr; of what may have to be built."""
    out = run(os.path.join(os.path.dirname(programs.HERE), "tools.sh"),
              "containerd", "ctr")
    return out.splitlines()[-2:]


class Link:
    """
    What this thread starts from now on lives in one new network namespace,
    what inside() starts in another; between the two so many Mbit/s.
    """

    def __init__(self, mbit):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.holder = None
        if self.libc.unshare(NEWNET):
            raise programs.BenchError("a network namespace: "
                                      + os.strerror(ctypes.get_errno()))
        try:
            self.make(mbit)
        except BaseException:
            self.close()
            raise

    def make(self, mbit):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        own = os.readlink("/proc/thread-self/ns/net")
        wait_for("the other namespace", lambda: os.readlink(
            "/proc/%d/ns/net" % self.holder.pid) != own)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "near", "type", "veth", "peer", "name",
            "far", "netns", self.holder.pid)
        run("ip", "addr", "add", ADDRESS + "/24", "dev", "near")
        run("ip", "link", "set", "near", "up")
        run("tc", "qdisc", "add", "dev", "near", "root", "tbf", "rate",
            "%dmbit" % mbit, "burst", "128kb", "latency", "50ms")
        for command in (("link", "set", "lo", "up"),
                        ("addr", "add", "192.0.2.2/24", "dev", "far"),
                        ("link", "set", "far", "up")):
            run(*self.inside("ip", *command))

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n"] + [
            str(c) for c in command]

    def sent(self):
        """Bytes so far, of all layers of the network."""
        text = run("ip", "-s", "-j", "link", "show", "dev", "near")
        return json.loads(text)[0]["stats64"]["tx"]["bytes"]

    def close(self):
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        self.libc.setns(self.home, NEWNET)
        os.close(self.home)


class Layer:
    """A tar of one file of weights, and the image that is all of it."""

    def __init__(self, folder, size):
        self.size = size
        self.path = os.path.join(folder, "layer.tar")
        self.digest = "sha256:" + self.write()
        self.config = json.dumps({
            "architecture": MACHINES[platform.machine()], "os": "linux",
            "config": {}, "rootfs": {"type": "layers",
                                     "diff_ids": [self.digest]}}).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": servers.MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(self.config),
                       "digest": digest(self.config)},
            "layers": [{"mediaType": LAYER, "size": size,
                        "digest": self.digest}]}).encode()

    def write(self):
        info = tarfile.TarInfo("model.bf16")
        # the header before, and two empty blocks behind it
        info.size = self.size - 3 * 512
        sha = hashlib.sha256()
        p = subprocess.Popen(
            [os.path.join(programs.BUILD, "weights"), str(info.size)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with p, open(self.path, "wb") as f:
            for piece in self.pieces(info, p):
                sha.update(piece)
                f.write(piece)
        if p.returncode:
            raise programs.BenchError("weights: %d" % p.returncode)
        return sha.hexdigest()

    @staticmethod
    def pieces(info, p):
        yield info.tobuf()
        yield from iter(lambda: p.stdout.read(1 << 20), b"")
        yield bytes(1024)

    def push(self, port):
        with open(self.path, "rb") as f:
            self.blob(port, self.digest, f, self.size)
        self.blob(port, digest(self.config), self.config, len(self.config))
        servers.put(port, "/v2/%s/manifests/v1" % NAME, self.manifest)

    @staticmethod
    def blob(port, name, body, size):
        c = http.client.HTTPConnection("127.0.0.1", port)
        c.request("POST", "/v2/%s/blobs/uploads/" % NAME)
        r = c.getresponse()
        r.read()
        at = r.getheader("Location")
        c.request("PUT", "%s%sdigest=%s" % (at, "&" if "?" in at else "?",
                                            name), body,
                  {"Content-Length": str(size),
                   "Content-Type": "application/octet-stream"})
        r = c.getresponse()
        if r.status != 201:
            raise programs.BenchError("PUT of a blob: %s" % r.read())
        c.close()

    def files(self, server, root):
        """The same as files below root: of the layer the same inode."""
        for kind in ("manifests", "blobs"):
            os.makedirs(os.path.join(root, "v2", NAME, kind))
        at = os.path.join(root, "v2", NAME)
        for path, data in (("manifests/v1", self.manifest),
                           ("manifests/" + digest(self.manifest),
                            self.manifest),
                           ("blobs/" + digest(self.config), self.config)):
            with open(os.path.join(at, path), "wb") as f:
                f.write(data)
        os.link(stored(server, "blobs", self.digest),
                os.path.join(at, "blobs", self.digest))


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def stored(server, room, name):
    hexa = name.partition(":")[2]
    return server.path(room, "sha256", hexa[:2], hexa)


class Containerd:
    def __init__(self, link, folder):
        os.makedirs(folder)
        containerd, ctr = tools()
        self.link = link
        self.folder = folder
        self.ctr = link.inside(ctr, "-a", folder + "/socket")
        with open(folder + "/config.toml", "w", encoding="ascii") as f:
            f.write(CONTAINERD % {"folder": folder})
        with open(folder + "/log", "wb") as log:
            self.proc = subprocess.Popen(
                link.inside(containerd, "-c", folder + "/config.toml"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for("containerd", lambda: self.proc.poll() is not None
                     or os.path.exists(folder + "/socket"), 30)
            self.version = re.search(r"Version: +v?([0-9.]+)", run(
                *self.ctr, "version")).group(1)
        except BaseException:
            self.stop()
            raise

    def pull(self, port):
        """Seconds; unpacking comes after it, and is the same for all."""
        image = "%s:%d/%s:v1" % (ADDRESS, port, NAME)
        start = time.monotonic()
        run(*self.ctr, "content", "fetch", "--plain-http", image)
        took = time.monotonic() - start
        run(*self.ctr, "images", "rm", "--sync", image)
        return took

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(20)


def origin(how, zstd="", **knobs):
    return servers.Server(
        "listen %s:%d; location /v2/ { oci main; oci_methods pull push delete;"
        " oci_thread_pool oci; %s }" % (ADDRESS, PORTS[how], zstd),
        load=True, main="thread_pool oci threads=8;",
        stores="oci_store @STORE@ zone=main:8m durable=off;", **knobs)


def static(root):
    return servers.Server(
        "listen %s:%d; location /v2/ { root %s; default_type %s; }"
        % (ADDRESS, PORTS["stock"], root, servers.MANIFEST))


def pulled(link, client, server, port, size):
    pids = server.pids()
    sent, before = link.sent(), sum(map(cpu, pids))
    took = client.pull(port)
    cost = sum(map(cpu, pids)) - before
    return {"rate": took, "cost": cost * (1 << 30) / size,
            "wire": (link.sent() - sent) / size}


def compressed(link, client, server, layer):
    """Who asks first gets it as it is; what is made then, and how fast."""
    before = cpu(server.pid)
    client.pull(PORTS["zstd"])
    at = stored(server, "zstd", layer.digest)
    wait_for("the companion", lambda: os.path.exists(at), 600)
    say("the companion: %.3f of the layer, %.1f s of CPU with that pull"
        % (os.path.getsize(at) / layer.size, cpu(server.pid) - before))
    return os.path.getsize(at) / layer.size


def measure(report, quick):
    size = (64 if quick else 1024) * servers.MIB
    link = Link(MBIT)
    up = []
    try:
        plain = origin("plain")
        up.append(plain)
        layer = Layer(plain.path("..", "files"), size)
        layer.push(plain.port())
        os.unlink(layer.path)
        root = plain.path("..", "files", "root")
        layer.files(plain, root)
        up.append(static(os.path.abspath(root)))
        zstd = origin("zstd", "oci_zstd on;", start=False)
        zstd.store = plain.store
        up.append(zstd.start())
        client = Containerd(link, plain.path("..", "files", "containerd"))
        up.append(client)
        left = compressed(link, client, zstd, layer)

        def one(name, server):
            return lambda: pulled(link, client, server, PORTS[name], size)

        rounds = interleave("pull", 1 if quick else ROUNDS, {
            "zstd": one("zstd", zstd), "plain": one("plain", plain),
            "stock": one("stock", up[1])})
        rows(report, "containerd %s pulls %d MiB of weights at %d Mbit/s"
             % (client.version, size // servers.MIB, MBIT), rounds, left,
             quick)
    finally:
        for s in reversed(up):
            s.stop()
        link.close()


def rows(report, work, rounds, left, quick):
    # two that send the same file differ by so much

    def row(key, unit, other, word, at_most):
        each = ratios(rounds, "zstd", other, key)
        report.row(work, unit, median(column(rounds, "zstd", key)),
                   median(column(rounds, other, key)), word, median(each),
                   half=half_width(ratios(rounds, "plain", "stock", key)),
                   at_most=at_most, judged=not quick)

    # what is not the link's, a beginning and an end, stays as it is
    row("rate", "s", "plain", "zstd off", left + 0.03)
    row("wire", "bytes sent / size", "plain", "zstd off", left + 0.01)
    row("cost", "CPU s per GiB", "plain", "zstd off", 1.0)
    row("cost", "CPU s per GiB", "stock", "nginx static", 1.0)
