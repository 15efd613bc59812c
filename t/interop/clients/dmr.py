"""Docker's model runner (its distribution client by dmr, the program that
runs without Docker): models in GGUF and in safetensors."""

import base64
import json
import os
import subprocess

import weights
from clients.login import CLOSED, NO, USER, WORD, users
from daemon import Daemon
from gate import wait_for
from lab import need, same, sha256

TOOLS = ["dmr"]
LONG = True
NOTES = {"dmr": "Docker's model runner without Docker; its distribution"
                " client is that of docker model."}
SIZE = 60 << 20
SLOW = "limit_rate 10m;"
SAYS = NO + ("no basic auth credentials",)


class Runner(Daemon):
    def __init__(self, lab, name):
        super().__init__(lab, name, "dmr", "serve", env={
            "MODEL_RUNNER_HOST": "http://@AT@",
            "MODEL_RUNNER_PORT": "@PORT@",
            "MODELS_PATH": "@FOLDER@/models",
            "MODEL_RUNNER_LOG_DIR": "@FOLDER@",
            "INSECURE_REGISTRY": "true", "DISABLE_SERVER_UPDATE": "1"})

    def run(self, *args):
        return self.lab.run("dmr", *args, env=self.env)

    def login(self, registry):
        """As docker login leaves it."""
        auth = base64.b64encode(("%s:%s" % (USER, WORD)).encode()).decode()
        self.lab.write(self.folder + "/.docker/config.json", json.dumps(
            {"auths": {registry: {"auth": auth}}}))

    def folder_of_blobs(self):
        return os.path.join(self.folder, "models", "blobs", "sha256")

    def has(self, wanted):
        """That each of these files ({digest: path}) is there, whole."""
        found = self.folder_of_blobs()
        for d, path in wanted.items():
            blob = os.path.join(found, d.split(":")[1])
            need(os.path.exists(blob), "no " + os.path.basename(path))
            same(sha256(blob), d, os.path.basename(path))


def files(*paths):
    return {sha256(p): p for p in paths}


def run(lab):
    with Runner(lab, "dmr-from") as source, Runner(lab, "dmr-to") as to:
        gguf(lab, source, to)
        safetensors(lab, source, to)
        with lab.row("dmr", "pull, cold"):
            path = weights.gguf(source.folder + "/cold.gguf", SIZE)
            source.run("package", "--gguf", path, "--push",
                       lab.behind + "/dmr/cold:v1")
            to.run("pull", lab.registry + "/dmr/cold:v1")
            to.has(files(path))
        cut(lab, source, to)
        login(lab, source, to)


def gguf(lab, source, to):
    path = weights.gguf(source.folder + "/model.gguf", SIZE)
    license = lab.write(source.folder + "/LICENSE", "None at all.\n")
    ref = lab.registry + "/dmr/gguf:"
    with lab.row("dmr", "package GGUF and push"):
        source.run("package", "--gguf", path, "--license", license,
                   "--push", ref + "v1")
    with lab.row("dmr", "pull GGUF"):
        to.run("pull", ref + "v1")
        to.has(files(path, license))
    with lab.row("dmr", "tag, push from the runner"):
        to.run("tag", ref + "v1", ref + "v2")
        to.run("push", ref + "v2")
        to.run("rm", "-f", ref + "v1", ref + "v2")
        same(os.listdir(to.folder_of_blobs()), [], "what is left")
        to.run("pull", ref + "v2")
        to.has(files(path, license))


def safetensors(lab, source, to):
    folder = weights.safetensors(source.folder + "/model", SIZE, 3)
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    for kind, name in ("docker", "safetensors"), ("cncf", "modelpack"):
        ref = "%s/dmr/%s:v1" % (lab.registry, name)
        with lab.row("dmr", "package %s and push" % name):
            source.run("package", "--safetensors-dir", folder, "--format",
                       kind, "--push", ref)
        with lab.row("dmr", "pull " + name):
            to.run("pull", ref)
            to.has(files(*paths))
            to.run("rm", "-f", ref)


def cut(lab, source, to):
    """The runner is killed in the middle of a pull, and pulls again."""
    with lab.beside("the slow server", location=SLOW) as slow, \
            lab.row("dmr", "pull, cut off and resumed"):
        path = weights.gguf(source.folder + "/slow.gguf", SIZE)
        digest = sha256(path)
        part = os.path.join(to.folder_of_blobs(),
                            digest.split(":")[1] + ".incomplete")
        source.run("package", "--gguf", path, "--push",
                   lab.behind + "/dmr/slow:v1")
        ref = slow.registry + "/dmr/slow:v1"
        first = subprocess.Popen(
            [lab.program("dmr"), "pull", ref], stdin=subprocess.DEVNULL,
            env=dict(lab.env, **to.env), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for("a part of it", lambda: os.path.exists(part)
                 and os.path.getsize(part) > SIZE // 8, 60)
        to.kill()
        first.wait(30)
        to.start()
        had = os.path.getsize(part)
        need(0 < had < SIZE, "%d bytes of it were there" % had)
        to.run("pull", ref)
        to.has({digest: path})
        need([x for x in lab.access(slow.server) if digest in x
              and '" 206 %d ' % (os.path.getsize(path) - had) in x],
             "no request for the rest of it")


def login(lab, source, to):
    path = weights.gguf(source.folder + "/closed.gguf", SIZE // 10)
    with lab.beside("the closed server", server=CLOSED, v2="",
                    prepare=users) as here:
        ref = here.registry + "/dmr/closed:v1"
        with lab.row("dmr", "push and pull without login are refused"):
            lab.refused("dmr", "package", "--gguf", path, "--push", ref,
                        env=source.env, says=SAYS)
            lab.refused("dmr", "pull", ref, env=to.env, says=SAYS)
        with lab.row("dmr", "login, push and pull where all needs one"):
            source.login(here.registry)
            source.run("package", "--gguf", path, "--push", ref)
            to.login(here.registry)
            to.run("pull", ref)
            to.has(files(path))
