"""The Rust crate oci-client, by a program of ours: the way in which Spin
and wasmCloud, too large to be built here, push and pull components."""

import json
import os

from clients.login import CLOSED, NO, OPEN, USER, WORD, users
from lab import digest, need, same

TOOLS = ["oci-client"]
LONG = True
NOTES = {"oci-client": "A program of ours over the Rust crate, the client of"
                       " wasmCloud and Spin, with the layers of a Spin"
                       " application; those two are too large to be built"
                       " for a test."}

WASM = "application/vnd.wasm.content.layer.v1+wasm"
DATA = "application/vnd.wasm.content.layer.v1+data"
LOCKED = "application/vnd.fermyon.spin.application.v1+config"
CONFIG = "application/vnd.oci.image.config.v1+json"
SIGNATURE = "application/vnd.example.signature"
FILES = 120


def application(lab, name):
    """An application as Spin packs it: a module, many files, and last what
    it is made of.  Arguments of push, and each layer's digest."""
    work = lab.fresh(name)
    parts = {"config": (CONFIG, json.dumps(
        {"architecture": "wasm", "os": "Wasip1", "config": {},
         "rootfs": {"type": "layers", "diff_ids": []}}).encode()),
        "module": (WASM, b"\0asm\1\0\0\0" + os.urandom(9 << 20))}
    for i in range(FILES):
        parts["file-%d" % i] = (DATA, os.urandom(1 + 331 * i))
    parts["locked"] = (LOCKED, json.dumps({"files": FILES}).encode())
    for name, (_, data) in parts.items():
        lab.write(os.path.join(work, name), data)
    return (["%s/%s:%s" % (work, name, kind)
             for name, (kind, _) in parts.items()],
            sorted(digest(data) for name, (_, data) in parts.items()
                   if name != "config"))


def pulled(folder):
    found = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            found.append(digest(f.read()))
    return sorted(found)


class Rust:
    def __init__(self, lab):
        self.lab = lab
        self.work = lab.fresh("oci-client")

    def run(self, command, ref, *args, **env):
        return self.lab.run("oci-client", command, ref, *args, env=env)

    def raw(self, command, ref, *args):
        return self.lab.raw("oci-client", command, ref, *args)

    def pull(self, ref, name):
        """The digests of the manifest and of what came."""
        to = self.lab.fresh(name)
        top = self.run("pull", ref, to, WASM, DATA, LOCKED)
        return top, pulled(to)


def run(lab):
    rust = Rust(lab)
    at = lab.registry + "/oci-client/"
    args, wanted = application(lab, "spin")
    with lab.row("oci-client", "push by chunks"):
        top = rust.run("push", at + "app:v1", *args).split("/")[-1]
    with lab.row("oci-client", "push each blob by one PUT"):
        same(rust.run("push", at + "whole:v1", *args, OCI_WHOLE="1")
             .split("/")[-1], top, "the digest")
    with lab.row("oci-client", "pull of %d layers" % len(wanted)):
        same(rust.pull(at + "app:v1", "spin-pulled"), (top, wanted),
             "what came")
    with lab.row("oci-client", "pull by digest"):
        same(rust.pull(at + "whole@" + top, "spin-digest"), (top, wanted),
             "what came")
    questions(lab, rust, at, args, top)
    with lab.row("oci-client", "attach"):
        lab.write(rust.work + "/signature", os.urandom(100))
        sig = rust.run("attach", at + "app:signed", at + "app:v1", SIGNATURE,
                       rust.work + "/signature").split("/")[-1]
    with lab.row("oci-client", "referrers"):
        lab.wants("referrers")
        same(rust.run("referrers", at + "app@" + top), sig + " " + SIGNATURE,
             "the referrers")
        same(rust.run("referrers", at + "app@" + top, "text/plain"), "",
             "those of another type")
    with lab.row("oci-client", "pull, cold"):
        args, wanted = application(lab, "spin-cold")
        top = rust.run("push", lab.behind + "/oci-client/cold:v1",
                       *args).split("/")[-1]
        same(rust.pull(at + "cold:v1", "spin-cold-pulled"), (top, wanted),
             "what came")
    login(lab, rust, args[:1] + args[-3:])


def questions(lab, rust, at, args, top):
    module = args[1].rpartition(":")[0]
    with open(module, "rb") as f:
        data = f.read()
    with lab.row("oci-client", "digest of a tag"):
        same(rust.run("digest", at + "app:v1"), top, "the digest")
    with lab.row("oci-client", "tags"):
        same(rust.run("tags", at + "app:v1"), "v1", "the tags")
    with lab.row("oci-client", "whether a blob is there"):
        for d, there in (digest(data), "true"), (digest(b"no"), "false"):
            same(rust.run("exists", at + "app:v1", d), there, d)
    with lab.row("oci-client", "a part of a blob"):
        need(rust.raw("part", at + "app:v1", digest(data), "70001",
                      "3000000") == data[70001:3070001], "other bytes")
    with lab.row("oci-client", "mount"):
        rust.run("mount", at + "other:v1", at + "app:v1", digest(data))
        same(rust.run("exists", at + "other:v1", digest(data)), "true",
             "whether it is there")


def login(lab, rust, args):
    """The client asks /v2/ what is wanted, and nothing else."""
    who = {"OCI_USER": USER, "OCI_WORD": WORD}
    no = dict(who, OCI_WORD="wrong")
    with lab.beside("the server with anonymous pull", server=OPEN, v2="",
                    prepare=users) as here:
        ref = here.registry + "/oci-client/open:v1"
        with lab.row("oci-client", "push after login, pull without"):
            top = rust.run("push", ref, *args, **who).split("/")[-1]
            same(rust.run("digest", ref), top, "the digest")
        with lab.row("oci-client", "push without login is refused"):
            for env in {}, no:
                lab.refused("oci-client", "push", ref, *args, env=env,
                            says=NO)
    with lab.beside("the closed server", server=CLOSED, v2="",
                    prepare=users) as here:
        ref = here.registry + "/oci-client/closed:v1"
        with lab.row("oci-client",
                     "login, push and pull where all needs one"):
            top = rust.run("push", ref, *args, **who).split("/")[-1]
            same(rust.run("digest", ref, **who), top, "the digest")
        with lab.row("oci-client", "pull without login is refused there"):
            for env in {}, no:
                lab.refused("oci-client", "digest", ref, env=env, says=NO)
