"""skopeo: whole images, in and out, unchanged."""

import json
import os

import images
from lab import blob_path, blobs, heads, need, same, same_layout

PROGRAMS = ["skopeo"]
S, D, BOTH = ("--src-tls-verify=false", "--dest-tls-verify=false",
              "--tls-verify=false")


def run(lab):
    at = "docker://%s/skopeo/" % lab.registry
    source = "oci:%s:v1" % lab.image
    out = lab.fresh("skopeo")

    with lab.row("skopeo", "copy an image in"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests", D, source,
                at + "image:v1")
    with lab.row("skopeo", "copy it out, all blobs unchanged"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests", S,
                at + "image:v1", "oci:%s/back:v1" % out)
        same_layout(out + "/back", lab.image)
    with lab.row("skopeo", "copy between repositories"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests", S, D,
                at + "image:v1", at + "other:v1")
        lab.run("skopeo", "copy", "-q", S,
                at + "other@" + lab.digest, "oci:%s/other:v1" % out)
        same_layout(out + "/other", lab.image)
    with lab.row("skopeo", "copy an index with --all, in and out"):
        folder, top, _ = images.index(lab)
        lab.run("skopeo", "copy", "-q", "--all", "--preserve-digests", D,
                "oci:%s:v1" % folder, at + "index:v1")
        lab.run("skopeo", "copy", "-q", "--all", "--preserve-digests", S,
                at + "index:v1", "oci:%s/index:v1" % out)
        same(heads(out + "/index"), [top], "the index")
        same(blobs(out + "/index"), blobs(folder), "its blobs")
    with lab.row("skopeo", "copy as Docker v2s2, in and out"):
        lab.run("skopeo", "copy", "-q", "--format", "v2s2", D, source,
                at + "docker:v1")
        lab.run("skopeo", "copy", "-q", "--preserve-digests", S,
                at + "docker:v1", "dir:%s/docker" % out)
        with open(out + "/docker/manifest.json", "rb") as f:
            there = f.read()
        same(json.loads(there)["mediaType"], "application/vnd.docker."
             "distribution.manifest.v2+json", "the media type")
        same(lab.raw("skopeo", "inspect", "--raw", BOTH, at + "docker:v1"),
             there, "the manifest")
    with lab.row("skopeo", "copy compressed with zstd, in and out"):
        lab.run("skopeo", "copy", "-q", D, "--dest-compress-format", "zstd",
                "--dest-compress", source, at + "zstd:v1")
        lab.run("skopeo", "copy", "-q", S, "--preserve-digests",
                at + "zstd:v1", "oci:%s/zstd:v1" % out)
        blobs(out + "/zstd")
    with lab.row("skopeo", "inspect"):
        found = lab.json("skopeo", "inspect", BOTH, at + "image:v1")
        same(found["Digest"], lab.digest, "the digest")
        same(found["RepoTags"], ["v1"], "the tags")
        with open(blob_path(lab.image, lab.digest), "rb") as f:
            same(lab.raw("skopeo", "inspect", "--raw", BOTH,
                         at + "image@" + lab.digest), f.read(),
                 "the manifest")
        config = lab.json("skopeo", "inspect", "--config", BOTH,
                          at + "image:v1")
        same(config["config"]["Entrypoint"], ["/bin/say"], "the config")
    with lab.row("skopeo", "list-tags"):
        for tag in ("v2", "latest"):
            lab.run("skopeo", "copy", "-q", S, D, "--preserve-digests",
                    at + "image:v1", at + "image:" + tag)
        found = lab.json("skopeo", "list-tags", BOTH, at + "image")
        same(found["Tags"], ["latest", "v1", "v2"], "the tags")
    with lab.row("skopeo", "sync a repository out"):
        lab.run("skopeo", "sync", "--src", "docker", "--dest", "dir", S,
                lab.registry + "/skopeo/image", out + "/sync")
        same(sorted(os.listdir(out + "/sync")),
             ["image:latest", "image:v1", "image:v2"], "the folders")
    with lab.row("skopeo", "sync it in again"):
        lab.run("skopeo", "sync", "--src", "dir", "--dest", "docker", D,
                out + "/sync", lab.registry + "/skopeo/synced")
        for tag in ("v1", "v2", "latest"):
            found = lab.json("skopeo", "inspect", BOTH,
                             at + "synced/image:" + tag)
            same(found["Digest"], lab.digest, tag)
    with lab.row("skopeo", "delete"):
        lab.run("skopeo", "delete", BOTH, at + "image:v2")
        lab.refused("skopeo", "inspect", BOTH, at + "image:v2",
                    says="manifest unknown")
        lab.refused("skopeo", "inspect", BOTH, at + "image@" + lab.digest,
                    says="manifest unknown")
        need(lab.json("skopeo", "inspect", BOTH, at + "other:v1")
             ["Digest"] == lab.digest, "the other repository lost it")
    with lab.row("skopeo", "copy in again after the delete"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests", D, source,
                at + "image:v3")
        same(lab.json("skopeo", "list-tags", BOTH, at + "image")["Tags"],
             ["v3"], "the tags")
