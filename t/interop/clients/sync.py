"""Programs that copy whole repositories, here from this registry into
another: CNCF distribution."""

import images
from distribution import Distribution
from lab import need, same

TOOLS = ["regsync", "oras", "crane", "registry"]
PROGRAMS = ["skopeo"]
LONG = True
PLAIN = ("--from-plain-http", "--to-plain-http")

CONFIG = """\
version: 1
creds:
  - registry: %(here)s
    tls: disabled
  - registry: %(there)s
    tls: disabled
sync:
  - source: %(here)s/sync/image
    target: %(there)s/regsync/image
    type: repository
    referrers: true
    digestTags: true
"""


def run(lab):
    other = Distribution(at=lab.tools["registry"])
    try:
        rows(lab, other.url.split("//")[1])
    finally:
        other.stop()


def fill(lab, work):
    """A repository of two tags, one an index, and of a referrer: digests by
    tag, and that of the referrer."""
    to = lab.behind + "/sync/image"
    lab.run("crane", "push", lab.image, to + ":v1")
    folder, top, _ = images.index(lab, "sync-index")
    lab.run("oras", "cp", "--from-oci-layout", "--to-plain-http",
            folder + ":v1", to + ":index")
    lab.write(work + "/sbom.json", '{"spdxVersion": "SPDX-2.3"}')
    sbom = lab.json("oras", "attach", "--plain-http", to + ":v1",
                    "--artifact-type", "application/spdx+json", "sbom.json",
                    "--format", "json", cwd=work)["digest"]
    return {"v1": lab.digest, "index": top}, sbom


def rows(lab, there):
    work = lab.fresh("sync")
    at = lab.registry + "/sync/image"
    tags, sbom = fill(lab, work)

    def same_there(name):
        for tag, digest in tags.items():
            same(lab.run("crane", "digest", "%s/%s:%s" % (there, name, tag)),
                 digest, tag)
            lab.run("crane", "validate", "--remote", "%s/%s:%s" % (
                there, name, tag))

    def with_referrer(name):
        text = lab.run("oras", "discover", "--plain-http",
                       "%s/%s:v1" % (there, name))
        need(sbom in text, "%s is not in\n%s" % (sbom, text))

    with lab.row("regsync", "once: a repository with its referrers"):
        path = lab.write(work + "/regsync.yml", CONFIG % {
            "here": lab.registry, "there": there})
        lab.run("regsync", "once", "-c", path)
        same_there("regsync/image")
        with_referrer("regsync/image")
    with lab.row("regsync", "check, and once again: nothing to copy"):
        mark = len(lab.access(lab.server))
        lab.run("regsync", "check", "-c", path)
        lab.run("regsync", "once", "-c", path)
        need(not any("/blobs/" in x
                     for x in lab.access(lab.server)[mark:]),
             "blobs were asked for")
    with lab.row("oras", "cp -r into another registry"):
        for tag in tags:
            lab.run("oras", "cp", "-r", *PLAIN, "%s:%s" % (at, tag),
                    "%s/oras/image:%s" % (there, tag))
        same_there("oras/image")
        with_referrer("oras/image")
    with lab.row("skopeo", "sync into another registry"):
        lab.run("skopeo", "sync", "--all", "--src", "docker", "--dest",
                "docker", "--src-tls-verify=false",
                "--dest-tls-verify=false", at, there + "/skopeo")
        same_there("skopeo/image")
