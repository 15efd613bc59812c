"""An edge for a test: an nginx with oci_pass, and what its answers say."""

import re

import requests

from oci import header

# at the level of the test's own add_header, so that both are inherited
HTTP = """add_header X-Cache $oci_cache_status always;
    add_header X-Upstream-Bytes $oci_upstream_bytes always;
"""

METRICS = "location = /metrics { oci_metrics; }"

V2 = "location /v2/ { oci main; oci_methods %s; %s %s }"


def edge(factory, to, location="", methods="pull", http="", **knobs):
    """
    to: an Upstream, or what oci_pass is to say ("" for none).  Knobs are
    those of the fixture `factory`; the server's client() has more.
    """
    url = to if isinstance(to, str) else to.url
    n = factory(http=HTTP + http, v2=knobs.pop("v2", None) or V2 % (
        methods, "oci_pass %s;" % url if url else "", location), **knobs)
    return n


def cache(resp):
    """$oci_cache_status"""
    return header(resp, "X-Cache")


def fresh(n, method, path, **kw):
    """One request on a connection of its own, to any worker."""
    kw.setdefault("timeout", 30)
    kw.setdefault("allow_redirects", False)
    headers = dict(kw.pop("headers", {}), Connection="close")
    with requests.Session() as s:
        s.trust_env = False
        return s.request(method, n.url + path, headers=headers, **kw)


def metric(n, name):
    """The sum of what it is for every label; at /metrics, see METRICS."""
    text = fresh(n, "GET", "/metrics").text
    values = re.findall(r"^%s(?:\{[^}]*\})? ([0-9.e+]+)$" % name, text, re.M)
    assert values, text
    return sum(float(v) for v in values)


def by_workers(n, method, path, rounds=40, **kw):
    """The same request until each worker has answered once: by its pid."""
    out = {}
    for _ in range(rounds):
        r = fresh(n, method, path, **kw)
        out.setdefault(header(r, "X-Worker"), r)
        if len(out) == n.workers_wanted:
            break
    return out
