"""Through an edge: cold and warm pulls of every kind, and the settings by
which clients use it as a mirror of registries that they can't reach."""

import os
import shutil
import signal
import subprocess

from distribution import Distribution
from gate import wait_for
from lab import ROOT, Failed, need, same, same_layout
from nginx import Nginx

T = "--tls-verify=false"

HTTP = """
    map $arg_ns $oci_registry {
        our.test    http://127.0.0.1:%(ours)d;
        cncf.test   http://127.0.0.1:%(cncf)d;
    }
    server {
        listen 127.0.0.1:@PORT:ns@;
        location /v2/ {
            oci           main;
            oci_namespace $arg_ns allow=our.test allow=cncf.test;
            oci_pass      $oci_registry;
        }
    }
    server {
        listen 127.0.0.1:@PORT:cncf@;
        location /v2/ {
            oci           main;
            oci_namespace cncf;
            oci_pass      http://127.0.0.1:%(cncf)d;
        }
    }
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
    cncf = Distribution()
    edge = None
    try:
        edge = Nginx(v2="location /v2/ { oci main; oci_pass %s; }"
                     % lab.server.url, http=HTTP % {
                         "ours": lab.server.port(), "cncf": cncf.port})
        lab.servers.append(edge)
        lab.edge = edge
        rows(lab, edge, cncf)
    finally:
        cncf.stop()
        if edge is not None:
            lab.stop(edge, "the edge")


def asked(lab, server, mark, word):
    return [x for x in lab.access(server)[mark:] if word in x]


def rows(lab, edge, cncf):
    at = "127.0.0.1:%d/edge/" % edge.port()
    origin = lab.registry + "/edge/"
    source = "oci:%s:v1" % lab.image
    with lab.row("skopeo", "push to what the edge stands before"):
        for to in (origin + "image:v1",
                   "127.0.0.1:%d/edge/image:v1" % cncf.port):
            lab.run("skopeo", "copy", "-q", "--preserve-digests",
                    "--dest-tls-verify=false", source, "docker://" + to)
    for word in ("cold", "warm"):
        mark = len(lab.access(lab.server))
        with lab.row("skopeo", "pull through the edge, " + word):
            to = lab.fresh("edge-" + word)
            lab.run("skopeo", "copy", "-q", "--src-tls-verify=false",
                    "docker://%simage:v1" % at, "oci:%s/x:v1" % to)
            same_layout(to + "/x", lab.image)
            blobs = asked(lab, lab.server, mark, "GET /v2/edge/image/blobs/")
            need(bool(blobs) == (word == "cold"), "the origin was asked: %s"
                 % blobs)
    with lab.row("crane", "validate through the edge"):
        lab.run("crane", "validate", "--remote", at + "image:v1")
    with lab.row("oras", "copy through the edge"):
        to = lab.path("work", "edge-oras")
        lab.run("oras", "copy", "--from-plain-http", "--to-oci-layout",
                at + "image:v1", to + ":v1")
        same_layout(to, lab.image)
    with lab.row("skopeo", "distribution behind the edge"):
        to = lab.fresh("edge-cncf")
        lab.run("skopeo", "copy", "-q", "--src-tls-verify=false",
                "docker://127.0.0.1:%d/edge/image:v1" % edge.port("cncf"),
                "oci:%s/x:v1" % to)
        same_layout(to + "/x", lab.image)
    mirror(lab, edge)
    chunked(lab, edge, origin, at)
    containerd(lab, edge)
    down(lab, edge, cncf, at)


def mirror(lab, edge):
    """registries.conf, as podman, skopeo, buildah and CRI-O read it."""
    conf = lab.write(lab.path("work", "mirror.conf"), MIRROR % edge.port())
    env = {"CONTAINERS_REGISTRIES_CONF": conf}
    name = "our.test/edge/image:v1"
    with lab.row("podman", "pull from a registry by its mirror, run"):
        lab.run("podman", "rmi", "-f", "-a")
        lab.run("podman", "pull", "-q", name, env=env)
        same(lab.run("podman", "run", "--rm", name, env=env), lab.word,
             "what it says")
    with lab.row("skopeo", "inspect by a mirror"):
        found = lab.json("skopeo", "--registries-conf", conf, "inspect",
                         "--no-tags", "docker://" + name)
        same(found["Digest"], lab.digest, "the digest")


def chunked(lab, edge, origin, at):
    with lab.row("podman", "zstd:chunked through the edge, cold"):
        shutil.rmtree(lab.path("lib", "cache"), ignore_errors=True)
        lab.run("podman", "push", "-q", T, "--compression-format",
                "zstd:chunked", "our.test/edge/image:v1",
                origin + "chunked:v1")
        lab.run("podman", "rmi", "-f", "-a")
        lab.run("podman", "pull", "-q", T, at + "chunked:v1")
        same(lab.run("podman", "run", "--rm", at + "chunked:v1"), lab.word,
             "what it says")
        lab.run("podman", "rmi", "-f", "-a")


def containerd(lab, edge):
    """hosts.toml: the registry that is meant comes as ns= in the query."""
    folder = lab.fresh("containerd")
    hosts = os.path.join(folder, "hosts")
    for name in ("our.test", "cncf.test"):
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
        for name in ("our.test", "cncf.test"):
            with lab.row("containerd", "pull from %s by hosts.toml" % name):
                mark = len(lab.access(edge))
                image = name + "/edge/image:v1"
                ctr = [program("ctr"), "-a", folder + "/socket"]
                lab.run(*ctr, "content", "fetch", "--hosts-dir", hosts,
                        image)
                found = lab.run(*ctr, "image", "ls", "name==" + image)
                need(lab.digest in found, found)
                need(asked(lab, edge, mark, "ns=" + name), "no ns= was sent")
                lab.run(*ctr, "image", "rm", "--sync", image)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


def down(lab, edge, cncf, at):
    cncf.down()
    with lab.row("skopeo", "pull with the upstream down"):
        to = lab.fresh("edge-down")
        lab.run("skopeo", "copy", "-q", "--src-tls-verify=false",
                "docker://127.0.0.1:%d/edge/image:v1" % edge.port("cncf"),
                "oci:%s/x:v1" % to)
        same_layout(to + "/x", lab.image)
