"""What stands between the clients and one upstream: our edge, and others.

All are set up as their makers would have them for this work: nginx's locks
without the limits of five seconds that would let every client through.
"""

import itertools
import os
import subprocess

import nginx as ngx
import programs
from distribution import Distribution
from peers import distribution
from rounds import say
from upstream import Upstream

REPO = "bench/app"
ALONE = "bench/alone"           # where only what is asked for is fetched
PLAIN = "plain/app"             # where "tcp_nopush" is off, as nginx has it
WORDS = {"direct": "the upstream itself", "distribution":
         "distribution, proxy mode", "lock": "nginx proxy_cache, lock",
         "slice": "nginx proxy_cache, slice"}

PROXY = """\
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache_valid 200 206 %(valid)s;
    proxy_cache_use_stale error timeout http_500 http_502 http_503 http_504;
    proxy_cache_lock on;
    proxy_cache_lock_age 1h;
    proxy_cache_lock_timeout 1h;
    proxy_cache_path @PREFIX@/temp/cache levels=1:2 keys_zone=c:16m
                     max_size=20g inactive=1d use_temp_path=off;
    proxy_cache c;
    upstream registry {
        server 127.0.0.1:%(port)d;
        keepalive 32;
    }
"""

LOCK = """\
location /v2/ {
            proxy_pass http://registry;
            proxy_cache_key $uri;
            location /v2/plain/ {
                proxy_pass http://registry;
                tcp_nopush off;
            }
        }"""

SLICE = LOCK + """
        location ~ ^/v2/.*/blobs/ {
            slice 8m;
            proxy_pass http://registry;
            proxy_cache_key $uri$slice_range;
            proxy_set_header Range $slice_range;
            proxy_set_header Connection "";
            location ~ ^/v2/plain/ {
                slice 8m;
                proxy_pass http://registry;
                tcp_nopush off;
            }
        }"""

OURS = """\
location /v2/ {
            oci main;
            oci_pass %(url)s;
            oci_valid %(valid)s;
        }
        location /v2/plain/ {
            oci main;
            oci_pass %(url)s;
            oci_valid %(valid)s;
            tcp_nopush off;
        }
        location /v2/%(alone)s/ {
            oci main;
            oci_pass %(url)s;
            oci_fill_background off;
        }"""


TUNED = """access_log off;
        sendfile on;
        tcp_nopush on;
        keepalive_requests 100000000;"""


class Server(ngx.Nginx):
    """Without access log; load: with our module."""

    def __init__(self, v2, load=False, **knobs):
        super().__init__(v2=v2, server=TUNED, start=False,
                         **dict({"stores": ""}, **knobs))
        if not load:
            self.parts["LOAD"] = ""
        self.start()

    @property
    def pid(self):
        return self.workers()[0]


def names():
    """The others, or those of them that PEERS= names."""
    wanted = os.environ.get("PEERS")
    return [n for n in ("distribution", "lock", "slice")
            if wanted is None or n in wanted.split(",")]


class Edges:
    """One upstream, and a server of each kind in front of it."""

    def __init__(self, workers, valid, quick, twins=()):
        self.up = Upstream()
        self.seeds = itertools.count(1)
        self.others = names()
        self.each = {}
        self.ports = {"direct": self.up.port}
        what = {"url": self.up.url, "port": self.up.port, "alone": ALONE,
                "valid": valid}
        try:
            self.add("ours", Server(
                OURS % what, load=True, workers=workers,
                main="thread_pool oci threads=8;",
                stores="oci_store @STORE@ zone=main:32m;"
                       " oci_thread_pool oci;"))
            for name, v2 in (("lock", LOCK), ("slice", SLICE)):
                for word in (name, name + " twin"):
                    if name in self.others and (
                            word == name or name in twins):
                        self.add(word, Server(
                            v2, workers=workers, http=PROXY % what))
            if "distribution" in self.others:
                d = Distribution(proxy=self.up.url,
                                 at=distribution(quick))
                self.each["distribution"] = d
                self.ports["distribution"] = d.port
        except BaseException:
            self.stop()
            raise

    def describe(self):
        d = self.each.get("distribution")
        if d is None:
            return ""
        words = subprocess.run([d.program, "--version"], text=True,
                               stdin=subprocess.DEVNULL, check=False,
                               stdout=subprocess.PIPE).stdout.split()
        return "distribution %s" % (words[-1] if words else "?")

    def add(self, name, server):
        self.each[name] = server
        self.ports[name] = server.port()

    def blob(self, size, repo=REPO, digest=None):
        """One that nobody has asked for yet."""
        return self.up.sparse(repo, size, seed=next(self.seeds),
                              digest=digest)

    def stop(self):
        errors = []
        for server in self.each.values():
            try:
                server.stop()
            except AssertionError as e:
                errors.append(str(e))
        self.up.stop()
        if errors:
            raise programs.BenchError("\n".join(errors))


def row(report, work, unit, edges, values, against=None, more=False,
        half=None, sure=False, **bar):
    """
    values: name to median, None where it could not be done.  The bar, if
    there is one, stands in a row of its own; then a row for each of the
    others, of which we are to be ahead.  more: more is better.  sure: it is
    no matter of speed, and counts in the short form too.
    """
    mine = values["ours"]
    judged = sure or not report.quick
    if mine is None:
        report.row(work, unit, "not done", ratio=1, at_most=0, judged=judged)
        return
    if bar:
        report.row(work, unit, mine, values.get("direct"),
                   WORDS["direct"] if "direct" in values else "", against,
                   judged=judged, **bar)
    for other in edges.others:
        his = values.get(other)
        if his is None:
            report.row(work, unit, mine, "not done", WORDS[other])
        elif his == mine:
            report.row(work, unit, mine, his, WORDS[other], 1.0)
        elif his == 0 or mine == 0:
            report.row(work, unit, mine, his, WORDS[other],
                       float((mine > his) == more), at_least=1.0,
                       judged=judged)
        else:
            report.row(work, unit, mine, his, WORDS[other], mine / his, half,
                       judged=judged,
                       **({"at_least": 1.0} if more else {"at_most": 1.0}))


def note(text):
    say("edge: " + text)
