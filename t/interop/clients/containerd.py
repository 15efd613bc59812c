"""containerd by ctr, through its transfer service: whole layers, and in
parallel parts, each of which it asks for to the end and cuts off."""

import engine
import images
from engine import Containerd
from gate import wait_for
from lab import need, same, same_layout

from . import chunked, volume

TOOLS = engine.TOOLS
PROGRAMS = ("crun", "skopeo")
LONG = True

BUFFER = 4 << 20
ZSTD = "oci_zstd on; " + chunked.LOCATION


def gets(lab, mark, word):
    return [x for x in lab.access(lab.server)[mark:]
            if '"GET /v2/containerd/' in x and word in x]


def run(lab):
    folder = lab.fresh("containerd")
    image = lab.registry + "/containerd/image:v1"
    with Containerd(lab, folder + "/whole") as c:
        whole(lab, c, folder, image)
    with Containerd(lab, folder + "/parts", buffer=BUFFER,
                    downloads=6) as c:
        parts(lab, c, folder)
    with lab.beside("the server with oci_zstd", location=ZSTD,
                    http=chunked.FORMAT), \
            Containerd(lab, folder + "/zstd") as c:
        zstd(lab, c, folder)


def whole(lab, c, folder, image):
    with lab.row("containerd", "push"):
        c.imported(lab.image, lab.registry + "/containerd/image")
        c.ctr("images", "push", "--plain-http", image)
        found = lab.json("skopeo", "inspect", "--tls-verify=false",
                         "--no-tags", "docker://" + image)
        same(found["Digest"], lab.digest, "the digest")
        c.ctr("images", "rm", "--sync", image)
    with lab.row("containerd", "pull, all blobs unchanged"):
        c.ctr("images", "pull", "--plain-http", "--snapshotter",
              c.snapshotter, image)
        same_layout(c.exported(image, folder + "/out"), lab.image)
    with lab.row("containerd", "run"):
        same(c.said(image, "/bin/say", "it", "runs"),
             lab.word + " it runs", "what it says")
    with lab.row("containerd", "push to another repository"):
        other = lab.registry + "/containerd/other:v1"
        c.ctr("images", "tag", image, other)
        c.ctr("images", "push", "--plain-http", other)
        found = lab.json("skopeo", "inspect", "--tls-verify=false",
                         "--no-tags", "docker://" + other)
        same(found["Digest"], lab.digest, "the digest")
    with lab.row("containerd", "pull by digest"):
        by = lab.registry + "/containerd/other@" + lab.digest
        mark = len(lab.access(lab.server))
        c.ctr("images", "pull", "--plain-http", "--snapshotter",
              c.snapshotter, by)
        need(lab.digest in c.ctr("images", "ls", "name==" + by),
             "it is not there")
        need(any("/other/manifests/" + lab.digest in x
                 for x in lab.access(lab.server)[mark:]),
             "it was not asked for")
    with lab.row("containerd", "pull by hosts.toml"):
        c.mirror("our.test", "http://" + lab.registry)
        mark = len(lab.access(lab.server))
        name = "our.test/containerd/other:v1"
        c.ctr("content", "fetch", "--hosts-dir", c.folder + "/hosts", name)
        need(any("ns=our.test" in x
                 for x in lab.access(lab.server)[mark:]), "no ns= was sent")
        need(lab.digest in c.ctr("images", "ls", "name==" + name),
             "it is not there")


def parts(lab, c, folder):
    with lab.row("containerd", "pull with parallel fetches of parts"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
                "docker://%s/containerd/parts:v1" % lab.behind)
        image = lab.registry + "/containerd/parts:v1"
        mark = len(lab.access(lab.server))
        c.ctr("images", "pull", "--plain-http", "--snapshotter",
              c.snapshotter, image)
        for layer in lab.manifest["layers"]:
            asked = gets(lab, mark, layer["digest"])
            wanted = -(-layer["size"] // BUFFER)
            need(len(asked) >= wanted, "%d requests for %d bytes" % (
                len(asked), layer["size"]))
            need(all('" 206 ' in x for x in asked),
                 "an answer is no range: %s" % asked)
        same_layout(c.exported(image, folder + "/parts-out"), lab.image)
    with lab.row("containerd", "run what came in parts"):
        same(c.said(image, "/bin/say"), lab.word, "what it says")


def zstd(lab, c, folder):
    """A layer that is a plain tar: compressed on the wire, not at rest."""
    words = folder + "/words"
    lab.write(words + "/text", "\n".join(
        "line %d of a text" % i for i in range(400000)))
    layout, layer = images.plain(
        folder + "/plain", volume.tarred(words, ["text"], words + ".tar"))
    lab.run("skopeo", "copy", "-q", "--preserve-digests",
            "--dest-tls-verify=false", "oci:%s:v1" % layout,
            "docker://%s/containerd/plain:v1" % lab.behind)
    image = lab.registry + "/containerd/plain:v1"
    pull = ("images", "pull", "--plain-http", "--snapshotter",
            c.snapshotter, image)
    with lab.row("containerd", "a tar layer is compressed on its way (zstd)"):
        def compressed():
            c.ctr(*pull)
            sent = [x[1] for x in chunked.asked(lab, layer["digest"])]
            if len(sent) > 1 and sent[-1] < layer["size"] / 4:
                return True
            same(sent, [layer["size"]] * len(sent), "what was sent")
            c.ctr("images", "rm", "--sync", image)
            return False

        # as it is, until a whole sent from the store has begun the other
        # form, and a thread has made it
        need(not compressed(), "compressed before it was asked for")
        wait_for("the compressed form", compressed, 60, 0.2)
        same_layout(c.exported(image, folder + "/plain-out"), layout)
