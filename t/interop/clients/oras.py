"""oras: artifacts, their referrers, blobs and manifests."""

import json
import os

from lab import blobs, digest, load, need, same, sha256

TOOLS = ["oras"]
P = "--plain-http"


def tags(text):
    """Those that are no list of referrers."""
    return [t for t in text.split() if not t.startswith("sha256-")]


def run(lab):
    at = lab.registry + "/oras/"
    work = lab.fresh("oras")
    lab.write(work + "/model.bin", os.urandom(3 << 20))
    lab.write(work + "/notes.txt", "some notes\n")
    lab.write(work + "/empty.txt", "")
    lab.write(work + "/sbom.json", '{"spdxVersion": "SPDX-2.3"}')
    lab.write(work + "/sig", os.urandom(100))

    with lab.row("oras", "push"):
        top = lab.json("oras", "push", P, at + "model:v1",
                       "--artifact-type", "application/vnd.example.model",
                       "model.bin:application/octet-stream",
                       "notes.txt:text/plain", "empty.txt", "--format",
                       "json", cwd=work)["digest"]
    with lab.row("oras", "pull"):
        lab.run("oras", "pull", P, at + "model:v1", "-o", work + "/pulled")
        for name in ("model.bin", "notes.txt", "empty.txt"):
            same(sha256(work + "/pulled/" + name),
                 sha256(work + "/" + name), name)
    with lab.row("oras", "attach"):
        sbom = lab.json("oras", "attach", P, at + "model:v1",
                        "--artifact-type", "application/spdx+json",
                        "sbom.json", "--format", "json",
                        cwd=work)["digest"]
        sig = lab.json("oras", "attach", P, at + "model@" + top,
                       "--artifact-type", "application/vnd.example.sig",
                       "sig", "-a", "who=me", "--format", "json",
                       cwd=work)["digest"]
        onto = lab.json("oras", "attach", P, at + "model@" + sbom,
                        "--artifact-type", "application/vnd.example.sig",
                        "sig", "--format", "json", cwd=work)["digest"]
    with lab.row("oras", "discover"):
        found = lab.json("oras", "discover", P, at + "model:v1",
                         "--format", "json", "--depth", "1")["referrers"]
        same({r["digest"] for r in found}, {sbom, sig}, "the referrers")
        same({r["artifactType"] for r in found},
             {"application/spdx+json", "application/vnd.example.sig"},
             "their types")
        need(any(r.get("annotations", {}).get("who") == "me"
                 for r in found), "an annotation is missing")
    with lab.row("oras", "discover by type"):
        found = lab.json("oras", "discover", P, at + "model:v1",
                         "--artifact-type", "application/spdx+json",
                         "--format", "json", "--depth", "1")["referrers"]
        same([r["digest"] for r in found], [sbom], "the referrers")
    with lab.row("oras", "discover a tree"):
        text = lab.run("oras", "discover", P, at + "model:v1")
        for d in (sbom, sig, onto):
            need(d in text, "%s is not in\n%s" % (d, text))
    with lab.row("oras", "the referrers API is used, no tag in its place"):
        lab.wants("referrers")
        same(lab.run("oras", "repo", "tags", P, at + "model").split(),
             ["v1"], "the tags")
    with lab.row("oras", "manifest fetch"):
        raw = lab.raw("oras", "manifest", "fetch", P, at + "model:v1")
        same(digest(raw), top, "the digest")
        found = lab.json("oras", "manifest", "fetch", P, "--descriptor",
                         at + "model:v1")
        same((found["digest"], found["size"]), (top, len(raw)),
             "the descriptor")
        lab.run("oras", "manifest", "fetch-config", P, at + "model:v1")
    with lab.row("oras", "resolve"):
        same(lab.run("oras", "resolve", P, at + "model:v1"), top,
             "the digest")
    with lab.row("oras", "tag"):
        lab.run("oras", "tag", P, at + "model:v1", "v2", "latest")
        same(lab.run("oras", "resolve", P, at + "model:latest"), top,
             "the digest")
    with lab.row("oras", "repo tags"):
        same(tags(lab.run("oras", "repo", "tags", P, at + "model")),
             ["latest", "v1", "v2"], "the tags")
    with lab.row("oras", "repo tags --last"):
        lab.wants("last")
        same(tags(lab.run("oras", "repo", "tags", P, "--last", "latest",
                          at + "model")), ["v1", "v2"], "the later tags")
    with lab.row("oras", "repo ls"):
        names = lab.run("oras", "repo", "ls", P, lab.registry).split()
        need("oras/model" in names, "not in %s" % names)
    with lab.row("oras", "cp -r between repositories"):
        lab.run("oras", "cp", "-r", "--from-plain-http", "--to-plain-http",
                at + "model:v1", at + "copy:v1")
        text = lab.run("oras", "discover", P, at + "copy:v1")
        for d in (top, sbom, sig, onto):
            need(d in text, "%s is not in\n%s" % (d, text))
    with lab.row("oras", "cp -r into a layout and back"):
        lab.run("oras", "cp", "-r", "--from-plain-http", "--to-oci-layout",
                at + "model:v1", work + "/layout:v1")
        need(top in blobs(work + "/layout"), "the manifest is missing")
        lab.run("oras", "cp", "-r", "--from-oci-layout", "--to-plain-http",
                work + "/layout:v1", at + "back:v1")
        same(lab.run("oras", "resolve", P, at + "back:v1"), top,
             "the digest")
    with lab.row("oras", "backup and restore"):
        lab.run("oras", "backup", P, "--include-referrers", "-o",
                work + "/backup", at + "model:v1")
        lab.run("oras", "restore", P, "--input", work + "/backup",
                at + "restored:v1")
        text = lab.run("oras", "discover", P, at + "restored:v1")
        for d in (top, sbom, sig):
            need(d in text, "%s is not in\n%s" % (d, text))
    with lab.row("oras", "blob push"):
        blob = lab.json("oras", "blob", "push", P, "--descriptor",
                        at + "blob", work + "/model.bin")
        same(blob["digest"], sha256(work + "/model.bin"), "the digest")
    with lab.row("oras", "blob fetch"):
        lab.run("oras", "blob", "fetch", P, "-o", work + "/fetched",
                at + "blob@" + blob["digest"])
        same(sha256(work + "/fetched"), blob["digest"], "the content")
        found = lab.json("oras", "blob", "fetch", P, "--descriptor",
                         at + "blob@" + blob["digest"])
        same(found["size"], 3 << 20, "the size")
    with lab.row("oras", "blob delete"):
        lab.run("oras", "blob", "delete", P, "-f",
                at + "blob@" + blob["digest"])
        lab.refused("oras", "blob", "fetch", P, "--descriptor",
                    at + "blob@" + blob["digest"], says="not found")
    manifests(lab, at, work, top, sbom)


def manifests(lab, at, work, top, sbom):
    with lab.row("oras", "manifest push"):
        lab.run("oras", "manifest", "fetch", P, "-o", work + "/m.json",
                at + "model:v1")
        text = load(work + "/m.json")
        text["annotations"] = {"changed": "yes"}
        lab.write(work + "/m.json", json.dumps(text))
        lab.run("oras", "manifest", "push", P, at + "model:v3",
                work + "/m.json")
        same(lab.run("oras", "resolve", P, at + "model:v3"),
             sha256(work + "/m.json"), "the digest")
    with lab.row("oras", "manifest index create"):
        lab.run("oras", "manifest", "index", "create", P,
                at + "model:all", "v1", "v3")
        found = lab.json("oras", "manifest", "fetch", P, at + "model:all")
        same({m["digest"] for m in found["manifests"]},
             {top, sha256(work + "/m.json")}, "the children")
    with lab.row("oras", "manifest delete"):
        lab.run("oras", "manifest", "delete", P, "-f",
                at + "model@" + sbom)
        found = lab.json("oras", "discover", P, at + "model:v1",
                         "--format", "json", "--depth", "1")["referrers"]
        need(sbom not in [r["digest"] for r in found],
             "a deleted referrer is listed")
        lab.run("oras", "manifest", "delete", P, "-f", at + "model:v3")
        lab.refused("oras", "resolve", P, at + "model:v3",
                    says="not found")
