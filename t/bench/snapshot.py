#!/usr/bin/python3
"""How fast the real huggingface_hub downloads a model through an edge,
beside curl for the same bytes.

usage: t/bench/snapshot.py [RATE...]

RATE      of the line, as tc has it, or "" for loopback as it is
          ("", 1gbit and 200mbit); needs root
MIB=N     size of the model (200)
ROUNDS=N  of each pair (5)

By huggingface_hub itself, and by an older one with hf_transfer, which asks for
many ranges at once.  The model is pushed to an origin and read through an edge
in front of it, all in a network of its own.  curl gets the same files in
parallel, as many at once as the client does.  The time of snapshot_download()
is that of the call, not of the start of Python.  Stock nginx with the same
answers as files says how much of a difference is the client's own.  Prints a
Markdown table.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from hub import manifest  # noqa: E402
from huggingface import Program, tree  # noqa: E402
from nginx import Nginx  # noqa: E402
from oci import Client, digest  # noqa: E402
from stats import interval, median  # noqa: E402

MIB = 1 << 20
CLIENTS = {"hf": "snapshot_download",
           "hf-old": "snapshot_download, hf_transfer"}
WORKERS = 8             # files at once, as snapshot_download() has by default
REPO = "org/model"
HUB = "location / { oci_huggingface main; %s }"

TIMED = """
import time
begin = time.monotonic()
folder = hub.snapshot_download(**args)
print(json.dumps([time.monotonic() - begin, folder]))
"""


def model(total):
    """Weights in four shards, and what is beside them."""
    files = {"config.json": b'{"model_type": "bench"}',
             "tokenizer.json": os.urandom(2 * MIB),
             "README.md": b"# A model\n"}
    for i in range(4):
        files["model-%05d-of-00004.safetensors" % (i + 1)] = \
            os.urandom((total - 2 * MIB) // 4)
    return files


def stock(n, files, commit):
    """The same answers as files, by nginx's own modules."""
    text = []
    base = n.path("..", "files")
    answers = {
        "/api/models/%s/revision/main" % REPO:
            {"id": REPO, "sha": commit,
             "siblings": [{"rfilename": f} for f in files]},
        "/api/models/%s/tree/%s" % (REPO, commit):
            [{"type": "file", "path": f, "size": len(d),
              "oid": digest(d)[7:47],
              "lfs": {"oid": digest(d)[7:], "size": len(d),
                      "pointerSize": 134}} for f, d in files.items()]}
    for i, (path, answer) in enumerate(answers.items()):
        name = os.path.join(base, "answer-%d" % i)
        with open(name, "w", encoding="ascii") as f:
            json.dump(answer, f)
        text.append("location = %s { alias %s; default_type"
                    " application/json; }" % (path, name))
    for name, data in files.items():
        with open(os.path.join(base, name), "wb") as f:
            f.write(data)
        text.append(
            "location = /%s/resolve/%s/%s { alias %s; etag off;"
            " add_header ETag '\"%s\"'; add_header X-Repo-Commit %s; }"
            % (REPO, commit, name, os.path.join(base, name),
               digest(data)[7:], commit))
    return "\n".join(text)


class Bench:
    def __init__(self, total):
        self.folder = tempfile.mkdtemp(prefix="oci-hub-", dir="/dev/shm"
                                       if os.path.isdir("/dev/shm") else None)
        self.files = model(total)
        self.total = sum(len(d) for d in self.files.values())
        self.programs = {name: Program(name) for name in CLIENTS}
        self.origin = Nginx(server=HUB % "")
        self.edge = Nginx(v2="", server=HUB % (
            "oci_pass %s;" % self.origin.url))
        client = Client(self.origin.url)
        body, blobs = manifest(self.files)
        for data in blobs:
            client.push(REPO, data)
        client.put_manifest(REPO, "latest", body)
        client.close()
        self.commit = digest(body)[7:47]
        self.stock = Nginx(start=False, v2="")
        self.stock.parts["SERVER"] = stock(self.stock, self.files,
                                           self.commit)
        self.stock.start()
        self.count = 0

    def close(self):
        for n in (self.edge, self.origin, self.stock):
            n.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self):
        self.count += 1
        path = os.path.join(self.folder, str(self.count))
        os.mkdir(path)
        return path

    def client(self, url, name="hf"):
        """Bytes a second of one snapshot_download()."""
        home = self.fresh()
        hub = self.programs[name].at(url, home, transfer=name == "hf-old")
        seconds, folder = hub.run(TIMED, repo_id=REPO)
        if tree(folder) != self.files:
            sys.exit("snapshot: what was downloaded is not what was pushed")
        shutil.rmtree(home)
        return self.total / seconds

    def curl(self, url):
        home = self.fresh()
        command = ["curl", "-sSf", "--parallel", "--parallel-max",
                   str(WORKERS)]
        for name in self.files:
            command += ["-o", os.path.join(home, name),
                        "%s/%s/resolve/%s/%s" % (url, REPO, self.commit,
                                                 name)]
        begin = time.monotonic()
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True,
                              check=False)
        seconds = time.monotonic() - begin
        if done.returncode:
            sys.exit("snapshot: " + done.stderr)
        if tree(home) != self.files:
            sys.exit("snapshot: what curl got is not what was pushed")
        shutil.rmtree(home)
        return self.total / seconds


def line(rate):
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"],
                   stderr=subprocess.DEVNULL, check=False)
    if rate:
        subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "tbf",
                        "rate", rate, "burst", "256k", "latency", "20ms"],
                       check=True)


def measure(bench, rate, rounds):
    line(rate)
    ways = {"curl": lambda: bench.curl(bench.edge.url)}
    for name in CLIENTS:
        ways[name] = lambda n=name: bench.client(bench.edge.url, n)
        ways[name + " stock"] = lambda n=name: bench.client(bench.stock.url,
                                                            n)
    got = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            got[name].append(call())
    line(None)
    for name, words in CLIENTS.items():
        for other, what in (("curl", "curl"),
                            (name + " stock", "the same, stock nginx")):
            ratios = [a / b for a, b in zip(got[name], got[other])]
            print("| %s | %s, %.0f | %s, %.0f | %.3f | %.3f .. %.3f |" % (
                (rate or "loopback", words, median(got[name]) / 1e6, what,
                 median(got[other]) / 1e6, median(ratios))
                + interval(ratios)), flush=True)


def main():
    if os.environ.get("HUB_NETWORK") != "own":
        # programs that need the network are built before it is gone
        for name in CLIENTS:
            Program(name)
        os.execvpe("unshare", ["unshare", "-n", sys.executable]
                   + [os.path.abspath(__file__)] + sys.argv[1:],
                   dict(os.environ, HUB_NETWORK="own"))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    bench = Bench(int(os.environ.get("MIB", "200")) * MIB)
    try:
        begin = time.monotonic()
        bench.client(bench.edge.url)
        print("%.0f MiB; cold, through the edge: %.2f s\n" % (
            bench.total / MIB, time.monotonic() - begin))
        print("| line | client, MB/s | beside, MB/s | ratio |"
              " interval |\n|---|---|---|---|---|")
        for rate in sys.argv[1:] or ["", "1gbit", "200mbit"]:
            measure(bench, rate, int(os.environ.get("ROUNDS", "5")))
    finally:
        bench.close()


if __name__ == "__main__":
    main()
