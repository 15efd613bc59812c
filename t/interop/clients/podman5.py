"""
podman 5 of Debian 13, in a Debian of its own: images, artifacts, and a
ModelPack model whose raw layers are mounted into a container from the store
of artifacts, file by file, as CRI-O does.
"""

import os

import chroot
from lab import Layout, blob_path, same, sha256

from . import chunked, volume

PROGRAMS = ("skopeo", "debootstrap")
TOOLS = ("oras", "modctl")
LONG = True
BASES = {"trixie": ("podman", "crun", "ca-certificates")}
VERSIONS = {}

NAME = "podman (Debian 13)"
NOTES = {NAME: "In a Debian of its own. This version mounts no artifacts: "
         "each raw layer is mounted from its store, under the path that the "
         "layer names, as CRI-O does."}
T = "--tls-verify=false"
CNCF = "application/vnd.cncf.model."
TITLE = "org.opencontainers.image.title"
FILEPATH = "org.cncf.model.filepath"
ARTIFACTS = "/srv/containers/graph/artifacts"


def modelpack(folder, out):
    """The model as a ModelPack artifact with raw layers, one for each file:
    (layout, {name: digest})."""
    layout = Layout(out)
    layers = []
    for name in sorted(volume.files(folder)):
        kind = ("weight.v1.raw" if name.endswith(".safetensors")
                else "weight.config.v1.raw")
        with open(os.path.join(folder, name), "rb") as f:
            layers.append(layout.add(f.read(), CNCF + kind, annotations={
                FILEPATH: name, TITLE: name}))
    config = layout.add(
        {"descriptor": {"name": "small", "family": "test"},
         "config": {"format": "safetensors"},
         "modelfs": {"type": "layers",
                     "diffIds": [x["digest"] for x in layers]}},
        CNCF + "config.v1+json")
    layout.finish(layout.add(
        {"schemaVersion": 2,
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "artifactType": CNCF + "manifest.v1+json", "config": config,
         "layers": layers}, "application/vnd.oci.image.manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": "v1"}))
    return out, layers


def run(lab):
    debian = chroot.Chroot(lab, chroot.tar(lab, "trixie"))
    VERSIONS[NAME] = debian.run("podman", "--version").split()[-1]
    folder = lab.fresh("podman5")
    there = volume.model(folder + "/model", 200 << 20)
    at = lab.registry + "/podman5/"
    try:
        whole(lab, debian, at)
        artifacts(lab, debian, folder, at, there)
        packed(lab, debian, folder, at, there)
    finally:
        debian.run("podman", "rmi", "-f", "-a")


def whole(lab, debian, at):
    lab.run("skopeo", "copy", "-q", "--preserve-digests",
            "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
            "docker://%s/podman5/image:v1" % lab.behind)
    with lab.row(NAME, "pull, run"):
        debian.run("podman", "pull", "-q", T, at + "image:v1")
        same(debian.run("podman", "run", "--rm", at + "image:v1", "it",
                        "runs"), lab.word + " it runs", "what it says")
    with lab.row(NAME, "push"):
        debian.run("podman", "push", "-q", T, at + "image:v1",
                   at + "pushed:v1")
        lab.run("skopeo", "inspect", T, "docker://%spushed:v1" % at)


def artifacts(lab, debian, folder, at, there):
    layout, layers = modelpack(there, folder + "/modelpack")
    lab.run("modctl", "push", layout + ":v1",
            lab.behind + "/podman5/model:v1")
    with lab.row(NAME, "artifact add, push"):
        name = at + "artifact:v1"
        debian.run("podman", "artifact", "add", "--type",
                   "application/vnd.example", name,
                   debian.bring(there + "/config.json", "config.json"),
                   debian.bring(there + "/tokenizer.json", "tokenizer.json"))
        debian.run("podman", "artifact", "push", "-q", T, name)
        got = lab.json("oras", "manifest", "fetch", "--plain-http", name)
        # this version gives both of them the title of the last
        same([x["digest"] for x in got["layers"]],
             [sha256(os.path.join(there, n))
              for n in ("config.json", "tokenizer.json")], "its layers")
    with lab.row(NAME, "artifact pull of what modctl pushed, raw layers"):
        name = at + "model:v1"
        debian.run("podman", "artifact", "pull", "-q", T, name)
        got = debian.json("podman", "artifact", "inspect", name)
        same([x["digest"] for x in got["Manifest"]["layers"]],
             [x["digest"] for x in layers], "its layers")
        store = debian.path(ARTIFACTS)
        for x in layers:
            same(sha256(blob_path(store, x["digest"])), x["digest"],
                 "a layer in the store")
    with lab.row(NAME, "its raw layers mounted in a container, as CRI-O "
                 "does"):
        mounts = []
        for x in layers:
            mounts += ["-v", "%s:/model/%s:ro" % (
                blob_path(ARTIFACTS, x["digest"]),
                x["annotations"][FILEPATH])]
        text = debian.run("podman", "run", "--rm", *mounts, "--entrypoint",
                          "/bin/sh", at + "image:v1", "-c", LISTING)
        same(listed(text), volume.files(there), "the files")


LISTING = "cd /model && find . -type f -exec sha256sum {} +"


def listed(text):
    """{name: digest} of what sha256sum says."""
    return {os.path.normpath(name): d for d, name in
            (line.split() for line in text.splitlines())}


def packed(lab, debian, folder, at, there):
    lab.run("skopeo", "copy", "-q", "--preserve-digests",
            "--dest-tls-verify=false", "oci:%s:v1" % volume.packed(
                there, folder + "/packed"),
            "docker://%s/podman5/packed:v1" % lab.behind)
    with lab.row(NAME, "a model packed as an image, by --mount type=image"):
        name = at + "packed:v1"
        debian.run("podman", "pull", "-q", T, name)
        text = debian.run("podman", "run", "--rm", "--mount",
                          "type=image,src=%s,dst=/model" % name,
                          "--entrypoint", "/bin/sh", at + "image:v1", "-c",
                          LISTING)
        same(listed(text), volume.files(there), "the files")
    if lab.overlay:
        with lab.beside("the server of the ranges",
                        location=chunked.LOCATION, http=chunked.FORMAT):
            chunked.podman(lab, NAME, debian)
