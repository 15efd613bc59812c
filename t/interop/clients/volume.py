"""
A model as an image volume, as the kubelet asks containerd for one: by CRI,
into a container that runs.  containerd mounts only layers of the image
types, so the model is packed as an image.
"""

import json
import os
import tarfile

import engine
import images
import weights
from clients.hf import Hub, hub
from clients.models import modelpack
from engine import Containerd
from lab import need, same, sha256

TOOLS = engine.TOOLS + ("crictl", "hf", "modctl")
PROGRAMS = ("crun", "skopeo")
LONG = True
NOTES = {"crictl": "containerd with its CRI service, as the kubelet drives "
         "it, and crun; containerd mounts only layers of the image types, so "
         "the model is packed as an image."}

PAUSE = "localhost/pause:v1"

# what holds a pod's namespaces
PROGRAM = """\
#include <unistd.h>

int
main(void)
{
    for ( ;; ) {
        pause();
    }
}
"""

POD = {"metadata": {"name": "pod", "namespace": "default", "attempt": 1},
       # no network of its own: this is about what is mounted
       "linux": {"security_context": {"namespace_options": {
           "network": 2, "pid": 1, "ipc": 0}}}}

# stays, for as long as the pod does
SLEEP = ["/bin/sh", "-c", "exec sleep 3600"]


def model(folder, size):
    """A small model, its weights in a folder of their own."""
    weights.safetensors(folder + "/weights", size)
    for name in ("config.json", "tokenizer.json"):
        os.rename(folder + "/weights/" + name, folder + "/" + name)
    return folder


def files(folder):
    """{name: digest} of all files below."""
    return {os.path.relpath(os.path.join(at, n), folder):
            sha256(os.path.join(at, n)).split(":")[1]
            for at, _, names in os.walk(folder) for n in names}


def tarred(folder, names, path):
    """A layer of those files: its bytes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.add(os.path.join(folder, name), arcname=name)
    with open(path, "rb") as f:
        data = f.read()
    os.unlink(path)
    return data


def packed(folder, out):
    """The model as an image: a layer for the small files, one for each of
    the large.  Weights do not compress: they stay as they are."""
    names = sorted(files(folder))
    big = [n for n in names if n.endswith(".safetensors")]
    return images.plain(out, *[
        tarred(folder, those, out + ".tar")
        for those in [[n for n in names if n not in big]]
        + [[n] for n in big]])[0]


def pause(lab, folder):
    """The image of a pod, as a layout."""
    lab.write(folder + "/pause.c", PROGRAM)
    lab.run("gcc", "-O2", "-static", "-o", folder + "/pause",
            folder + "/pause.c")
    return images.plain(
        folder + "/pause-layout",
        tarred(folder, ["pause"], folder + "/pause.tar"),
        entry=["/pause"])[0]


def run(lab):
    folder = lab.fresh("volume")
    there = model(folder + "/model", 200 << 20)
    with hub(lab), Containerd(lab, folder + "/containerd", cri=PAUSE) as c:
        lab.run("tar", "-C", pause(lab, folder), "-cf", folder + "/pause.tar",
                ".")
        c.ctr("-n", "k8s.io", "images", "import", "--local", "--base-name",
              PAUSE.rsplit(":", 1)[0], folder + "/pause.tar")
        rows(lab, c, folder, there)
        by_path(lab, folder, there)


def by_path(lab, folder, there):
    """The very files of the volume, as a model that modctl has pushed."""
    wanted = files(there)
    modelpack(folder + "/modelpack", [
        (n, "weight" if n.endswith(".safetensors") else "weight.config",
         os.path.getsize(os.path.join(there, n))) for n in sorted(wanted)],
        there)
    lab.run("modctl", "push", folder + "/modelpack:v1",
            lab.behind + "/volume/modelpack:latest")
    with lab.row("hf", "download of the model that was a volume, pushed by"
                 " modctl"):
        same(Hub(lab).download("volume/modelpack"),
             {n: "sha256:" + d for n, d in wanted.items()}, "the files")


def rows(lab, c, folder, there):
    for name, layout in (("model", packed(there, folder + "/packed")),
                         ("image", lab.image)):
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-tls-verify=false", "oci:%s:v1" % layout,
                "docker://%s/volume/%s:v1" % (lab.behind, name))
    image = lab.registry + "/volume/image:v1"
    volume = lab.registry + "/volume/model:v1"
    with lab.row("crictl", "pull an image and a model packed as one"):
        for name in (image, volume):
            c.crictl("pull", name)
            need(lab.json("crictl", "-i", "unix://" + c.socket, "inspecti",
                          name)["status"]["repoTags"] == [name],
                 "no %s" % name)
    pod = lab.write(folder + "/pod.json", json.dumps(dict(
        POD, metadata=dict(POD["metadata"], uid=os.urandom(8).hex()))))
    at = c.crictl("runp", pod)
    try:
        mounted(lab, c, folder, there, (at, pod, image, volume))
    finally:
        c.crictl("stopp", at)
        c.crictl("rmp", at)


def container(lab, c, folder, pod, name, mount):
    """Starts one, with a mount: its id."""
    at, conf, image, _ = pod
    this = c.crictl("create", at, lab.write(
        "%s/%s.json" % (folder, name), json.dumps({
            "metadata": {"name": name}, "image": {"image": image},
            "command": SLEEP, "mounts": [mount], "linux": {}})), conf)
    c.crictl("start", this)
    return this


def mounted(lab, c, folder, there, pod):
    volume = pod[3]
    wanted = files(there)
    with lab.row("crictl", "the model as an image volume in a container"):
        this = container(lab, c, folder, pod, "whole", {
            "container_path": "/model", "readonly": True,
            "image": {"image": volume}})
        text = c.crictl("exec", "-s", this, "/bin/sh", "-c",
                        "cd /model && find . -type f -exec sha256sum {} +")
        found = dict(reversed(line.split()) for line in text.splitlines())
        same({os.path.normpath(n): d for n, d in found.items()}, wanted,
             "the files")
        status, _, said = lab.attempt(
            "crictl", "-r", "unix://" + c.socket, "exec", "-s", this,
            "/bin/sh", "-c", "echo x > /model/config.json")
        need(status != 0 and "ead-only" in said, said)
    with lab.row("crictl", "a folder of it, by image_sub_path"):
        this = container(lab, c, folder, pod, "part", {
            "container_path": "/weights", "readonly": True,
            "image": {"image": volume}, "image_sub_path": "weights"})
        text = c.crictl("exec", "-s", this, "/bin/ls", "/weights")
        same(text.split(), sorted(os.path.basename(n) for n in wanted
                                  if n.startswith("weights/")), "the files")
