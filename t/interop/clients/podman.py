"""podman and buildah: build, push, pull, run."""

import shutil

import images
from lab import need, same

PROGRAMS = ["podman", "buildah", "skopeo"]
T = "--tls-verify=false"


def forget(lab, *names):
    """Removes images and every layer that nothing else uses."""
    lab.run("podman", "rmi", "-f", *names)


def run(lab):
    at = lab.registry + "/podman/"
    work = lab.fresh("podman")
    images.into_podman(lab)

    with lab.row("podman", "push"):
        lab.run("podman", "push", "-q", T, "localhost/image:v1",
                at + "image:v1")
    with lab.row("podman", "push by a digest file"):
        lab.run("podman", "push", "-q", T, "--digestfile", work + "/digest",
                "localhost/image:v1", at + "image:v2")
        with open(work + "/digest", encoding="ascii") as f:
            there = f.read().strip()
        found = lab.json("skopeo", "inspect", T,
                         "docker://%simage:v2" % at)["Digest"]
        same(there, found, "the digest")
    with lab.row("podman", "pull"):
        forget(lab, "localhost/image:v1")
        need(lab.run("podman", "images", "-q", "-a") == "",
             "an image was left")
        lab.run("podman", "pull", "-q", T, at + "image:v1")
    with lab.row("podman", "run"):
        same(lab.run("podman", "run", "--rm", at + "image:v1", "it", "runs"),
             lab.word + " it runs", "what it says")
    with lab.row("podman", "run pulls what is missing"):
        forget(lab, at + "image:v1")
        same(lab.run("podman", "run", "--rm", "-q", T, at + "image:v2"),
             lab.word, "what it says")
    with lab.row("podman", "pull by digest"):
        lab.run("podman", "pull", "-q", T, at + "image@" + there)
    with lab.row("podman", "build on a pulled base, push, run"):
        lab.write(work + "/Containerfile",
                  "FROM %simage:v1\nCOPY word /word\n" % at)
        lab.write(work + "/word", "changed")
        lab.run("podman", "build", "-q", T, "-t", at + "child:v1", work)
        lab.run("podman", "push", "-q", T, at + "child:v1")
        forget(lab, at + "child:v1")
        same(lab.run("podman", "run", "--rm", "-q", T, at + "child:v1"),
             "changed", "what it says")
    with lab.row("podman", "manifest create and push"):
        lab.run("podman", "manifest", "create", "list")
        lab.run("podman", "manifest", "add", T, "list",
                "docker://%simage:v1" % at)
        lab.run("podman", "manifest", "push", "-q", T, "--all", "list",
                "docker://%slist:v1" % at)
        found = lab.json("skopeo", "inspect", "--raw", T,
                         "docker://%slist:v1" % at)
        same(len(found["manifests"]), 1, "the children")
        lab.run("podman", "pull", "-q", T, at + "list:v1")
    with lab.row("podman", "search --list-tags"):
        text = lab.run("podman", "search", T, "--list-tags", at + "image")
        for tag in ("v1", "v2"):
            need(tag in text.split(), text)
    buildah(lab, at, work)
    partial(lab, at)


def buildah(lab, at, work):
    with lab.row("buildah", "bud and push"):
        lab.write(work + "/other/word", "by buildah")
        lab.write(work + "/other/Containerfile",
                  "FROM %simage:v1\nCOPY word /word\n" % at)
        lab.run("buildah", "bud", "-q", T, "-t", "localhost/bud",
                work + "/other")
        lab.run("buildah", "push", "-q", T, "localhost/bud",
                "docker://%sbud:v1" % at)
    with lab.row("buildah", "from, run, commit to the registry"):
        name = lab.run("buildah", "from", "-q", T, "--pull-always",
                       at + "bud:v1")
        same(lab.run("buildah", "run", name, "--", "/bin/say", "hello"),
             "by buildah hello", "what it says")
        lab.run("buildah", "config", "--label", "made=here", name)
        lab.run("buildah", "commit", "-q", T, name,
                "docker://%scommit:v1" % at)
        lab.run("buildah", "rm", name)
        found = lab.json("skopeo", "inspect", T,
                         "docker://%scommit:v1" % at)
        same(found["Labels"]["made"], "here", "the label")


def partial(lab, at):
    """zstd:chunked: the layers that change little come by ranges."""
    with lab.row("podman", "push zstd:chunked"):
        # else it finds the same layers there, compressed in the other way
        shutil.rmtree(lab.path("lib", "cache"), ignore_errors=True)
        lab.run("podman", "push", "-q", T, "--compression-format",
                "zstd:chunked", at + "image:v1", at + "chunked:v1")
        found = lab.json("skopeo", "inspect", "--raw", T,
                         "docker://%schunked:v1" % at)
        need(all(any("zstd-chunked" in k for k in x.get("annotations", {}))
                 for x in found["layers"]), "not chunked: %s" % found)
    with lab.row("podman", "pull zstd:chunked, in parts where it can"):
        forget(lab, "-a")
        mark = len(lab.access(lab.server))
        lab.run("podman", "pull", "-q", T, at + "chunked:v1")
        same(lab.run("podman", "run", "--rm", at + "chunked:v1"), lab.word,
             "what it says")
        parts = [x for x in lab.access(lab.server)[mark:] if '" 206 ' in x]
        # an image of which parts are shared cannot be pulled again whole
        forget(lab, "-a")
        if lab.overlay:
            need(parts, "no request for a range")
