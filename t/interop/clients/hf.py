"""huggingface_hub: models that other programs have pushed are downloaded as
from the hub."""

import os
import tempfile

import huggingface
import weights
from clients.dmr import Runner
from clients.models import PATH, modelpack
from lab import load, need, same, sha256

TOOLS = ["hf", "hf-old", "modctl", "dmr", "oras"]
LONG = True
NOTES = {"hf": "huggingface_hub, by its program and by snapshot_download(),"
               " of a location with oci_huggingface.",
         "hf-old": "The huggingface_hub of before 1.0, with requests."}
HUB = "location / { oci_huggingface main; %s }"

SHARDS = 4
FILES = tuple(("model-%05d-of-%05d.safetensors" % (i + 1, SHARDS), "weight",
               52 << 20) for i in range(SHARDS)) + (
    ("config.json", "weight.config", 700),
    ("tokenizer.json", "weight.config", 3 << 20),
    ("code/run.py", "code", 900), ("README.md", "doc", 0))


def sums(folder):
    """{path: digest} of what was downloaded."""
    return {os.path.relpath(os.path.join(top, name), folder):
            sha256(os.path.join(top, name))
            for top, dirs, names in os.walk(folder)
            if ".cache" not in os.path.relpath(top, folder).split(os.sep)
            for name in names}


class Hub:
    """A client with an empty cache, told that the hub is our server."""

    def __init__(self, lab, name="hf", **kw):
        os.makedirs(lab.work("hf"), exist_ok=True)
        self.folder = tempfile.mkdtemp(dir=lab.work("hf"))
        self.hub = huggingface.Program(name, lab.program(name)).at(
            "http://" + lab.registry, self.folder, **kw)

    def snapshot(self, repo, **kw):
        return sums(self.hub.snapshot(repo, **kw))

    def download(self, *args):
        path = os.path.join(self.folder, "here")
        self.hub.command("download", *args, "--local-dir", path)
        return sums(path)


def hub(lab):
    """A server of the set-up that is a registry and, at its root, a hub."""
    behind = "" if lab.setup.name == "origin" else "oci_pass @BEHIND@;"
    return lab.beside("the hub", server=HUB % behind)


def run(lab):
    with hub(lab):
        large(lab)
        docker(lab)
        oras(lab)


def large(lab):
    """A model of over 200 MiB, as modctl builds it."""
    layout = lab.work("hf-modelpack")
    top = modelpack(layout, FILES)
    layers = load(os.path.join(layout, "blobs", *top.split(":")))["layers"]
    wanted = {x["annotations"][PATH]: x["digest"] for x in layers}
    lab.run("modctl", "push", layout + ":v1",
            lab.registry + "/hf/modelpack:latest")
    lab.run("modctl", "push", layout + ":v1",
            lab.behind + "/hf/behind:latest")

    with lab.row("hf", "download of what modctl pushed"):
        same(Hub(lab).download("hf/modelpack"), wanted, "the files")
    with lab.row("hf", "snapshot_download, and again from its cache"):
        hub = Hub(lab)
        same(hub.snapshot("hf/modelpack"), wanted, "the files")
        mark = len(lab.access(lab.server))
        same(hub.snapshot("hf/modelpack"), wanted, "the files")
        need(not any("/resolve/" in x
                     for x in lab.access(lab.server)[mark:]),
             "files were asked for again")
    with lab.row("hf", "snapshot_download of some files, by the commit"):
        same(Hub(lab).snapshot("hf/modelpack", revision=top[7:47],
                               allow_patterns=["*.json"]),
             {n: d for n, d in wanted.items() if n.endswith(".json")},
             "the files")
    with lab.row("hf", "download of what was pushed behind the server"):
        same(Hub(lab).download("hf/behind"), wanted, "the files")
    with lab.row("hf-old", "snapshot_download of what modctl pushed"):
        same(Hub(lab, "hf-old").snapshot("hf/modelpack"), wanted,
             "the files")
    with lab.row("hf-old", "snapshot_download by hf_transfer, in ranges"):
        same(Hub(lab, "hf-old", transfer=True).snapshot("hf/modelpack"),
             wanted, "the files")


def docker(lab):
    """Models that Docker's runner has packed and pushed."""
    at = lab.registry + "/hf/"
    with Runner(lab, "hf-dmr") as runner:
        with lab.row("hf", "download of what Docker's model runner pushed"):
            path = weights.gguf(runner.folder + "/model.gguf", 20 << 20)
            runner.run("package", "--gguf", path, "--push",
                       at + "gguf:latest")
            same(sorted(Hub(lab).download("hf/gguf").values()),
                 [sha256(path)], "the file")
            folder = weights.safetensors(runner.folder + "/model", 20 << 20)
            runner.run("package", "--safetensors-dir", folder, "--push",
                       at + "safetensors:latest")
            same(Hub(lab).download("hf/safetensors"), sums(folder),
                 "the files")


def oras(lab):
    with lab.row("hf", "download of what oras pushed"):
        folder = lab.fresh("hf-oras")
        lab.write(folder + "/model.gguf", os.urandom(3 << 20))
        lab.write(folder + "/docs/README.md", "# A model\n")
        lab.run("oras", "push", "--plain-http",
                lab.registry + "/hf/oras:latest", "model.gguf",
                "docs/README.md", cwd=folder)
        same(Hub(lab).download("hf/oras"), sums(folder), "the files")
