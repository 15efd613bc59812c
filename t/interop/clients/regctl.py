"""regctl: chunked uploads, mounts without a source, other digests."""

import os

from lab import blobs, digest, heads, need, same, same_layout, sha256

TOOLS = ["regctl"]
LONG = True
MIB = 1 << 20


def run(lab):
    at = lab.registry + "/regctl/"
    work = lab.fresh("regctl")

    with lab.row("regctl", "registry set"):
        lab.run("regctl", "registry", "set", lab.registry, "--tls",
                "disabled")
    with lab.row("regctl", "image copy in"):
        lab.run("regctl", "image", "copy", "ocidir://%s:v1" % lab.image,
                at + "image:v1")
        same(lab.run("regctl", "image", "digest", at + "image:v1"),
             lab.digest, "the digest")
    with lab.row("regctl", "image copy out"):
        lab.run("regctl", "image", "copy", at + "image:v1",
                "ocidir://%s/back:v1" % work)
        same_layout(work + "/back", lab.image)
    with lab.row("regctl", "image copy between repositories"):
        lab.run("regctl", "image", "copy", at + "image:v1",
                at + "other:v1")
        same(lab.run("regctl", "manifest", "head", at + "other:v1"),
             lab.digest, "the digest")
    with lab.row("regctl", "image export and import"):
        lab.run("regctl", "image", "export", at + "image:v1",
                work + "/image.tar")
        lab.run("regctl", "image", "import", at + "import:v1",
                work + "/image.tar")
        same(lab.run("regctl", "image", "digest", at + "import:v1"),
             lab.digest, "the digest")
    with lab.row("regctl", "image inspect"):
        same(lab.json("regctl", "image", "inspect", at + "image:v1")
             ["config"]["Entrypoint"], ["/bin/say"], "the config")
    with lab.row("regctl", "image check-base (a reference by digest)"):
        lab.run("regctl", "image", "check-base", at + "image:v1",
                "--base", at + "other:v1", "--digest", lab.digest)
    with lab.row("regctl", "image mod"):
        lab.run("regctl", "image", "mod", at + "image:v1", "--annotation",
                "a=b", "--create", at + "image:note")
        same(lab.json("regctl", "manifest", "get", "--format", "raw-body",
                      at + "image:note")["annotations"]["a"], "b",
             "the annotation")
    with lab.row("regctl", "image mod to sha512 digests"):
        lab.wants("sha512")
        lab.run("regctl", "image", "mod", at + "image:v1", "--digest-algo",
                "sha512", "--create", at + "image:sha512")
        d = lab.run("regctl", "image", "digest", at + "image:sha512")
        need(d.startswith("sha512:"), "the digest is " + d)
        lab.run("regctl", "manifest", "get", at + "image@" + d)
        lab.run("regctl", "image", "copy", at + "image:sha512",
                at + "other:sha512")
    with lab.row("regctl", "tag ls"):
        tags = ["note", "v1"] if lab.lacks else ["note", "sha512", "v1"]
        same(lab.run("regctl", "tag", "ls", at + "image").split(), tags,
             "the tags")
    with lab.row("regctl", "repo ls"):
        names = lab.run("regctl", "repo", "ls", lab.registry).split()
        need("regctl/image" in names, "not in %s" % names)
    blob(lab, at, work)
    artifact(lab, at, work)
    with lab.row("regctl", "index create"):
        lab.run("regctl", "index", "create", at + "image:index", "--ref",
                at + "image:v1", "--ref", at + "image:note")
        lab.run("regctl", "image", "copy", at + "image:index",
                "ocidir://%s/index:v1" % work)
        same(heads(work + "/index"),
             [lab.run("regctl", "image", "digest", at + "image:index")],
             "the digest")
        blobs(work + "/index")
    with lab.row("regctl", "tag delete"):
        lab.run("regctl", "image", "copy", at + "image:v1",
                at + "image:v2")
        lab.run("regctl", "tag", "delete", at + "image:v2")
        tags = lab.run("regctl", "tag", "ls", at + "image").split()
        need("v2" not in tags and "v1" in tags, "the tags are %s" % tags)
    with lab.row("regctl", "manifest delete"):
        lab.run("regctl", "manifest", "delete",
                at + "other@" + lab.digest)
        lab.refused("regctl", "manifest", "head", at + "other:v1",
                    says="not found")


def blob(lab, at, work):
    data = os.urandom(5 * MIB + 321)
    with lab.row("regctl", "blob put whole"):
        same(lab.run("regctl", "blob", "put", at + "blob", data=data),
             digest(data), "the digest")
    with lab.row("regctl", "blob put in chunks with Content-Range"):
        lab.run("regctl", "registry", "set", lab.registry, "--skip-check",
                "--blob-max", 2 * MIB, "--blob-chunk", MIB)
        data = os.urandom(5 * MIB + 321)
        mark = len(lab.access(lab.server))
        same(lab.run("regctl", "blob", "put", at + "blob", data=data),
             digest(data), "the digest")
        chunks = [x for x in lab.access(lab.server)[mark:]
                  if '"PATCH ' in x and '" 202 ' in x]
        need(len(chunks) >= 5, "only %d chunks" % len(chunks))
        lab.run("regctl", "registry", "set", lab.registry, "--skip-check",
                "--blob-max", "-1")
    with lab.row("regctl", "blob get, head"):
        same(lab.raw("regctl", "blob", "get", at + "blob", digest(data)),
             data, "the content")
        lab.run("regctl", "blob", "head", at + "blob", digest(data))
    with lab.row("regctl", "blob copy"):
        lab.run("regctl", "blob", "copy", at + "blob", at + "blob2",
                digest(data))
        same(lab.raw("regctl", "blob", "get", at + "blob2", digest(data)),
             data, "the content")
    with lab.row("regctl", "blob delete"):
        lab.run("regctl", "blob", "delete", at + "blob", digest(data))
        lab.refused("regctl", "blob", "head", at + "blob", digest(data),
                    says="not found")
        lab.write(work + "/kept", lab.raw(
            "regctl", "blob", "get", at + "blob2", digest(data)))
        same(sha256(work + "/kept"), digest(data), "the other link")


def artifact(lab, at, work):
    with lab.row("regctl", "artifact put"):
        lab.run("regctl", "artifact", "put", "--artifact-type",
                "application/vnd.example.note", at + "note:v1",
                data="hello\n")
        same(lab.run("regctl", "artifact", "get", at + "note:v1"),
             "hello", "the content")
    with lab.row("regctl", "artifact put --subject"):
        for kind in ("sbom", "sig"):
            lab.run("regctl", "artifact", "put", "--artifact-type",
                    "application/vnd.example." + kind, "--subject",
                    at + "image:v1", data=kind)
    with lab.row("regctl", "artifact tree"):
        text = lab.run("regctl", "artifact", "tree", at + "image:v1")
        for kind in ("sbom", "sig"):
            need("application/vnd.example." + kind in text,
                 "%s is not in\n%s" % (kind, text))
    with lab.row("regctl", "artifact list and get by type"):
        found = lab.json("regctl", "artifact", "list", at + "image:v1",
                         "--filter-artifact-type",
                         "application/vnd.example.sbom", "--format", "body")
        if lab.lacks:       # a tag lists all of them
            found["manifests"] = [x for x in found["manifests"] if
                                  x["artifactType"].endswith("sbom")]
        same(len(found["manifests"]), 1, "the referrers")
        same(lab.run("regctl", "artifact", "get", "--subject",
                     at + "image:v1", "--filter-artifact-type",
                     "application/vnd.example.sig"), "sig", "the content")
    with lab.row("regctl", "image copy --referrers"):
        lab.run("regctl", "image", "copy", "--referrers", at + "image:v1",
                at + "signed:v1")
        text = lab.run("regctl", "artifact", "tree", at + "signed:v1")
        need("application/vnd.example.sig" in text, text)
        lab.run("regctl", "image", "copy", "--referrers", at + "image:v1",
                "ocidir://%s/signed:v1" % work)
