"""The stargz snapshotter under containerd: an image is mounted before its
layers are here, and what is read of it comes by ranges."""

import json
import os
import signal
import subprocess
import tarfile

import engine
import images
from engine import Containerd
from gate import wait_for
from lab import Failed, Layout, need, same, sha256

from . import chunked

TOOLS = engine.TOOLS + ("stargz",)
PROGRAMS = ("crun", "skopeo")
LONG = True
NOTES = {"stargz": "The snapshotter's packages in a process of ours (its "
         "command is in a module that the proxy has not), under containerd."}

OCI = images.OCI
TOC = "containerd.io/snapshot/stargz/toc.digest"

PLUGIN = """
[proxy_plugins.stargz]
  type = "snapshot"
  address = "%(at)s/socket"
[proxy_plugins.stargz.exports]
  root = "%(at)s/root"
  enable_remote_snapshot_annotations = "true"

[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/amd64"
  snapshotter = "stargz"
  differ = "walking"
"""

# only what is read is fetched
CONFIG = {"noprefetch": True, "no_background_fetch": True,
          "no_prometheus": True}


class Snapshotter:
    """The process, for a block."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        self.config = lab.write(folder + "/config.json", json.dumps(CONFIG))
        self.proc = None

    def __enter__(self):
        with open(self.folder + "/log", "ab") as log:
            self.proc = subprocess.Popen(
                [self.lab.program("stargz"), "serve",
                 self.folder + "/socket", self.folder + "/root",
                 self.config], env=self.lab.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        wait_for("the snapshotter", lambda: self.proc.poll() is not None
                 or os.path.exists(self.folder + "/socket"), 30)
        if self.proc.poll() is not None:
            with open(self.folder + "/log", encoding="utf-8") as f:
                raise Failed("the snapshotter does not start:\n"
                             + f.read()[-2000:])
        return self

    def __exit__(self, *args):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()


def content(lab, folder):
    """What is in the image: the program, its word, some larger files."""
    os.makedirs(folder + "/bin")
    lab.write(folder + ".c", images.PROGRAM)
    lab.run("gcc", "-O2", "-static", "-o", folder + "/bin/say",
            folder + ".c")
    lab.write(folder + "/word", lab.word)
    for i in range(16):
        lab.write("%s/data/%02d" % (folder, i), os.urandom(1 << 20))
    return folder


def layout(lab, folder, root):
    """The image of it, with one eStargz layer: (layout, descriptor)."""
    with tarfile.open(folder + "/tar", "w") as tar:
        tar.add(root, arcname=".")
    made = lab.json("stargz", "build", folder + "/tar", folder + "/layer")
    os.unlink(folder + "/tar")
    with open(folder + "/layer", "rb") as f:
        data = f.read()
    out = Layout(folder + "/layout")
    layer = out.add(data, OCI + "layer.v1.tar+gzip",
                    annotations={TOC: made["toc"]})
    config = out.add(
        {"architecture": "amd64", "os": "linux",
         "config": {"Entrypoint": ["/bin/say"]},
         "rootfs": {"type": "layers", "diff_ids": [made["diff"]]}},
        OCI + "config.v1+json")
    out.finish(out.add(
        {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
         "config": config, "layers": [layer]}, OCI + "manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": "v1"}))
    return out.folder, layer


def run(lab):
    if not lab.overlay:
        with lab.row("stargz", "lazy pull"):
            raise Failed("it mounts on an overlay only")
    folder = lab.fresh("stargz")
    root = content(lab, folder + "/content")
    image, layer = layout(lab, folder, root)
    at = folder + "/snapshotter"
    with lab.beside("the server of the ranges", location=chunked.LOCATION,
                    http=chunked.FORMAT), Snapshotter(lab, at), \
            Containerd(lab, folder + "/containerd",
                       more=PLUGIN % {"at": at}) as c:
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-tls-verify=false", "oci:%s:v1" % image,
                "docker://%s/stargz/image:v1" % lab.behind)
        rows(lab, c, root, layer)


def fetched(lab, layer):
    """The bytes of the layer that were sent; every answer was a range."""
    found = chunked.asked(lab, layer["digest"])
    need(found and all(x[0] == 206 for x in found),
         "not only ranges: %s" % [x[:2] for x in found])
    return sum(x[1] for x in found)


def rows(lab, c, root, layer):
    image = lab.registry + "/stargz/image:v1"
    with lab.row("stargz", "an image is pulled without its layer"):
        c.ctr("images", "pull", "--plain-http", "--snapshotter", "stargz",
              image)
        sent = fetched(lab, layer)
        need(sent < layer["size"] / 8, "%d bytes of %d" % (
            sent, layer["size"]))
    with lab.row("stargz", "a container runs, what it reads comes by ranges"):
        same(c.said(image, "/bin/say", snapshotter="stargz"), lab.word,
             "what it says")
        now = fetched(lab, layer)
        need(sent < now < layer["size"] / 2, "%d bytes of %d" % (
            now, layer["size"]))
    with lab.row("stargz", "all files are the same"):
        to = lab.fresh("stargz-mounted")
        c.ctr("images", "mount", "--snapshotter", "stargz", image, to)
        try:
            for at, _, names in os.walk(root):
                for n in names:
                    this = os.path.relpath(os.path.join(at, n), root)
                    same(sha256(os.path.join(to, this)),
                         sha256(os.path.join(root, this)), this)
        finally:
            lab.run("umount", to)
        fetched(lab, layer)
