"""Models as OCI artifacts, and what a client of the hub looks at."""

import io
import tarfile

from oci import desc, digest, dumps, header

IMAGE = "application/vnd.oci.image.manifest.v1+json"
MODEL = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
RAW = "application/vnd.cncf.model.weight.v1.raw"
TAR = "application/vnd.cncf.model.weight.v1.tar"
PATH = "org.cncf.model.filepath"


def tar_of(files, **kw):
    """An archive of name to bytes, with its folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **kw) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def manifest(files, tars=(), config=b"{}", **fields):
    """The manifest of a model, and the blobs that it names."""
    layers = [desc(data, RAW, annotations={PATH: name})
              for name, data in files.items()]
    layers += [desc(data, TAR, annotations={PATH: "all.tar"})
               for data in tars]
    m = {"schemaVersion": 2, "mediaType": IMAGE, "artifactType": MODEL,
         "config": desc(config, CONFIG), "layers": layers}
    m.update(fields)
    return dumps(m), [config] + list(files.values()) + list(tars)


def push(client, repo, files, *tags, tars=(), **fields):
    """Pushes a model; returns the digest of its manifest."""
    body, blobs = manifest(files, tars, **fields)
    for data in {digest(b): b for b in blobs}.values():
        client.push(repo, data)
    for ref in (digest(body),) + (tags or ("latest",)):
        r = client.put_manifest(repo, ref, body)
        assert r.status_code == 201, r.text
    return digest(body)


def commit(d):
    return d.partition(":")[2][:40]


def refused(resp, status, code, entry=None):
    """A refusal as clients know it; entry: the commit that they remember."""
    what = "%s %s %r" % (resp.status_code, resp.headers, resp.text[:300])
    assert resp.status_code == status, what
    assert header(resp, "X-Error-Code") == code, what
    assert header(resp, "X-Repo-Commit") == entry, what
    if resp.request.method != "HEAD":
        assert header(resp, "Content-Type") == "application/json", what
        assert resp.json() == {"error": header(resp, "X-Error-Message")}
    return resp


def file_entry(name, data):
    sha = digest(data)[7:]
    return {"type": "file", "path": name, "size": len(data), "oid": sha[:40],
            "lfs": {"oid": sha, "size": len(data),
                    "pointerSize": 120 + len(str(len(data))) + 6}}
