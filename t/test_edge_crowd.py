"""Many clients, many cold images, one upstream."""

import asyncio
import hashlib
import os
import re

import pytest

from edge import edge
from gate import SLOWDOWN

LONG = "oci_valid 1h; oci_valid_missing 1h;"
KIB = 1024


async def get(reader, writer, path):
    """One GET on a connection that stays open: (status, body)."""
    writer.write(("GET %s HTTP/1.1\r\nHost: crowd\r\n\r\n"
                  % path).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)\ncontent-length: (\d+)", head).group(1))
    return int(head.split()[1]), await reader.readexactly(length)


async def client(port, image, errors):
    """Pulls one image as clients do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port,
                                                   limit=1 << 20)
    name, digest, blobs = image
    paths = ["/v2/%s/manifests/v1" % name, "/v2/%s/manifests/%s"
             % (name, digest)] + ["/v2/%s/blobs/%s" % (name, b)
                                  for b in blobs]
    for path, wanted in zip(paths, [digest, digest] + blobs):
        try:
            status, body = await get(reader, writer, path)
        except (OSError, EOFError, asyncio.IncompleteReadError) as e:
            errors.append((path, repr(e)))
            break
        if status != 200 or "sha256:" + hashlib.sha256(
                body).hexdigest() != wanted:
            errors.append((path, status, len(body)))
    writer.close()


async def crowd(port, images, count):
    errors = []
    await asyncio.gather(*(client(port, images[i % len(images)], errors)
                           for i in range(count)))
    return errors


def memory(n):
    """KiB of all workers that belong to no file."""
    out = 0
    for pid in n.workers():
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            out += next(int(line.split()[1]) for line in f
                        if line.startswith("RssAnon"))
    return out


@pytest.mark.native
@pytest.mark.parametrize("clients,images,turns", [
    (200, 20, 2), pytest.param(1000, 50, 5, marks=pytest.mark.slow)])
def test_crowd(factory, upstreams, clients, images, turns):
    """No error, one fetch for each blob, and memory that does not grow."""
    up = upstreams()
    up.fault(delay=0.01)
    n = edge(factory, up, LONG, workers=4, listen="reuseport", zone="32m")
    for turn in range(turns):
        before = memory(n)
        made = []
        for i in range(images):
            name = "crowd/%d-%d" % (turn, i)
            d = up.image(name, "v1", layers=[
                os.urandom(300 * KIB), os.urandom(100 * KIB),
                os.urandom(2 * KIB)])
            made.append((name, d, up.layers(name, d)))
        up.clear()
        errors = asyncio.run(asyncio.wait_for(
            crowd(n.port(), made, clients), 120 * SLOWDOWN))
        assert not errors, errors[:5]
        for name, d, blobs in made:
            for b in blobs:
                assert up.sent(b) == up.content[b].size, (name, b)
            assert up.sent(d) <= 4 * len(up.repo(name).manifests[d][1])
    # the turns before the last have filled what a worker keeps
    assert memory(n) - before < 16 * 1024
