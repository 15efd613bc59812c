"""
The loaders of vLLM and SGLang: what they ask a hub for, by the library that
they ask with.
"""

import json
import os

from clients.models import PATH, modelpack
from lab import load, need, same

from . import volume

TOOLS = ["hf", "hf-old", "modctl"]
LONG = True
REPLAYS = {
    "vLLM": "vLLM comes with PyTorch, some GB: the calls of its loader"
    " (commit 01775b5e), by huggingface_hub itself",
    "SGLang": "SGLang comes with PyTorch, some GB: the calls of its loader"
    " (commit 00b08c49), by huggingface_hub itself"}

FILES = (("model-00001-of-00002.safetensors", "weight", 8 << 20),
         ("model-00002-of-00002.safetensors", "weight", 8 << 20),
         ("model.safetensors.index.json", "weight.config", 2000),
         ("config.json", "weight.config", 700),
         ("tokenizer.json", "weight.config", 1 << 20),
         ("README.md", "doc", 3000))

# which weights there are; then these alone
WEIGHTS = """
import fnmatch
listed = fs.ls(repo, detail=False, revision=revision)
pattern = [p for p in ("*.safetensors", "*.bin", "*.pt")
           if fnmatch.filter(listed, p)][0]
"""

# transformers_utils/repo_utils.py, model_loader/weight_utils.py: the revision
# once, the list of files once, single files, some of which are not there
VLLM = """
repo, revision = args["repo"], None
who = dict(library_name="vllm", library_version="0")
api, fs = hub.HfApi(**who), hub.HfFileSystem(**who)
if hasattr(api, "resolve_revision"):
    revision = api.resolve_revision(repo, revision=None)
names = api.list_repo_files(repo, revision=revision)
for name in ("config.json", "params.json", "tokenizer.json",
             "generation_config.json", "processor_config.json"):
    try:
        api.hf_hub_download(repo, name, revision=revision)
        assert name in names, name
    except hub.errors.EntryNotFoundError:
        assert name not in names, name
""" + WEIGHTS + """
folder = api.snapshot_download(repo, allow_patterns=[pattern],
                               revision=revision)
api.hf_hub_download(repo, "model.safetensors.index.json", revision=revision)
print(json.dumps(folder))
"""

# srt/model_loader/weight_utils.py
SGLANG = """
repo, revision = args["repo"], None
fs = hub.HfFileSystem()
hub.snapshot_download(repo, revision=revision, allow_patterns="*.json")
""" + WEIGHTS + """
folder = hub.snapshot_download(repo, allow_patterns=[pattern],
                               ignore_patterns=["original/**/*"],
                               revision=revision)
hub.hf_hub_download(repo_id=repo, filename="model.safetensors.index.json",
                    revision=revision)
try:
    hub.hf_hub_download(repo_id=repo, filename="adapter_config.json")
    raise AssertionError("there is an adapter")
except hub.errors.EntryNotFoundError:
    pass
print(json.dumps(folder))
"""


# both have this before and after
FRAME = """
import json, sys
import huggingface_hub as hub
args = {"repo": sys.argv[1]}
%s"""

HUB = "location / { oci_huggingface main; %s }"


def run(lab):
    behind = "" if lab.setup.name == "origin" else "oci_pass @BEHIND@;"
    layout = lab.work("loaders-model")
    top = modelpack(layout, FILES)
    layers = load(os.path.join(layout, "blobs", *top.split(":")))["layers"]
    wanted = {x["annotations"][PATH]: x["digest"].split(":")[1]
              for x in layers}
    with lab.beside("the hub", server=HUB % behind):
        lab.run("modctl", "push", layout + ":v1",
                lab.behind + "/loaders/model:latest")
        for client, code in (("vLLM", VLLM), ("SGLang", SGLANG)):
            for library in ("hf", "hf-old"):
                row(lab, client, code, library, wanted)


def row(lab, client, code, library, wanted):
    """A loader, with an empty cache."""
    by = "" if library == "hf" else ", by a huggingface_hub of before 1.0"
    home = lab.fresh("loaders-%s-%s" % (client, library))
    python = os.path.join(os.path.dirname(lab.program(library)), "venv",
                          "bin", "python3")
    with lab.row(client, "its loader's calls" + by):
        said = lab.run(
            python, "-c", FRAME % code, "loaders/model", env={
                "HF_ENDPOINT": "http://" + lab.registry, "HF_HOME": home,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_UPDATE_CHECK": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
        found = volume.files(json.loads(said.splitlines()[-1]))
        same({n: wanted.get(n) for n in found}, found, "the files")
        need(set(found) >= set(wanted) - {"README.md"},
             "only %s" % sorted(found))
        need("README.md" not in found, "more than was asked for")
