"""The registry's client side: digests, pushes, manifests and checks."""

import hashlib
import json
import os
import re

import requests

from nginx import SLOWDOWN

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID",
    "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    "UNAVAILABLE", "UNKNOWN"}

UPLOAD_ID = re.compile(r"^/v2/.+/blobs/uploads/([0-9a-f]{32})(\?.*)?$")


def digest(data, alg="sha256"):
    return alg + ":" + hashlib.new(alg, data).hexdigest()


def unique(size=200):
    """Content that no other test has."""
    return os.urandom(size)


def absent(alg="sha256"):
    return digest(os.urandom(16), alg)


def header(resp, name):
    """Of a requests, httpx or raw response."""
    if isinstance(resp.headers, list):
        return resp.get(name)
    return resp.headers.get(name)


def error(resp, status, *codes):
    """An OCI error answer, whole."""
    what = "%s %s %r" % (resp.status_code, resp.headers, resp.text[:400])
    if isinstance(status, int):
        status = (status,)
    assert resp.status_code in status, what
    assert header(resp, "Content-Type") == "application/json", what
    assert header(resp, "Content-Length") == str(len(resp.content)), what
    assert header(resp, "Docker-Distribution-API-Version") \
        == "registry/2.0", what
    errors = resp.json()["errors"]
    assert isinstance(errors, list) and errors, what
    for e in errors:
        assert e["code"] in CODES, what
        assert isinstance(e.get("message", ""), str), what
        assert isinstance(e.get("detail", ""), str), what
    assert errors[0]["code"] in codes, what
    return errors[0]


def add_query(location, text):
    return location + ("&" if "?" in location else "?") + text


def desc(data, media_type=LAYER, alg="sha256", **more):
    return dict(mediaType=media_type, digest=digest(data, alg),
                size=len(data), **more)


def dumps(obj):
    return json.dumps(obj, separators=(",", ":")).encode()


class Client:
    def __init__(self, base, auth=None, verify=None):
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = auth
        if verify is not None:
            self.session.verify = verify

    def close(self):
        self.session.close()

    def req(self, method, path, **kw):
        kw.setdefault("timeout", 30 * SLOWDOWN)
        kw.setdefault("allow_redirects", False)
        url = path if path.startswith("http") else self.base + path
        return self.session.request(method, url, **kw)

    def get(self, path, **kw):
        return self.req("GET", path, **kw)

    def head(self, path, **kw):
        return self.req("HEAD", path, **kw)

    def put(self, path, **kw):
        return self.req("PUT", path, **kw)

    def post(self, path, **kw):
        return self.req("POST", path, **kw)

    def patch(self, path, **kw):
        return self.req("PATCH", path, **kw)

    def delete(self, path, **kw):
        return self.req("DELETE", path, **kw)

    # ---- blobs

    def start(self, repo, query=""):
        """Opens a session and returns its Location."""
        r = self.post("/v2/%s/blobs/uploads/%s" % (repo, query))
        assert r.status_code == 202, r.text
        return location(r)

    def push(self, repo, data=None, alg="sha256"):
        """A blob by POST and PUT; returns its digest."""
        data = unique() if data is None else data
        d = digest(data, alg)
        r = self.finish(self.start(repo), d, data)
        assert r.status_code == 201, r.text
        return d

    def finish(self, loc, d, data=b"", **headers):
        headers.setdefault("Content-Type", "application/octet-stream")
        return self.put(add_query(loc, "digest=" + d), data=data,
                        headers=headers)

    def chunk(self, loc, start, data, **kw):
        headers = {"Content-Type": "application/octet-stream",
                   "Content-Range": "%d-%d" % (start,
                                               start + len(data) - 1)}
        headers.update(kw)
        return self.patch(loc, data=data, headers=headers)

    def blob(self, repo, d, **headers):
        return self.get("/v2/%s/blobs/%s" % (repo, d), headers=headers)

    def has(self, repo, d):
        return self.head("/v2/%s/blobs/%s" % (repo, d)).status_code == 200

    # ---- manifests

    def image(self, repo, layers=1, alg="sha256", blobs=True, **fields):
        """The bytes of an image manifest whose blobs are pushed."""
        if not isinstance(layers, int):
            fields["layers"], layers = layers, 1
        config = dumps({"c": unique(8).hex()})
        data = [unique() for _ in range(layers)]
        if blobs:
            for b in [config] + data:
                self.push(repo, b, alg)
        m = {"schemaVersion": 2, "mediaType": IMAGE,
             "config": desc(config, CONFIG, alg),
             "layers": [desc(x, LAYER, alg) for x in data]}
        m.update(fields)
        return dumps({k: v for k, v in m.items() if v is not None})

    def index(self, children=(), **fields):
        m = {"schemaVersion": 2, "mediaType": INDEX,
             "manifests": [desc(c, IMAGE) for c in children]}
        m.update(fields)
        return dumps({k: v for k, v in m.items() if v is not None})

    def put_manifest(self, repo, ref, data, media_type=IMAGE, **kw):
        headers = {"Content-Type": media_type} if media_type else {}
        return self.put("/v2/%s/manifests/%s" % (repo, ref), data=data,
                        headers=headers, **kw)

    def push_image(self, repo, *tags, **fields):
        """Pushes an image, by digest and by tags; returns its digest."""
        data = self.image(repo, **fields)
        for ref in (digest(data),) + tags:
            r = self.put_manifest(repo, ref, data)
            assert r.status_code == 201, r.text
        return digest(data)

    def manifest(self, repo, ref, method="GET", **headers):
        return self.req(method, "/v2/%s/manifests/%s" % (repo, ref),
                        headers=headers)

    def tags(self, repo, query=""):
        r = self.get("/v2/%s/tags/list%s" % (repo, query))
        assert r.status_code == 200, r.text
        assert r.json()["name"] == repo
        return r.json()["tags"]

    def referrers(self, repo, d, query=""):
        r = self.get("/v2/%s/referrers/%s%s" % (repo, d, query))
        assert r.status_code == 200, r.text
        assert r.headers["Content-Type"] == INDEX
        body = r.json()
        assert body["schemaVersion"] == 2 and body["mediaType"] == INDEX
        return r, body["manifests"]


def location(resp):
    """The Location of an upload: an absolute path with an id."""
    loc = header(resp, "Location")
    assert loc and UPLOAD_ID.match(loc), loc
    uuid = header(resp, "Docker-Upload-UUID")
    assert uuid == UPLOAD_ID.match(loc).group(1)
    return loc


def upload_id(loc):
    return UPLOAD_ID.match(loc).group(1)


def ok(resp, status):
    assert resp.status_code == status, (resp.status_code, resp.headers,
                                        resp.text[:400])
    assert header(resp, "Docker-Distribution-API-Version") == "registry/2.0"
    return resp
