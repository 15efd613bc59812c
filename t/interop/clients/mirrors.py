"""Through an edge: cold and warm pulls, and the settings by which clients
use it as a mirror of a registry that they can't reach."""

import os
import shutil
import signal
import subprocess

import setups
from gate import wait_for
from lab import ROOT, Failed, need, same, same_layout

SETUPS = setups.EDGES
PROGRAMS = ["skopeo", "podman"]
TOOLS = ["oras", "crane"]
T = "--tls-verify=false"

HTTP = """
    log_format fills "$request_uri $oci_cache_status $oci_upstream_bytes";
    map $arg_ns $oci_registry {
        our.test    @BEHIND@;
    }
    server {
        listen 127.0.0.1:@PORT:ns@;
        location /v2/ {
            oci           main;
            oci_namespace $arg_ns allow=our.test;
            oci_pass      $oci_registry;
        }
    }
"""

LOGS = """
    access_log logs/access.log;
    access_log logs/fills.log fills;
"""

MIRROR = """\
unqualified-search-registries = []
[[registry]]
prefix = "our.test"
location = "our.test"
[[registry.mirror]]
location = "127.0.0.1:%d"
insecure = true
"""

HOSTS = """\
server = "https://%s"
[host."http://127.0.0.1:%d"]
  capabilities = ["pull", "resolve"]
"""

CONTAINERD = """\
version = 2
root = "%(folder)s/root"
state = "%(folder)s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri",
                    "io.containerd.internal.v1.opt",
                    "io.containerd.snapshotter.v1.btrfs",
                    "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "%(folder)s/socket"
"""


def program(name):
    for path in (shutil.which(name), os.path.join(
            ROOT, "build", "deb", "containerd", "usr", "bin", name)):
        if path and os.access(path, os.X_OK):
            return path
    raise Failed("%s is not here: .ci/install.sh interop" % name)


def run(lab):
    with lab.beside("the edge as a mirror", http=HTTP, server=LOGS) as here:
        edge = here.server
        pulls(lab, edge)
        mirror(lab, edge)
        chunked(lab)
        containerd(lab, edge)
        down(lab)


def fetched(edge, mark=0):
    """How many bytes of blobs came from upstream, and the log's length."""
    with open(os.path.join(edge.prefix, "logs", "fills.log"),
              encoding="ascii") as f:
        lines = f.read().splitlines()
    return sum(int(x.split()[2]) for x in lines[mark:]
               if "/blobs/" in x and x.split()[2].isdigit()), len(lines)


def pulls(lab, edge):
    at = lab.registry + "/mirrors/"
    mark = 0
    with lab.row("skopeo", "push to what the edge stands before"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
                "docker://%s/mirrors/image:v1" % lab.behind)
    for word in ("cold", "warm"):
        with lab.row("skopeo", "pull through the edge, " + word):
            to = lab.fresh("mirrors-" + word)
            lab.run("skopeo", "copy", "-q", "--src-tls-verify=false",
                    "docker://%simage:v1" % at, "oci:%s/x:v1" % to)
            same_layout(to + "/x", lab.image)
            size, mark = fetched(edge, mark)
            if word == "cold":
                need(size >= sum(x["size"] for x in lab.manifest["layers"]),
                     "only %d bytes came from upstream" % size)
            else:
                same(size, 0, "what came from upstream")
    with lab.row("crane", "validate through the edge"):
        lab.run("crane", "validate", "--remote", at + "image:v1")
    with lab.row("oras", "copy through the edge"):
        to = lab.work("mirrors-oras")
        lab.run("oras", "copy", "--from-plain-http", "--to-oci-layout",
                at + "image:v1", to + ":v1")
        same_layout(to, lab.image)


def mirror(lab, edge):
    """registries.conf, as podman, skopeo, buildah and CRI-O read it."""
    conf = lab.write(lab.work("mirror.conf"), MIRROR % edge.port())
    env = {"CONTAINERS_REGISTRIES_CONF": conf}
    name = "our.test/mirrors/image:v1"
    with lab.row("podman", "pull from a registry by its mirror, run"):
        lab.run("podman", "rmi", "-f", "-a")
        lab.run("podman", "pull", "-q", name, env=env)
        same(lab.run("podman", "run", "--rm", name, env=env), lab.word,
             "what it says")
    with lab.row("skopeo", "inspect by a mirror"):
        found = lab.json("skopeo", "--registries-conf", conf, "inspect",
                         "--no-tags", "docker://" + name)
        same(found["Digest"], lab.digest, "the digest")


def chunked(lab):
    with lab.row("podman", "zstd:chunked through the edge, cold"):
        image = lab.registry + "/mirrors/chunked:v1"
        shutil.rmtree(lab.path("lib", "cache"), ignore_errors=True)
        lab.run("podman", "push", "-q", T, "--compression-format",
                "zstd:chunked", "our.test/mirrors/image:v1",
                lab.behind + "/mirrors/chunked:v1")
        lab.run("podman", "rmi", "-f", "-a")
        lab.run("podman", "pull", "-q", T, image)
        same(lab.run("podman", "run", "--rm", image), lab.word,
             "what it says")
        lab.run("podman", "rmi", "-f", "-a")


def containerd(lab, edge):
    """hosts.toml: the registry that is meant comes as ns= in the query."""
    folder = lab.fresh("mirrors-containerd")
    hosts = os.path.join(folder, "hosts")
    name = "our.test"
    lab.write("%s/%s/hosts.toml" % (hosts, name),
              HOSTS % (name, edge.port("ns")))
    config = lab.write(folder + "/config.toml",
                       CONTAINERD % {"folder": folder})
    with open(folder + "/log", "wb") as log:
        daemon = subprocess.Popen(
            [program("containerd"), "-c", config], env=lab.env,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for("containerd", lambda: daemon.poll() is None and
                 os.path.exists(folder + "/socket"), 30)
        with lab.row("containerd of Debian", "pull by hosts.toml (ns=)"):
            mark = len(lab.access(edge))
            image = name + "/mirrors/image:v1"
            ctr = [program("ctr"), "-a", folder + "/socket"]
            lab.run(*ctr, "content", "fetch", "--hosts-dir", hosts, image)
            found = lab.run(*ctr, "image", "ls", "name==" + image)
            need(lab.digest in found, found)
            need([x for x in lab.access(edge)[mark:] if "ns=" + name in x],
                 "no ns= was sent")
            lab.run(*ctr, "image", "rm", "--sync", image)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


def down(lab):
    lab.setup.down()
    try:
        with lab.row("skopeo", "pull with the upstream down"):
            to = lab.fresh("mirrors-down")
            lab.run("skopeo", "copy", "-q", "--src-tls-verify=false",
                    "docker://%s/mirrors/image:v1" % lab.registry,
                    "oci:%s/x:v1" % to)
            same_layout(to + "/x", lab.image)
    finally:
        lab.setup.up()
