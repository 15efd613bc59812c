"""
Harbor, as a proxy cache in front and as a replication source and target:
the requests of its registry client, byte for byte (src/pkg/registry, in the
order of src/controller/proxy and of src/controller/replication, at commit
c50c7ddd6e), as Go's net/http writes them.  Harbor itself is a dozen
containers and a database.
"""

import concurrent.futures
import json
import re
import urllib.parse

from lab import blob_path, digest, heads, need, same
from raw import Raw

import images

REPLAYS = {"Harbor": "Harbor is not to be had from the package registries "
           "that the tests may use: its requests, byte for byte, in the "
           "order of its source (commit c50c7ddd6e)"}
PROGRAMS = ("skopeo",)

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
ACCEPTS = (OCI + "index.v1+json", DOCKER + "list.v2+json",
           OCI + "manifest.v1+json", DOCKER + "v2+json",
           DOCKER + "v1+prettyjws", DOCKER + "v1+json")
MANIFESTS = ACCEPTS
CHUNK = 10 << 20        # REPLICATION_CHUNK_SIZE's default

AGENT = ("User-Agent", "harbor-registry-client")
GZIP = ("Accept-Encoding", "gzip")          # added by Go's transport
PLAIN = ("Accept-Encoding", "identity")


class Client:
    """One connection; what is not 2xx raises, unless it is asked for."""

    def __init__(self, registry):
        host, port = registry.split(":")
        self.at = "/v2/"
        self.raw = Raw((host, int(port)), host=registry, timeout=60)
        # its authorizer asks first, without a login here
        self.ask("GET", "/v2/", GZIP)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.raw.close()

    def ask(self, method, target, *headers, body=None, missing=False):
        lines = (AGENT,)
        if method in ("POST", "PUT", "PATCH"):
            lines += (("Content-Length", str(len(body or b""))),)
        self.raw.head(method, target, *(lines + headers))
        if body:
            self.raw.send(body)
        r = self.raw.response(method)
        if missing and r.status == 404:
            return None
        need(200 <= r.status <= 299, "%s %s: %d %.300r" % (
            method, target, r.status, r.body))
        return r

    # ---- reads

    def exists(self, repository, reference):
        """ManifestExist: (digest, type, size), or None."""
        r = self.ask("HEAD", "/v2/%s/manifests/%s" % (repository, reference),
                     *[("Accept", a) for a in ACCEPTS], missing=True)
        return r and (r.get("Docker-Content-Digest"), r.get("Content-Type"),
                      int(r.get("Content-Length")))

    def manifest(self, repository, reference):
        """PullManifest: (digest, type, bytes); it parses by the type."""
        r = self.ask("GET", "/v2/%s/manifests/%s" % (repository, reference),
                     *[("Accept", a) for a in ACCEPTS] + [GZIP])
        need(r.get("Content-Type") in MANIFESTS, r.get("Content-Type"))
        need(r.get("Content-Encoding") is None, "it is compressed")
        return r.get("Docker-Content-Digest"), r.get("Content-Type"), r.body

    def has(self, repository, d):
        return self.ask("HEAD", "/v2/%s/blobs/%s" % (repository, d),
                        missing=True) is not None

    def blob(self, repository, d):
        r = self.ask("GET", "/v2/%s/blobs/%s" % (repository, d), PLAIN)
        same(int(r.get("Content-Length")), len(r.body), "the length")
        return r.body

    def part(self, repository, d, start, end):
        """PullBlobChunk: the status is not looked at."""
        r = self.ask("GET", "/v2/%s/blobs/%s" % (repository, d), PLAIN,
                     ("Range", "bytes=%d-%d" % (start, end)))
        same(len(r.body), end - start + 1, "the length")
        return r.body

    def tags(self, repository):
        out, target = [], "/v2/%s/tags/list" % repository
        while target:
            r = self.ask("GET", target, GZIP)
            out += r.json()["tags"]
            found = re.match('<([^>]*)>; *rel="?next"?',
                             r.get("Link", ""))
            target = found and found.group(1)
        return out

    def referrers(self, repository, d):
        return self.ask("GET", "/v2/%s/referrers/%s" % (repository, d),
                        GZIP).json()["manifests"]

    # ---- writes

    def begin(self, repository):
        return self.ask("POST", "/v2/%s/blobs/uploads/" % repository,
                        GZIP).get("Location")

    @staticmethod
    def with_digest(location, d):
        """The query is parsed, and written anew in the order of its keys."""
        url = urllib.parse.urlsplit(location)
        query = dict(urllib.parse.parse_qsl(url.query,
                                            keep_blank_values=True))
        if d:
            query["digest"] = d
        text = urllib.parse.urlencode(sorted(query.items()))
        return url.path + ("?" + text if text else "")

    def push(self, repository, d, data):
        """PushBlob."""
        self.ask("PUT", self.with_digest(self.begin(repository), d), GZIP,
                 body=data)

    def push_part(self, repository, d, size, data, start, location):
        """PushBlobChunk; the last one is a PUT."""
        if start == 0:
            location = self.begin(repository)
        end = start + len(data) - 1
        last = end == size - 1
        return self.ask(
            "PUT" if last else "PATCH",
            self.with_digest(location, d if last else None),
            ("Content-Range", "%d-%d" % (start, end)), GZIP,
            body=data).get("Location")

    def push_manifest(self, repository, reference, kind, data):
        r = self.ask("PUT", "/v2/%s/manifests/%s" % (repository, reference),
                     ("Content-Type", kind), GZIP, body=data)
        return r.get("Docker-Content-Digest")

    def mount(self, source, d, repository):
        self.ask("POST", "/v2/%s/blobs/uploads/?mount=%s&from=%s"
                 % (repository, d, source), GZIP)

    def delete(self, repository, reference):
        d = self.exists(repository, reference)[0]
        self.ask("DELETE", "/v2/%s/manifests/%s" % (repository, d), GZIP)


def read(layout, d):
    with open(blob_path(layout, d), "rb") as f:
        return f.read()


def run(lab):
    lab.run("skopeo", "copy", "-q", "--preserve-digests",
            "--dest-tls-verify=false", "oci:%s:v1" % lab.image,
            "docker://%s/harbor/image:v1" % lab.behind)
    with Client(lab.registry) as c:
        proxy(lab, c)
        replicate(lab, c)


def proxy(lab, c):
    """What a proxy-cache project asks when one of its clients pulls."""
    name = "harbor/image"
    text = read(lab.image, lab.digest)
    with lab.row("Harbor", "proxy cache: HEAD of a tag, GET of the manifest"):
        same(c.exists(name, "v1"),
             (lab.digest, lab.manifest["mediaType"], len(text)), "the HEAD")
        same(c.manifest(name, lab.digest),
             (lab.digest, lab.manifest["mediaType"], text), "the GET")
        same(c.exists(name, "none"), None, "what is not there")
    with lab.row("Harbor", "proxy cache: each blob twice at the same time"):
        # for its client, and for its own store
        those = [lab.manifest["config"]] + lab.manifest["layers"]

        def one(d):
            with Client(lab.registry) as other:
                return digest(other.blob(name, d))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [x["digest"] for x in those for _ in (1, 2)]
            for d, got in zip(asked, pool.map(one, asked)):
                same(got, d, "a blob")
    with lab.row("Harbor", "proxy cache: list of tags"):
        same(c.tags(name), ["v1"], "the tags")
    with lab.row("Harbor", "proxy cache: referrers"):
        lab.wants("referrers")
        same(c.referrers(name, lab.digest), [], "the referrers")


def copy(lab, source, target, names, reference, chunks):
    """copyArtifact of the replication: (name here, name there)."""
    d, kind, text = source.manifest(names[0], reference)
    found = target.exists(names[1], reference)
    if found and found[0] == d:
        return
    content = json.loads(text)
    for x in content.get("manifests", []):
        copy(lab, source, target, names, x["digest"], chunks)
    for x in ([content["config"]] + content["layers"]
              if "layers" in content else []):
        copy_blob(source, target, names, x["digest"], x["size"], chunks)
    same(target.push_manifest(names[1], reference, kind, text), d,
         "the digest")


def copy_blob(source, target, names, d, size, chunks):
    if target.has(names[1], d):
        return
    if not chunks or size <= chunks:
        target.push(names[1], d, source.blob(names[0], d))
        return
    start, location = 0, None
    while start < size:
        end = min(start + chunks, size) - 1
        location = target.push_part(
            names[1], d, size, source.part(names[0], d, start, end), start,
            location)
        start = end + 1


def replicate(lab, c):
    """From here and to here, two connections."""
    folder, top, _ = images.index(lab, "harbor")
    lab.run("skopeo", "copy", "-q", "--all", "--preserve-digests",
            "--dest-tls-verify=false", "oci:%s:v1" % folder,
            "docker://%s/harbor/index:v1" % lab.behind)
    chunks = (1 << 20) if lab.quick else CHUNK
    for name, wanted, how, title in (
            ("image", lab.digest, 0, "an image, blob by blob"),
            ("image", lab.digest, chunks, "an image, by chunks"),
            ("index", top, 0, "an index")):
        with lab.row("Harbor", "replication of " + title):
            to = "harbor/%s-%d" % (name, how)
            with Client(lab.registry) as other:
                copy(lab, c, other, ("harbor/" + name, to), "v1", how)
                same(other.exists(to, "v1")[0], wanted, "the digest")
            lab.run("skopeo", "copy", "-q", "--all", "--preserve-digests",
                    "--src-tls-verify=false",
                    "docker://%s/%s:v1" % (lab.registry, to),
                    "oci:%s/%s-%d:v1" % (folder, name, how))
            same(heads("%s/%s-%d" % (folder, name, how)), [wanted],
                 "the copy")
    with lab.row("Harbor", "a mount, and a replicated delete"):
        for x in [lab.manifest["config"]] + lab.manifest["layers"]:
            c.mount("harbor/image-0", x["digest"], "harbor/mounted")
            need(c.has("harbor/mounted", x["digest"]), "it is not there")
        c.push_manifest("harbor/mounted", "v1", lab.manifest["mediaType"],
                        read(lab.image, lab.digest))
        c.delete("harbor/mounted", "v1")
        same(c.exists("harbor/mounted", lab.digest), None,
             "what was deleted")
