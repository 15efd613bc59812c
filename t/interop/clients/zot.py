"""
zot's sync extension, as a registry that mirrors from here: a program of the
tests with the client library that zot uses, at the version of its go.mod,
makes the calls of its source (programs/zotsync).
"""

from lab import blobs, heads, need, same

TOOLS = ("zotsync", "oras")
PROGRAMS = ("skopeo",)
LONG = True
REPLAYS = {"zot": "zot is not to be had from the package registries that "
           "the tests may use: the calls of its sync extension (commit "
           "6d19b445), with the client library that it uses at the version "
           "that it uses (regclient 0.11.5)"}


def run(lab):
    folder = lab.fresh("zot")
    to = lab.behind + "/zot/repo"
    for tag in ("v1", "v2"):
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
                "docker://%s:%s" % (to, tag))
    lab.write(folder + "/note", "of v1")
    lab.run("oras", "attach", "--plain-http", "--artifact-type",
            "application/vnd.example.note", to + ":v1", "note", cwd=folder)
    referrer, = lab.json("oras", "discover", "--plain-http", "--format",
                         "json", to + ":v1")["referrers"]
    # an edge's catalog has what was pulled through it
    lab.run("oras", "resolve", "--plain-http", lab.registry + "/zot/repo:v1")
    with lab.row("zot", "sync: catalog, tags, images, referrers"):
        out = folder + "/out"
        tags = lab.run("zotsync", lab.registry, "zot/repo", out)
        same(tags.split(), ["v1", "v2"], "the tags")
        need(set(heads(out)) >= {lab.digest}, "the images: %s" % heads(out))
        found = blobs(out)
        wanted = blobs(lab.image)
        need(set(found) >= set(wanted) | {referrer["digest"]},
             "missing: %s" % (set(wanted) | {referrer["digest"]}
                              - set(found)))
