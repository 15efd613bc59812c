"""modctl and KitOps: models.  Neither is to be had as a module; what they
ask of a registry is replayed by programs of ours."""

import json
import os

from lab import Layout, blobs, load, need, same, sha256

TOOLS = ["modctl", "kit", "oras"]
LONG = True
WHY = ("Its module is not served by the module proxy. A program of ours"
       " sends its requests, in its order and with its headers, through"
       " oras-go %s, the library that it uses.")
REPLAYS = {"modctl": WHY % "2.6.2", "kit": WHY % "2.6.0"}
VERSIONS = {"modctl": "0.2.2", "kit": "1.7.0"}

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MODEL = "application/vnd.cncf.model."
PATH = "org.cncf.model.filepath"
META = "org.cncf.model.file.metadata+json"
KIT = "application/vnd.kitops.modelkit."

FILES = (("config.json", "weight.config", 700),
         ("tokenizer.json", "weight.config", 3 << 20),
         ("model-00001-of-00002.safetensors", "weight", 40 << 20),
         ("model-00002-of-00002.safetensors", "weight", 9 << 20),
         ("code/run.py", "code", 900), ("README.md", "doc", 0))


def finish(out, layers, config, **more):
    """The layout's manifest, tagged v1: its digest."""
    top = out.add(dict({"schemaVersion": 2, "mediaType": MANIFEST,
                        "config": config, "layers": layers}, **more),
                  MANIFEST)
    out.finish(dict(top, annotations={
        "org.opencontainers.image.ref.name": "v1"}))
    return top["digest"]


def modelpack(folder, files=FILES, source=None):
    """A model as `modctl build` makes it, each file a raw layer: its
    manifest's digest.  source: where the files are, else they are made."""
    out, layers = Layout(folder), []
    for name, kind, size in files:
        meta = {"name": os.path.basename(name), "mode": 420, "uid": 0,
                "gid": 0, "size": size, "mtime": "2026-01-01T00:00:00Z",
                "typeflag": 48}
        if source:
            with open(os.path.join(source, name), "rb") as f:
                data = f.read()
        else:
            data = os.urandom(size)
        layers.append(out.add(
            data, "%s%s.v1.raw" % (MODEL, kind),
            annotations={PATH: name, META: json.dumps(meta)}))
    config = out.add(
        {"descriptor": {"name": "small", "createdAt":
                        "2026-01-01T00:00:00Z"},
         "modelfs": {"type": "layers",
                     "diffIds": [x["digest"] for x in layers]},
         "config": {"format": "safetensors"}}, MODEL + "config.v1+json")
    return finish(out, layers, config,
                  artifactType=MODEL + "manifest.v1+json")


def modelkit(folder):
    """A model as `kit pack` makes it; one layer is over the size from which
    it is sent in parts."""
    out = Layout(folder)
    layers = [out.add(os.urandom(size), "%s%s.v1.tar" % (KIT, kind))
              for kind, size in (("model", (100 << 20) + 70001),
                                 ("modelpart", 5 << 20), ("docs", 4000))]
    config = out.add({"manifestVersion": "1.0.0",
                      "package": {"name": "small"}},
                     KIT + "config.v1+json")
    return finish(out, layers, config)


def run(lab):
    work = lab.fresh("models")
    modctl(lab, work)
    kit(lab, work)


def there(lab, reference, wanted):
    same(lab.run("oras", "resolve", "--plain-http", reference), wanted,
         "the digest")


def modctl(lab, work):
    at = lab.registry + "/modctl/"
    layout = work + "/modelpack"
    top = modelpack(layout)
    layers = load(os.path.join(layout, "blobs", *top.split(":")))["layers"]
    files = {x["annotations"][PATH]: x["digest"] for x in layers}

    with lab.row("modctl", "build --output-remote"):
        lab.run("modctl", "build", layout + ":v1", at + "built:v1")
        there(lab, at + "built:v1", top)
    with lab.row("modctl", "push"):
        lab.run("modctl", "push", layout + ":v1", at + "pushed:v1")
        there(lab, at + "pushed:v1", top)
    with lab.row("modctl", "push what is there already"):
        mark = len(lab.access(lab.server))
        lab.run("modctl", "push", layout + ":v1", at + "pushed:v1")
        need(not any('"PUT ' in x for x in lab.access(lab.server)[mark:]),
             "something was put again")
        lab.run("modctl", "push", layout + ":v1", at + "pushed:v2")
        there(lab, at + "pushed:v2", top)
    with lab.row("modctl", "pull"):
        lab.run("modctl", "pull", at + "built:v1", work + "/pulled")
        same(blobs(work + "/pulled"), blobs(layout), "the blobs")
    with lab.row("modctl", "pull --extract-from-remote"):
        lab.run("modctl", "pull-files", at + "pushed:v1", work + "/files")
        for name, digest in files.items():
            same(sha256(work + "/files/" + name), digest, name)
    with lab.row("modctl", "fetch --patterns"):
        mark = len(lab.access(lab.server))
        lab.run("modctl", "fetch", at + "pushed:v2", work + "/some",
                "*.json")
        same(sorted(os.listdir(work + "/some")),
             ["config.json", "tokenizer.json"], "the files")
        for name in ("config.json", "tokenizer.json"):
            same(sha256(work + "/some/" + name), files[name], name)
        same(sum("/blobs/" in x for x in lab.access(lab.server)[mark:]), 2,
             "the blobs that were asked for")
    with lab.row("modctl", "pull what was pushed behind the server"):
        lab.run("modctl", "push", layout + ":v1",
                lab.behind + "/modctl/behind:v1")
        lab.run("modctl", "pull", at + "behind:v1", work + "/behind")
        same(blobs(work + "/behind"), blobs(layout), "the blobs")


def kit(lab, work):
    at = lab.registry + "/kit/"
    layout = work + "/modelkit"
    top = modelkit(layout)
    wanted = blobs(layout)

    def whole(folder):
        for digest in wanted:
            same(sha256(os.path.join(folder, digest[7:])), digest, "a blob")

    with lab.row("kit", "push, a large layer in parts"):
        mark = len(lab.access(lab.server))
        lab.run("kit", "push", layout + ":v1", at + "model:v1")
        there(lab, at + "model:v1", top)
        parts = [x for x in lab.access(lab.server)[mark:]
                 if '"PATCH ' in x and '" 202 ' in x]
        same(len(parts), 2, "the parts")
    with lab.row("kit", "pull"):
        lab.run("kit", "pull", at + "model:v1", work + "/kit")
        whole(work + "/kit")
    with lab.row("kit", "pull, begun before: the rest alone comes"):
        large = max(wanted, key=wanted.get)
        path = os.path.join(layout, "blobs", *large.split(":"))
        with open(path, "rb") as f:
            lab.write(work + "/rest/" + large[7:], f.read(60 << 20))
        mark = len(lab.access(lab.server))
        lab.run("kit", "pull", at + "model:v1", work + "/rest")
        whole(work + "/rest")
        need(any(large in x and '" 206 %d ' % (wanted[large] - (60 << 20))
                 in x for x in lab.access(lab.server)[mark:]),
             "no answer of just the rest")
    with lab.row("kit", "pull what was pushed behind the server"):
        lab.run("kit", "push", layout + ":v1", lab.behind + "/kit/behind:v1")
        lab.run("kit", "pull", at + "behind:v1", work + "/behind-kit")
        whole(work + "/behind-kit")
