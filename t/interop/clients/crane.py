"""crane: copies, lists, changes and deletes."""

import os
import tarfile

from lab import blob_path, blobs, digest, heads, load, need, same, \
    same_layout

TOOLS = ["crane"]


def layer(path, name, size):
    """A tar with one file, for `append`."""
    with open(path + ".data", "wb") as f:
        f.write(os.urandom(size))
    with tarfile.open(path, "w") as t:
        t.add(path + ".data", name)
    return path


def run(lab):
    at = lab.registry + "/crane/"
    work = lab.fresh("crane")

    with lab.row("crane", "push a layout"):
        lab.run("crane", "push", lab.image, at + "image:v1")
        same(lab.run("crane", "digest", at + "image:v1"), lab.digest,
             "the digest")
    with lab.row("crane", "pull a layout"):
        lab.run("crane", "pull", "--format=oci", at + "image:v1",
                work + "/oci")
        same_layout(work + "/oci", lab.image)
    with lab.row("crane", "pull a tarball, push it again"):
        lab.run("crane", "pull", at + "image:v1", work + "/image.tar")
        lab.run("crane", "push", work + "/image.tar", at + "tarball:v1")
        lab.run("crane", "validate", "--remote", at + "tarball:v1")
    with lab.row("crane", "validate"):
        lab.run("crane", "validate", "--remote", at + "image:v1")
        lab.run("crane", "validate", "--fast", "--remote",
                at + "image@" + lab.digest)
    with lab.row("crane", "digest"):
        same(lab.run("crane", "digest", at + "image:v1"), lab.digest,
             "the digest")
        same(lab.run("crane", "digest", "--full-ref", at + "image:v1"),
             at + "image@" + lab.digest, "the reference")
    with lab.row("crane", "manifest, config and blob"):
        raw = lab.raw("crane", "manifest", at + "image:v1")
        need(digest(raw.rstrip(b"\n")) == lab.digest
             or digest(raw) == lab.digest, "the manifest differs")
        one = lab.manifest["layers"][-1]["digest"]
        same(digest(lab.raw("crane", "blob", at + "image@" + one)), one,
             "the blob")
        same(lab.json("crane", "config", at + "image:v1")["config"]
             ["Entrypoint"], ["/bin/say"], "the config")
    with lab.row("crane", "export"):
        lab.run("crane", "export", at + "image:v1", work + "/fs.tar")
        with tarfile.open(work + "/fs.tar") as t:
            same(t.extractfile("word").read().decode(), lab.word,
                 "a file of the image")
    with lab.row("crane", "copy"):
        lab.run("crane", "copy", at + "image:v1", at + "copy/deep:v1")
        same(lab.run("crane", "digest", at + "copy/deep:v1"), lab.digest,
             "the digest")
    with lab.row("crane", "tag"):
        lab.run("crane", "tag", at + "image:v1", "v2")
        same(lab.run("crane", "digest", at + "image:v2"), lab.digest,
             "the digest")
    with lab.row("crane", "ls"):
        same(lab.run("crane", "ls", at + "image").split(), ["v1", "v2"],
             "the tags")
    with lab.row("crane", "copy --all-tags"):
        lab.run("crane", "copy", "-a", at + "image", at + "all")
        same(lab.run("crane", "ls", at + "all").split(), ["v1", "v2"],
             "the tags")
    with lab.row("crane", "catalog"):
        # an edge lists what it has something of
        lab.run("crane", "validate", "--remote", at + "all:v1")
        names = lab.run("crane", "catalog", lab.registry).split()
        for name in ("crane/image", "crane/copy/deep", "crane/all"):
            need(name in names, "%s is not in %s" % (name, names))
    with lab.row("crane", "append"):
        tar = layer(work + "/layer.tar", "added", 200000)
        lab.run("crane", "append", "-b", at + "image:v1", "-f", tar, "-t",
                at + "image:more")
        lab.run("crane", "validate", "--remote", at + "image:more")
        found = lab.json("crane", "manifest", at + "image:more")
        same(len(found["layers"]), len(lab.manifest["layers"]) + 1,
             "the layers")
    with lab.row("crane", "mutate"):
        lab.run("crane", "mutate", at + "image:v1", "-l", "a=b", "-t",
                at + "image:label")
        same(lab.json("crane", "config", at + "image:label")["config"]
             ["Labels"]["a"], "b", "the label")
    with lab.row("crane", "flatten"):
        lab.run("crane", "flatten", at + "image:v1", "-t",
                at + "image:flat")
        same(len(lab.json("crane", "manifest",
                          at + "image:flat")["layers"]), 1, "the layers")
        lab.run("crane", "validate", "--remote", at + "image:flat")
    with lab.row("crane", "index append"):
        lab.run("crane", "index", "append", "-m", at + "image:v1", "-m",
                at + "image:label", "-t", at + "image:index")
        lab.run("crane", "pull", "--format=oci", at + "image:index",
                work + "/index")
        top = heads(work + "/index")[0]
        same(len(load(blob_path(work + "/index", top))["manifests"]), 2,
             "the children")
        blobs(work + "/index")
    with lab.row("crane", "delete a tag"):
        lab.wants("tag delete")
        lab.run("crane", "delete", at + "image:v2")
        need("v2" not in lab.run("crane", "ls", at + "image").split(),
             "the tag is still there")
        same(lab.run("crane", "digest", at + "image:v1"), lab.digest,
             "the other tag")
    with lab.row("crane", "delete a manifest"):
        lab.run("crane", "delete", at + "copy/deep@" + lab.digest)
        lab.refused("crane", "digest", at + "copy/deep:v1",
                    says=("MANIFEST_UNKNOWN", "404"))
