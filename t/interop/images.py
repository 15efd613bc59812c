"""The images that the clients carry about."""

import gzip
import io
import os
import shutil
import tarfile

from lab import Layout, blob_path, digest, heads, load, need

OCI = "application/vnd.oci.image."

# says what /word holds, and its arguments
PROGRAM = r"""
#include <stdio.h>

int
main(int argc, char **argv)
{
    int   i;
    char  word[128];
    FILE  *f;

    f = fopen("/word", "r");

    if (f == NULL || fgets(word, sizeof(word), f) == NULL) {
        return 1;
    }

    printf("%s", word);

    for (i = 1; i < argc; i++) {
        printf(" %s", argv[i]);
    }

    printf("\n");

    return 0;
}
"""

SMALL = """\
FROM scratch
COPY say /bin/say
COPY one /data/one
COPY two /data/two
COPY word /word
ENTRYPOINT ["/bin/say"]
"""

REAL = """\
FROM scratch
ADD base.tar /
RUN dpkg-query -W > /packages && test -s /packages
COPY one /data/one
COPY two /data/two
COPY say /bin/say
COPY word /word
ENTRYPOINT ["/bin/say"]
"""


def context(lab, base):
    """The folder that the image is built from."""
    folder = lab.fresh("context")
    big = 2 << 20 if lab.quick else 32 << 20
    lab.write(folder + "/one", os.urandom(big))
    lab.write(folder + "/two", os.urandom(big // 4) * 4)
    lab.word = os.urandom(8).hex()
    lab.write(folder + "/word", lab.word)
    lab.write(folder + "/say.c", PROGRAM)
    lab.run("gcc", "-O2", "-static", "-o", folder + "/say",
            folder + "/say.c")
    lab.write(folder + "/Containerfile", REAL if base else SMALL)
    if base:
        shutil.copyfile(base, folder + "/base.tar")
    return folder


def build(lab, base):
    """Builds the image with podman and writes it as a layout."""
    folder = context(lab, base)
    lab.run("podman", "build", "-q", "-t", "localhost/image:v1", folder)
    shutil.rmtree(folder)
    lab.image = lab.work("image")
    lab.run("podman", "push", "-q", "localhost/image:v1",
            "oci:%s:v1" % lab.image)
    lab.digest = heads(lab.image)[0]
    lab.manifest = load(blob_path(lab.image, lab.digest))


def into_podman(lab):
    """Podman's storage holds the image and nothing else."""
    lab.run("podman", "rmi", "-f", "-a")
    lab.run("skopeo", "copy", "-q", "oci:%s:v1" % lab.image,
            "containers-storage:localhost/image:v1")


def sizes(lab, base):
    layers = len(lab.manifest["layers"])
    total = int(lab.run("podman", "image", "inspect", "-f", "{{.Size}}",
                        "localhost/image:v1"))
    need(layers >= 3, "%d layers" % layers)
    if base:
        need(total >= 200 << 20, "%d bytes" % total)
    return "%d layers, %d MiB" % (layers, total >> 20)


def tar(name, data):
    """A tar of one file, as bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def plain(folder, *layers, entry=None):
    """An image of some tars, as it is written by hand: (layout, layer...)."""
    out = Layout(folder)
    those = [out.add(x, OCI + "layer.v1.tar") for x in layers]
    config = out.add(
        {"architecture": "amd64", "os": "linux",
         "config": {"Entrypoint": entry} if entry else {},
         "rootfs": {"type": "layers",
                    "diff_ids": [x["digest"] for x in those]}},
        OCI + "config.v1+json")
    out.finish(out.add(
        {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
         "config": config, "layers": those}, OCI + "manifest.v1+json",
        annotations={"org.opencontainers.image.ref.name": "v1"}))
    return (out.folder,) + tuple(those)


def index(lab, name="index"):
    """An index of two platforms, made by hand: its folder and digest."""
    out = Layout(lab.work(name))
    images = []
    for arch in ("amd64", "arm64"):
        data = tar("data", os.urandom(50000))
        layer = out.add(gzip.compress(data), OCI + "layer.v1.tar+gzip")
        config = out.add(
            {"architecture": arch, "os": "linux", "config": {},
             "rootfs": {"type": "layers", "diff_ids": [digest(data)]}},
            OCI + "config.v1+json")
        images.append(out.add(
            {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
             "config": config, "layers": [layer]}, OCI + "manifest.v1+json",
            platform={"architecture": arch, "os": "linux"}))
    top = out.add({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                   "manifests": images}, OCI + "index.v1+json")
    out.finish(dict(top, annotations={
        "org.opencontainers.image.ref.name": "v1"}))
    return out.folder, top["digest"], images
