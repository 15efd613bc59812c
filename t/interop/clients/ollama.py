"""Ollama: a model made from a file in GGUF, pushed and pulled by parts."""

import json
import os
import re
import signal
import subprocess

import weights
from daemon import Daemon
from gate import wait_for
from lab import need, same, sha256

TOOLS = ["ollama"]
LONG = True
SIZE = 230 << 20            # of which Ollama makes three parts
TENSORS = 12
SLOW = "limit_rate 20m;"    # each part: time to cut a pull off

MODELFILE = """\
FROM %s
TEMPLATE "{{ .Prompt }}"
SYSTEM %s
PARAMETER temperature 0.5
LICENSE None at all.
"""


class Ollama(Daemon):
    def __init__(self, lab, name):
        super().__init__(lab, name, "ollama", "serve", env={
            "OLLAMA_HOST": "@AT@", "OLLAMA_MODELS": "@FOLDER@/models",
            "OLLAMA_LLM_LIBRARY": "cpu"})

    def run(self, *args):
        return self.lab.run("ollama", *args, env=self.env)

    def push(self, source, ref):
        self.run("cp", source, ref)
        self.run("push", "--insecure", ref)

    def pull(self, ref):
        self.run("pull", "--insecure", ref)

    def manifest(self, ref):
        host, _, path = ref.partition("/")
        with open(os.path.join(self.folder, "models", "manifests", host,
                               path.replace(":", "/")), "rb") as f:
            return json.load(f)

    def key(self):
        """Of its key, what it names in a request for a token."""
        with open(self.folder + "/.ollama/id_ed25519.pub",
                  encoding="ascii") as f:
            return f.read().split()[1]

    def files(self):
        folder = os.path.join(self.folder, "models", "blobs")
        return [os.path.join(folder, name) for name in os.listdir(folder)]

    def has(self, ref, manifest):
        """All of it, whole."""
        same(self.manifest(ref), manifest, "the manifest")
        found = {sha256(path) for path in self.files()}
        for d in manifest["layers"] + [manifest["config"]]:
            need(d["digest"] in found, "no " + d["mediaType"])


def create(daemon, name, word, path=None):
    """A model, its weights new ones or those at path: where they are."""
    if path is None:
        path = weights.gguf(os.path.join(daemon.folder, name), SIZE)
    text = daemon.lab.write(os.path.join(daemon.folder, "Modelfile"),
                            MODELFILE % (path, word))
    daemon.run("create", name, "-f", text)
    return path


def large(manifest):
    return max(manifest["layers"], key=lambda d: d["size"])


def parts(lab, mark, digest):
    """The ranges of a blob that were answered: how many bytes each."""
    return [int(m[1]) for m in (
        re.search(r'" 206 (\d+)', line) for line in lab.access(
            lab.server)[mark:] if '"GET ' in line and digest in line) if m]


def run(lab):
    with Ollama(lab, "ollama-from") as source, \
            Ollama(lab, "ollama-to") as to:
        with lab.row("ollama", "create from GGUF"):
            path = create(source, "one", "You are small.")
        plain(lab, source, to)
        another(lab, source, to, path)
        with lab.row("ollama", "pull, cold"):
            create(source, "two", "You are cold.")
            source.push("two", lab.behind + "/ollama/cold:v1")
            pulled(lab, source, to, "two", lab.registry + "/ollama/cold:v1")
        cut(lab, source, to)
        tensors(lab, source, to)
        login(lab, source, to)


def pulled(lab, source, to, name, ref):
    """Pulls by three parts at once."""
    wanted = source.manifest("registry.ollama.ai/library/%s:latest" % name)
    mark = len(lab.access(lab.server))
    to.pull(ref)
    to.has(ref, wanted)
    sent = parts(lab, mark, large(wanted)["digest"])
    need(len(sent) >= 3, "it came in %d parts" % len(sent))


def plain(lab, source, to):
    ref = lab.registry + "/ollama/tiny:Q4_K_M"
    with lab.row("ollama", "push"):
        source.push("one", ref)
    with lab.row("ollama", "push of what is there"):
        mark = len(lab.access(lab.server))
        source.run("push", "--insecure", ref)
        need(not [x for x in lab.access(lab.server)[mark:]
                  if '"PATCH ' in x], "it was sent again")
    with lab.row("ollama", "pull"):
        pulled(lab, source, to, "one", ref)


def another(lab, source, to, path):
    """The tag moves to a model with the same weights."""
    ref = lab.registry + "/ollama/tiny:Q4_K_M"
    with lab.row("ollama", "pull of a new version, without its weights"):
        create(source, "newer", "You are new.", path)
        source.push("newer", ref)
        wanted = source.manifest(ref)
        mark = len(lab.access(lab.server))
        to.pull(ref)
        to.has(ref, wanted)
        same(parts(lab, mark, large(wanted)["digest"]), [], "the parts")


def cut(lab, source, to):
    """Whoever pulls stops it and does so again."""
    with lab.beside("the slow server", location=SLOW) as slow, \
            lab.row("ollama", "pull, cut off and resumed"):
        create(source, "three", "You are slow.")
        ref = slow.registry + "/ollama/slow:v1"
        source.push("three", lab.behind + "/ollama/slow:v1")
        wanted = source.manifest(
            "registry.ollama.ai/library/three:latest")
        big = large(wanted)
        name = big["digest"].replace(":", "-") + "-partial-"
        first = subprocess.Popen(
            [lab.program("ollama"), "pull", "--insecure", ref],
            env=dict(lab.env, **to.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def some():
            done = 0
            for path in to.files():
                if name in path:
                    with open(path, encoding="ascii") as f:
                        done += json.loads(f.read() or "{}").get(
                            "Completed", 0)
            return done > big["size"] // 8

        wait_for("some of the parts", some, 60)
        first.send_signal(signal.SIGINT)
        first.wait(30)
        wait_for("the parts that were cut off", lambda: parts(
            lab, 0, big["digest"]), 30)
        mark = len(lab.access(lab.server))
        to.pull(ref)
        to.has(ref, wanted)
        sent = sum(parts(lab, mark, big["digest"]))
        need(0 < sent < big["size"] * 9 // 10,
             "%d bytes were sent again" % sent)


def tensors(lab, source, to):
    """From safetensors it makes a blob of each tensor, and another part of
    it carries them: all at once, by requests of its own kind."""
    ref = lab.registry + "/ollama/tensors:v1"
    with lab.row("ollama", "create from safetensors"):
        folder = weights.safetensors(source.folder + "/tensors", 16 << 20,
                                     TENSORS)
        text = lab.write(source.folder + "/Modelfile",
                         "FROM %s\n" % folder)
        source.run("create", "--experimental", "tensors", "-f", text)
    with lab.row("ollama", "push by tensors"):
        source.push("tensors", ref)
    with lab.row("ollama", "pull by tensors"):
        to.pull(ref)
        to.has(ref, source.manifest(ref))


# ---- A login by Ollama's own means: a token for whoever holds a key that
# the registry knows.  A real service checks the signature, which comes after
# the key; here nobody lies.

LOGIN_HTTP = """
    map_hash_bucket_size 256;
    map $http_authorization $known_key {
        default            0;
        "~^(?:%(keys)s):"  1;
    }
    map $http_authorization $has_token {
        default             0;
        "Bearer %(token)s"  1;
    }
"""

LOGIN = """
    keepalive_timeout 1s;
    location = /token {
        default_type application/json;
        if ($known_key = 0) {
            return 401 '{"error":"who are you"}';
        }
        return 200 '{"token":"%(token)s"}';
    }
    location = /check {
        if ($has_token) {
            return 204;
        }
        add_header WWW-Authenticate 'Bearer realm="http://$http_host/token",\
service="registry",scope="repository:any:pull,push"' always;
        return 401;
    }
    location = /may {
        internal;
        client_max_body_size    0;
        proxy_pass              http://127.0.0.1:@PORT@/check;
        proxy_pass_request_body off;
        proxy_set_header        Content-Length "";
        proxy_set_header        Host $http_host;
    }
    location /v2/ {
        @OCI@
        oci_signed_urls on %(url)s;
        auth_request    /may;
    }
"""

# Tensors are read twice by the client, unless it is sent to another port.

BLOBS = """
    server {
        listen 127.0.0.1:@PORT:blobs@;
        keepalive_timeout 1s;
        location /v2/ {
            @OCI@
            oci_signed_urls on;
            auth_request    /no;
        }
        location = /no {
            internal;
            return 403;
        }
    }
"""


def login(lab, source, to):
    values = {"keys": "|".join(re.escape(d.key()) for d in (source, to)),
              "token": os.urandom(20).hex(), "url": ""}
    with lab.beside("the server with a login", v2="",
                    http=LOGIN_HTTP % values, server=LOGIN % values) as here:
        ref = here.registry + "/ollama/guarded:v1"
        with lab.row("ollama", "login by its key, push"):
            create(source, "four", "You are known.")
            source.push("four", ref)
        with lab.row("ollama", "login by its key, pull by signed URLs"):
            pulled(lab, source, to, "four", ref)
            signed(lab, large(to.manifest(ref))["digest"])
        with lab.row("ollama", "pull with an unknown key is refused"), \
                Ollama(lab, "ollama-stranger") as stranger:
            lab.refused("ollama", "pull", "--insecure", ref,
                        env=stranger.env, says="who are you")
            same(stranger.files(), [], "what it got")
    values["url"] = "url=http://127.0.0.1:@PORT:blobs@/"
    with lab.beside("the server with another one for blobs", v2="",
                    http=LOGIN_HTTP % values + BLOBS,
                    server=LOGIN % values) as here, \
            lab.row("ollama", "login by its key, each tensor comes once"):
        ref = here.registry + "/ollama/tensors:v2"
        source.push("tensors", ref)
        wanted = source.manifest(ref)
        for path in to.files():
            os.unlink(path)         # it looks for what it has
        to.pull(ref)
        to.has(ref, wanted)
        for d in wanted["layers"]:
            same(len(signed(lab, d["digest"])), 1,
                 "how often %s was sent" % d["mediaType"])


def signed(lab, digest):
    """The answers with content for a blob: all to signed URLs."""
    found = [x for x in lab.access(lab.server)
             if '"GET ' in x and digest in x
             and re.search(r'" 20[06] ', x)]
    need(found and all("oci_signature=" in x for x in found),
         "not by signed URLs alone: %s" % found)
    return found
