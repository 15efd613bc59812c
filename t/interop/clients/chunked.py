"""zstd:chunked: of an image's new version only what changed is fetched, by
one request for many ranges.  What was asked for and how it was answered is
read from a log that says so."""

import hashlib
import os
import re
import shutil

from lab import Failed, need, same
from raw import Raw

PROGRAMS = ("podman", "skopeo")
LONG = True

T = "--tls-verify=false"
STEPS = 4096

LOCATION = "access_log logs/ranges.log ranges;"
FORMAT = ("log_format ranges '$request_method $status $body_bytes_sent $uri "
          "$http_range';")


def asked(lab, digest):
    """[(status, bytes, ranges)] of a blob's GETs."""
    out = []
    with open(os.path.join(lab.server.prefix, "logs", "ranges.log"),
              encoding="utf-8") as f:
        for line in f:
            method, status, size, uri, ranges = line.split()
            if method == "GET" and uri.endswith("/blobs/" + digest):
                out.append((int(status), int(size), ranges[6:].split(",")
                            if ranges != "-" else []))
    return out


def multipart(lab, uri, ranges):
    """The same once more, by hand: as many parts as ranges, in order."""
    with Raw(lab.server.addr) as raw:
        r = raw.request("GET", uri, ("Range", "bytes=" + ",".join(ranges)))
    same(r.status, 206, "the status")
    kind = r.get("Content-Type", "")
    need(kind.startswith("multipart/byteranges; boundary="), kind)
    parts = re.findall(rb"\r\nContent-Range: bytes (\d+-\d+)/\d+\r\n",
                       r.body)
    same([x.decode() for x in parts], ranges, "the parts")


class Tree:
    """A folder of many small files, and its new version: every other one
    has changed."""

    def __init__(self, lab, folder, count, size, at=None):
        """at: the Chroot whose podman it is."""
        self.lab = lab
        self.at = at or lab
        self.folder = folder
        self.size = size
        self.names = ["%05d" % i for i in range(count)]
        lab.write(folder + "/Containerfile",
                  "FROM scratch\nCOPY files /files\n")
        for name in self.names:
            self.renew(name)

    def renew(self, name):
        self.lab.write("%s/files/%s" % (self.folder, name),
                       os.urandom(self.size))

    def change(self):
        for name in self.names[::2]:
            self.renew(name)

    def push(self, name):
        """As zstd:chunked: the digest and the size of its one layer."""
        lab = self.lab
        folder = self.folder
        if self.at is not lab:
            folder = self.at.bring(folder, "tree")
        self.at.run("podman", "build", "-q", "-t", "localhost/tree", folder)
        # else it finds the layer there, compressed in another way
        shutil.rmtree(self.at.path("/var/lib/containers/cache")
                      if self.at is not lab else lab.path("lib", "cache"),
                      ignore_errors=True)
        self.at.run("podman", "push", "-q", T, "--compression-format",
                    "zstd:chunked", "localhost/tree", name)
        self.at.run("podman", "rmi", "-f", "-a")
        layer, = lab.json("skopeo", "inspect", "--raw", T,
                          "docker://" + name)["layers"]
        return layer["digest"], layer["size"]

    def compare(self, name):
        """What is in the storage against what was pushed."""
        at = self.at.run("podman", "image", "mount", name)
        if self.at is not self.lab:
            at = self.at.path(at)
        try:
            for n in self.names:
                with open("%s/files/%s" % (at, n), "rb") as f:
                    got = hashlib.sha256(f.read()).hexdigest()
                with open("%s/files/%s" % (self.folder, n), "rb") as f:
                    same(got, hashlib.sha256(f.read()).hexdigest(), n)
        finally:
            self.at.run("podman", "image", "unmount", name)


def run(lab):
    if not lab.overlay:
        with lab.row("podman", "zstd:chunked"):
            raise Failed("parts are pulled onto an overlay only")
    with lab.beside("the server of the ranges", location=LOCATION,
                    http=FORMAT):
        podman(lab)
        skopeo(lab)


def partial(lab, repository, layer, size, least):
    """The requests of a pull that had half of it already."""
    found = asked(lab, layer)
    counts = [(status, sent, len(ranges)) for status, sent, ranges in found]
    need(all(x[0] == 206 for x in counts), "not a 206: %s" % counts)
    need(any(x[2] >= least for x in counts), "ranges asked for: %s" % counts)
    need(sum(x[1] for x in counts) < 0.8 * size,
         "sent: %s of %d" % (counts, size))
    multipart(lab, "/v2/%s/blobs/%s" % (repository, layer),
              max((x[2] for x in found), key=len))


def podman(lab, client="podman", here=None):
    """here: the Chroot whose podman it is."""
    here = here or lab
    name = "podman" if here is lab else "podman5"
    tree = Tree(lab, lab.fresh("chunked-" + name), 2600, STEPS, here)
    old, new = ("%s/chunked/%s:v%d" % (lab.behind, name, i) for i in (1, 2))
    with lab.row(client, "push two versions as zstd:chunked"):
        tree.push(old)
        tree.change()
        layer, size = tree.push(new)
    at = "%s/chunked/%s:v" % (lab.registry, name)
    with lab.row(client, "zstd:chunked: the new version by one request "
                 "for many ranges"):
        here.run("podman", "pull", "-q", T, at + "1")
        here.run("podman", "pull", "-q", T, at + "2")
        partial(lab, "chunked/" + name, layer, size, 900)
        tree.compare(at + "2")
    here.run("podman", "rmi", "-f", "-a")


def skopeo(lab):
    tree = Tree(lab, lab.fresh("chunked-skopeo"), 200, STEPS)
    name = "%s/chunked/skopeo:v" % lab.behind
    tree.push(name + "1")
    tree.change()
    layer, size = tree.push(name + "2")
    at = lab.registry + "/chunked/skopeo:v"
    with lab.row("skopeo", "zstd:chunked: into podman's storage, by many "
                 "ranges"):
        for tag in ("1", "2"):
            status, _, said = lab.attempt(
                "skopeo", "--debug", "copy", "--src-tls-verify=false",
                "docker://" + at + tag, "containers-storage:" + at + tag)
            # it says why, where it falls back to the whole
            need(status == 0 and "Retrieved partial blob" in said, said)
        partial(lab, "chunked/skopeo", layer, size, 90)
        tree.compare(at + "2")
    lab.run("podman", "rmi", "-f", "-a")
