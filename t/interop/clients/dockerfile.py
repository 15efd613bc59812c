"""The repository's own Dockerfile: built by buildah on a base made by
debootstrap, run by podman, pushed to and pulled from."""

import os
import signal
import subprocess

import setups
from lab import ROOT, Failed, need, same, same_layout
from nginx import wait_for
from world import proxies

PROGRAMS = ["podman", "buildah", "skopeo", "nsenter", "ip", "curl"]
TOOLS = ["oras", "crane"]
LONG = True
SETUPS = setups.ONCE
IMAGE = "localhost/nginx-oci"
LIMIT = 1800


def build(lab, base):
    lab.run("podman", "import", "-q", base, "localhost/base")
    log = lab.work("dockerfile.log")
    with open(log, "wb") as out:
        code = subprocess.run(
            ["buildah", "bud", "--isolation", "chroot", "--network", "host",
             "--build-arg", "BASE=localhost/base", "-t", IMAGE, ROOT],
            env=dict(lab.env, **proxies()), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, timeout=LIMIT,
            check=False).returncode
    if code != 0:
        with open(log, encoding="utf-8", errors="replace") as f:
            raise Failed("buildah bud: exit status %d\n%s"
                         % (code, f.read()[-3000:]))


class Container:
    """Runs it as it is, on every address of a network of its own that has
    nothing but a loopback."""

    def __init__(self, lab):
        self.lab = lab
        self.log = lab.work("container.log")
        with open(self.log, "ab") as out:
            self.proc = subprocess.Popen(
                ["unshare", "--net", "/bin/sh", "-c",
                 "ip link set lo up && exec podman run --rm --name registry"
                 " -v store:/var/lib/nginx/oci " + IMAGE],
                env=lab.env, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT)
        self.inside = ("nsenter", "--net=/proc/%d/ns/net" % self.proc.pid,
                       "--")
        wait_for("the container", self.serves, 60, 0.1)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def serves(self):
        need(self.proc.poll() is None, "it ended: " + self.said()[-2000:])
        status, out, _ = self.lab.attempt(
            *self.inside, "curl", "-s", "-m", "5", "-o", "/dev/null", "-w",
            "%{http_code}", "http://127.0.0.1:5000/v2/")
        return status == 0 and out == b"200"

    def run(self, name, *args, **kw):
        return self.lab.run(*self.inside, self.lab.program(name), *args,
                            **kw)

    def stop(self):
        self.lab.run("podman", "stop", "-t", "30", "registry")
        return self.proc.wait(60)

    def end(self):
        if self.proc.poll() is None:
            self.lab.attempt("podman", "rm", "-f", "-t", "1", "registry")
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.send_signal(signal.SIGKILL)
                self.proc.wait()


def run(lab):
    with lab.row("buildah", "build the Dockerfile"):
        build(lab, lab.base)
    with lab.row("podman", "run it: it serves"):
        c = Container(lab)
        try:
            push_and_pull(lab, c)
        finally:
            c.end()


def push_and_pull(lab, c):
    at = "docker://127.0.0.1:5000/"
    out = lab.fresh("container")
    with lab.row("container", "runs as www-data"):
        # conf.example without a user: the workers are the master's
        same(set(lab.run("podman", "exec", "registry", "stat", "-c", "%U",
                         "/proc/1", "/var/lib/nginx/oci/format").split()),
             {"www-data"}, "the user")
    with lab.row("container", "skopeo pushes and pulls through it"):
        c.run("skopeo", "copy", "-q", "--preserve-digests",
              "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
              at + "image:v1")
        c.run("skopeo", "copy", "-q", "--preserve-digests",
              "--src-tls-verify=false", at + "image:v1",
              "oci:%s/back:v1" % out)
        same_layout(out + "/back", lab.image)
    with lab.row("container", "oras pushes and pulls through it"):
        lab.write(out + "/text", os.urandom(100000))
        c.run("oras", "push", "--plain-http", "127.0.0.1:5000/text:v1",
              "text", cwd=out)
        c.run("oras", "pull", "--plain-http", "127.0.0.1:5000/text:v1",
              "-o", out + "/pulled")
    with lab.row("container", "crane deletes in it"):
        c.run("crane", "copy", "127.0.0.1:5000/image:v1",
              "127.0.0.1:5000/copy:v1")
        c.run("crane", "delete", "127.0.0.1:5000/copy:v1")
        same(c.run("crane", "ls", "127.0.0.1:5000/copy"), "", "the tags")
    with lab.row("container", "stops when it is asked to"):
        same(c.stop(), 0, "the exit status")
    with lab.row("container", "another one on the same volume has it all"):
        again = Container(lab)
        try:
            same(again.run("crane", "digest", "127.0.0.1:5000/image:v1"),
                 lab.digest, "the digest")
            again.run("crane", "validate", "--remote",
                      "127.0.0.1:5000/image:v1")
        finally:
            again.end()
        bad = [x for x in again.said().splitlines()
               if any(w in x for w in ("[alert]", "[crit]", "[emerg]"))]
        same(bad, [], "its log")
