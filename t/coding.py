"""Answers as they are on the wire, for the tests of Content-Encoding."""

import subprocess

from edge import fresh
from oci import header

ZSTD = {"Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"}


def unpack(data):
    """With no more memory than a decoder of HTTP must have (RFC 9659)."""
    return subprocess.run(["zstd", "-dc", "--memory=8MB"], input=data,
                          check=True, stdout=subprocess.PIPE).stdout


def fetch(n, path, method="GET", **headers):
    """By urllib3's raw bytes: nothing is decoded on the way."""
    headers = dict({"Accept-Encoding": "identity"}, **headers)
    r = fresh(n, method, path, headers=headers, stream=True)
    r.body = r.raw.read(decode_content=False)
    return r


def answered(r, status):
    assert r.status_code == status, r.headers
    assert header(r, "Docker-Distribution-API-Version") == "registry/2.0"
