"""Logins: anonymous pull with authenticated push, and nothing for anyone
without a login.  The first is the configuration that the README shows."""

import os

from lab import need, same

PROGRAMS = ["skopeo", "podman"]
TOOLS = ["oras", "crane"]
LONG_TOOLS = ["regctl", "helm"]
USER, WORD, WRONG = "alice", "secret", "wrong"
NO = ("401", "unauthorized", "authentication required",
      "invalid username/password", "basic credential not found")

OPEN = """
    auth_basic_user_file @PREFIX@/files/users;
    location = /v2/ {
        @OCI@
        auth_basic "registry";
    }
    location /v2/ {
        @OCI@
        limit_except GET HEAD {
            auth_basic "registry";
        }
    }
"""

CLOSED = """
    auth_basic "registry";
    auth_basic_user_file @PREFIX@/files/users;
    location /v2/ {
        @OCI@
    }
"""


def users(n):
    n.own(n.file("users", "%s:{PLAIN}%s\n" % (USER, WORD)))


class Client:
    """What a client logs in with, pushes and pulls; ENV names the file of
    its logins, so that each can be someone else."""

    env = "REGISTRY_AUTH_FILE"

    def __init__(self, lab, room, work):
        self.lab = lab
        self.registry = lab.registry
        self.work = work
        self.name = type(self).__name__.lower()
        self.room = "%s/%s" % (room, self.name)
        self.at = "%s/%s/image" % (self.registry, self.room)

    def who(self, name):
        """The environment of someone, who has no login yet."""
        path = os.path.join(self.work, self.name + "-" + name)
        if self.env == "REGISTRY_AUTH_FILE":
            self.lab.write(path, "{}")      # podman wants it to be there
        return {self.env: path}

    def login(self, env, word):
        raise NotImplementedError

    def push(self, env, tag):
        raise NotImplementedError

    def pull(self, env, tag):
        raise NotImplementedError

    def command(self, env, *command, refused=False, **kw):
        if refused:
            self.lab.refused(*command, env=env, says=NO, **kw)
            return ""
        return self.lab.run(*command, env=env, **kw)


class Skopeo(Client):
    def login(self, env, word, **kw):
        self.command(env, "skopeo", "login", "--tls-verify=false", "-u",
                     USER, "-p", word, self.registry, **kw)

    def push(self, env, tag, **kw):
        self.command(env, "skopeo", "copy", "-q", "--preserve-digests",
                     "--dest-tls-verify=false",
                     "oci:%s:v1" % self.lab.image,
                     "docker://%s:%s" % (self.at, tag), **kw)

    def pull(self, env, tag, **kw):
        self.command(env, "skopeo", "copy", "-q", "--src-tls-verify=false",
                     "docker://%s:%s" % (self.at, tag),
                     "dir:%s" % self.lab.fresh(self.name + os.urandom(
                         4).hex()), **kw)


class Oras(Client):
    env = "X_ORAS"

    def config(self, env):
        return ("--plain-http", "--registry-config", env[self.env])

    def login(self, env, word, **kw):
        self.command(env, "oras", "login", *self.config(env), "-u", USER,
                     "-p", word, self.registry, **kw)

    def push(self, env, tag, **kw):
        self.lab.write(self.work + "/text", "some text")
        self.command(env, "oras", "push", *self.config(env),
                     "%s:%s" % (self.at, tag), "text", cwd=self.work, **kw)

    def pull(self, env, tag, **kw):
        self.command(env, "oras", "pull", *self.config(env), "-o",
                     self.work + "/pulled", "%s:%s" % (self.at, tag), **kw)


class Crane(Client):
    """Its login only notes the words: who pushes finds out."""

    env = "DOCKER_CONFIG"
    login_checks = False

    def login(self, env, word, **kw):
        os.makedirs(env[self.env], exist_ok=True)
        self.command(env, "crane", "auth", "login", "-u", USER, "-p", word,
                     self.registry, **kw)

    def push(self, env, tag, **kw):
        self.command(env, "crane", "push", self.lab.image,
                     "%s:%s" % (self.at, tag), **kw)

    def pull(self, env, tag, **kw):
        self.command(env, "crane", "validate", "--remote",
                     "%s:%s" % (self.at, tag), **kw)


class Podman(Client):
    """Pushes what is in its own storage."""

    def login(self, env, word, **kw):
        self.command(env, "podman", "login", "--tls-verify=false", "-u",
                     USER, "-p", word, self.registry, **kw)

    def push(self, env, tag, **kw):
        name = self.lab.run("podman", "pull", "-q",
                            "oci:%s:v1" % self.lab.image)
        self.command(env, "podman", "push", "-q", "--tls-verify=false",
                     name, "%s:%s" % (self.at, tag), **kw)

    def pull(self, env, tag, **kw):
        self.lab.run("podman", "rmi", "-a", "-f")
        self.command(env, "podman", "pull", "-q", "--tls-verify=false",
                     "%s:%s" % (self.at, tag), **kw)


class Regctl(Client):
    env = "REGCTL_CONFIG"

    def who(self, name):
        env = super().who(name)
        self.lab.run("regctl", "registry", "set", self.registry, "--tls",
                     "disabled", "--skip-check", env=env)
        return env

    def login(self, env, word, **kw):
        self.command(env, "regctl", "registry", "login", "-u", USER, "-p",
                     word, self.registry, **kw)

    def push(self, env, tag, **kw):
        self.command(env, "regctl", "image", "copy",
                     "ocidir://%s:v1" % self.lab.image,
                     "%s:%s" % (self.at, tag), **kw)

    def pull(self, env, tag, **kw):
        self.command(env, "regctl", "image", "export",
                     "%s:%s" % (self.at, tag), self.work + "/regctl.tar",
                     **kw)


class Helm(Client):
    env = "HELM_REGISTRY_CONFIG"

    def login(self, env, word, **kw):
        self.command(env, "helm", "registry", "login", "--plain-http",
                     "-u", USER, "-p", word, self.registry, **kw)

    def push(self, env, tag, **kw):
        folder = self.lab.fresh("helm-" + os.urandom(4).hex())
        self.lab.run("helm", "create", "image", cwd=folder)
        self.lab.run("helm", "package", "image", "--version",
                     "1.0.%d" % int(tag[1:]), cwd=folder)
        self.command(env, "helm", "push", "--plain-http",
                     "%s/image-1.0.%s.tgz" % (folder, tag[1:]),
                     "oci://%s/%s" % (self.registry, self.room), **kw)

    def pull(self, env, tag, **kw):
        self.command(env, "helm", "pull", "--plain-http", "-d", self.work,
                     "oci://" + self.at, "--version", "1.0." + tag[1:],
                     **kw)


def clients(lab):
    kinds = [Skopeo, Oras, Crane, Podman]
    return kinds if lab.quick else kinds + [Regctl, Helm]


def run(lab):
    with lab.beside("the server with anonymous pull", server=OPEN, v2="",
                    prepare=users) as here:
        anonymous(lab, here.server)
    with lab.beside("the closed server", server=CLOSED, v2="",
                    prepare=users) as here:
        closed(lab, here.server)


def anonymous(lab, n):
    work = lab.fresh("login")
    for kind in clients(lab):
        c = kind(lab, "open", work)
        with lab.row(c.name, "login with a wrong password is refused"):
            env = c.who("wrong")
            if getattr(c, "login_checks", True):
                c.login(env, WRONG, refused=True)
            else:
                c.login(env, WRONG)
                c.push(env, "v9", refused=True)
        with lab.row(c.name, "login"):
            alice = c.who("alice")
            c.login(alice, WORD)
        with lab.row(c.name, "push after login"):
            c.push(alice, "v1")
        with lab.row(c.name, "push without login is refused"):
            nobody = c.who("nobody")
            c.push(nobody, "v2", refused=True)
        with lab.row(c.name, "pull without login"):
            c.pull(nobody, "v1")
            mine = [x for x in lab.access(n) if "/v2/%s/" % c.room in x]
            need(any(" - - [" in x and '"GET ' in x and '" 200 ' in x
                     for x in mine), "no anonymous GET was answered")


def closed(lab, n):
    for kind in clients(lab):
        c = kind(lab, "closed", lab.fresh("closed-" + kind.__name__))
        with lab.row(c.name, "login, push and pull where all needs one"):
            alice = c.who("alice")
            c.login(alice, WORD)
            c.push(alice, "v1")
            c.pull(alice, "v1")
        with lab.row(c.name, "pull without login is refused there"):
            nobody = c.who("nobody")
            c.pull(nobody, "v1", refused=True)
    with lab.row("nginx", "nobody got anything from the closed server"):
        same([x for x in lab.access(n) if " - - [" in x and '" 200 ' in x],
             [], "what nobody got")
