"""wkg: WASM components, as packages and by their references."""

import os
import shutil

from clients.login import CLOSED, NO, USER, WORD, users
from lab import need, same, sha256

TOOLS = ["wkg"]
LONG = True

CONFIG = """\
[namespace_registries.demo]
registry = "%(at)s"
[namespace_registries.demo.metadata]
preferredProtocol = "oci"
[namespace_registries.demo.metadata.oci]
registry = "%(at)s"
namespacePrefix = "wkg/"
[registry."%(at)s".oci]
protocol = "http"
"""

GREET = """\
package demo:greet@%s;
interface words {
    greet: func(name: string) -> string;
}
world greeter {
    export words;
}
"""

DEPENDS = """\
package demo:user@0.1.0;
world user {
    import demo:greet/words@0.2.0;
}
"""


def padded(path, size):
    """Adds a section that nothing reads, so that the file is not small."""
    data = b"\x07padding" + os.urandom(size)
    length = b"".join(bytes([(len(data) >> s & 127) | (128 if s < 28 else 0)])
                      for s in range(0, 35, 7))
    with open(path, "ab") as f:
        f.write(b"\0" + length + data)
    return path


class Wkg:
    """What one registry's configuration says, and a cache."""

    def __init__(self, lab, at, name):
        self.lab = lab
        self.at = at
        self.folder = lab.fresh(name)
        self.config = lab.write(self.folder + "/config.toml",
                                CONFIG % {"at": at})

        self.env = {"WKG_CONFIG_FILE": self.config,
                    "WKG_CACHE_DIR": self.folder + "/cache"}

    def run(self, *args, cwd=None):
        return self.lab.run("wkg", *args, env=self.env,
                            cwd=cwd or self.folder)

    def refused(self, *args, says):
        self.lab.refused("wkg", *args, env=self.env, cwd=self.folder,
                         says=says)

    def forget(self):
        shutil.rmtree(self.folder + "/cache", ignore_errors=True)


def build(wkg, version, size):
    """A package, built from its interface: its file."""
    folder = os.path.join(wkg.folder, "wit-" + version)
    wkg.lab.write(folder + "/greet.wit", GREET % version)
    path = os.path.join(wkg.folder, "greet-%s.wasm" % version)
    wkg.run("wit", "build", "--wit-dir", folder, "-o", path)
    return padded(path, size)


def run(lab):
    wkg = Wkg(lab, lab.registry, "wkg")
    packages(lab, wkg)
    references(lab, wkg)
    with lab.row("wkg", "get, cold"):
        behind = Wkg(lab, lab.behind, "wkg-behind")
        path = build(behind, "0.3.0", 5 << 20)
        behind.run("publish", path)
        wkg.forget()
        to = wkg.folder + "/cold.wasm"
        wkg.run("get", "demo:greet@0.3.0", "-o", to)
        same(sha256(to), sha256(path), "the package")
    with lab.beside("the closed server", server=CLOSED, v2="",
                    prepare=users):
        login(lab)


def packages(lab, wkg):
    with lab.row("wkg", "publish"):
        first = build(wkg, "0.1.0", 9 << 20)
        wkg.run("publish", first)
    with lab.row("wkg", "publish another version"):
        second = build(wkg, "0.2.0", 1000)
        wkg.run("publish", second)
    with lab.row("wkg", "publish of a version that is there is refused"):
        wkg.refused("publish", first, says="already exists")
    with lab.row("wkg", "get"):
        to = wkg.folder + "/one.wasm"
        wkg.run("get", "demo:greet@0.1.0", "-o", to)
        same(sha256(to), sha256(first), "the package")
    with lab.row("wkg", "get the newest"):
        to = wkg.folder + "/newest.wasm"
        wkg.run("get", "demo:greet", "-o", to)
        same(sha256(to), sha256(second), "the package")
    with lab.row("wkg", "fetch what an interface depends on"):
        folder = wkg.folder + "/user"
        lab.write(folder + "/wit/user.wit", DEPENDS)
        wkg.forget()
        wkg.run("wit", "fetch", "wit", cwd=folder)
        need(os.path.isdir(folder + "/wit/deps/demo-greet-0.2.0"),
             os.listdir(folder + "/wit"))


def references(lab, wkg):
    ref = lab.registry + "/wkg/component"
    plain = ("--insecure", lab.registry)
    to = wkg.folder + "/component.wasm"
    with lab.row("wkg", "oci push"):
        path = build(wkg, "0.9.0", 5 << 20)
        said = wkg.run("oci", "push", *plain, ref + ":v1", path)
        top = said.split("digest: ")[1].split()[0]
    with lab.row("wkg", "oci pull"):
        wkg.run("oci", "pull", *plain, ref + ":v1", "-o", to)
        same(sha256(to), sha256(path), "the component")
    with lab.row("wkg", "oci pull by digest"):
        os.unlink(to)
        wkg.run("oci", "pull", *plain, ref + "@" + top, "-o", to)
        same(sha256(to), sha256(path), "the component")


def login(lab):
    wkg = Wkg(lab, lab.registry, "wkg-login")
    ref = lab.registry + "/wkg/closed:v1"
    command = ("oci", "pull", "--insecure", lab.registry, ref, "-o",
               wkg.folder + "/pulled.wasm")
    with lab.row("wkg", "login, push and pull where all needs one"):
        path = build(wkg, "0.1.0", 1000)
        wkg.env.update(WKG_OCI_USERNAME=USER, WKG_OCI_PASSWORD=WORD)
        wkg.run("oci", "push", "--insecure", lab.registry, ref, path)
        wkg.run(*command)
        same(sha256(wkg.folder + "/pulled.wasm"), sha256(path),
             "the component")
    with lab.row("wkg", "pull without login is refused there"):
        del wkg.env["WKG_OCI_USERNAME"], wkg.env["WKG_OCI_PASSWORD"]
        wkg.refused(*command, says=NO + ("not authorized",))
