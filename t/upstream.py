"""A registry upstream for tests: in this process, counting, and faulty.

    up = Upstream()                     # or the fixture `upstreams`
    blob = up.blob("app", b"...")       # digest; also sparse(), image(), ...
    up.fault("/blobs/", reset=1000, times=1)
    ...
    assert up.sent(blob) == size and up.count("GET", "/blobs/") == 2

Knobs are plain attributes, and may change while it serves:

    rate_total   bytes a second over all connections (set by limit())
    keepalive    requests that one connection serves before it is closed
    deaf         connections are accepted and never answered
    page         most entries of a tags or referrers list (Link goes on)
    links        "relative" or "absolute" Link headers
    referrers_api  False: 404, as of registries that lack it
    etags        whether answers have an ETag (If-None-Match is honoured)
    storage      True: blobs by 307 to a signed URL on another port
    storage_host, storage_life, storage_head
    push         whether pushes are taken; location: "relative", "absolute"
    auth         None, "basic", "bearer"; see also grant(), revoke()
    realm, service, denied, token_life, token_fields, signer
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import ssl
import subprocess
import threading
import time
import urllib.parse

from upstream_http import (Authority, Bucket, Bytes, Gone, Listener, Names,
                           Plan, Proxy, Sparse)

__all__ = ["Authority", "Bytes", "Names", "Proxy", "Signer", "Sparse",
           "Upstream"]

OCI = "application/vnd.oci.image."
IMAGE, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"
CONFIG, LAYER = OCI + "config.v1+json", OCI + "layer.v1.tar+gzip"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"

ROUTE = re.compile(r"^/v2/(.+)/(blobs|manifests|tags|referrers)/(.+)$")
RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


def digest_of(data, alg="sha256"):
    return alg + ":" + hashlib.new(alg, data).hexdigest()


class Repo:
    def __init__(self):
        self.blobs = set()
        self.manifests = {}         # digest to (media type, bytes)
        self.tags = {}
        self.referrers = {}         # subject to descriptors


class Rule:
    """One fault; hits counts the requests that it met."""

    def __init__(self, path, method, role, skip, times, fields):
        self.path, self.method, self.role = re.compile(path), method, role
        self.skip, self.times, self.fields = skip, times, fields
        self.hits = self.seen = 0
        self.gate = threading.Event()

    def matches(self, req):
        return (self.path.search(req.target)
                and self.method in (None, req.method)
                and self.role in (None, req.role))

    def release(self):
        """Lets go what `hold` holds, now and from now on."""
        self.gate.set()


class Signer:
    """Signs tokens as JWT that CNCF distribution takes (RS256, x5c)."""

    def __init__(self, issuer="issuer.test"):
        ca = Authority.one()
        self.issuer = issuer
        self.certificate = os.path.join(ca.folder, "token.pem")
        self.key = os.path.join(ca.folder, "token.key")
        if not os.path.exists(self.key):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                 "-subj", "/CN=token service", "-days", "30", "-keyout",
                 self.key, "-out", self.certificate], check=True,
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sign(self, claims):
        with open(self.certificate, encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        head = {"typ": "JWT", "alg": "RS256",
                "x5c": [base64.b64encode(der).decode()]}
        text = b".".join(_b64(json.dumps(x).encode()) for x in (head, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.key], input=text,
            stdout=subprocess.PIPE, check=True).stdout
        return (text + b"." + _b64(signature)).decode()


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Upstream:
    """
    tls: False, True (Authority.one().ca), "self-signed", "wrong-name" or a
    tuple of names.  users: name to password; rights by grant(), where ""
    stands for whoever has no login.  Without users everybody may do all.
    """

    def __init__(self, tls=False, auth=None, users=None, storage=False,
                 rate_total=None, storage_tls=None, token_tls=None,
                 address="127.0.0.1", port=0, host=None):
        self.lock = threading.RLock()
        self.repos, self.content = {}, {}
        self.rules, self.requests = [], []
        self.bytes_sent = {}            # by digest
        self.tokens = {}                # token to (user, access, end)
        self.uploads = {}
        self.tls, self.auth = tls, auth
        self.users = dict(users or {})
        self.rights = []                # (user, pattern, actions)
        self.storage = storage
        self.storage_life, self.storage_head = 60, False
        self.storage_key = secrets.token_bytes(16)
        self.rate_total = None
        self.limit(rate_total)
        self.keepalive, self.deaf = None, False
        self.page, self.links = None, "relative"
        self.referrers_api, self.etags = True, True
        self.push, self.location = True, "relative"
        self.service, self.denied = "registry.test", 401
        self.token_life, self.token_told = 300, True
        self.token_fields = ("token", "access_token")
        self.signer = None
        self.host = host or address
        self.registry = Listener(self, "registry", self._registry, tls,
                                 address, port)
        self.store = Listener(
            self, "storage", self._storage,
            tls if storage_tls is None else storage_tls, address)
        self.token = Listener(
            self, "token", self._token,
            tls if token_tls is None else token_tls, address)
        self.storage_host = self.host
        self.realm = self._url(self.token) + "/token"

    # ---- where it is

    def _url(self, listener, host=None):
        return "%s://%s:%d" % ("https" if listener.context else "http",
                               host or self.host, listener.port)

    @property
    def port(self):
        return self.registry.port

    @property
    def url(self):
        return self._url(self.registry)

    @property
    def addr(self):
        return (self.registry.address, self.port)

    @property
    def listeners(self):
        return (self.registry, self.store, self.token)

    # ---- life

    def stop(self):
        """The upstream is down: connections are refused."""
        for listener in self.listeners:
            listener.stop()
        with self.lock:
            for rule in self.rules:
                rule.release()

    def start(self):
        """Up again, on the same ports, with the same content."""
        for listener in self.listeners:
            if listener.sock is None:
                listener.start()

    def drop(self):
        """Every open connection is closed, in mid-body too."""
        for listener in self.listeners:
            listener.drop()

    def limit(self, rate):
        """Bytes a second over all connections; None: as fast as it goes."""
        self.rate_total = Bucket(rate) if rate else None

    # ---- content

    def repo(self, name):
        with self.lock:
            return self.repos.setdefault(name, Repo())

    def blob(self, repo, data, digest=None, alg="sha256"):
        """A blob; digest: one that it is said to have, true or not."""
        digest = digest or digest_of(data, alg)
        self.content[digest] = Bytes(data)
        self.repo(repo).blobs.add(digest)
        return digest

    def sparse(self, repo, size, seed=0, digest=None):
        """
        A blob of any size that takes no memory.  Its digest is computed
        (1.5 GB/s or so) unless one is given, which needs not be true where
        only ranges are asked for.
        """
        content = Sparse(size, seed)
        if digest is None:
            h = hashlib.sha256()
            for piece in content.pieces(0, size, 1 << 20):
                h.update(piece)
            digest = "sha256:" + h.hexdigest()
        self.content[digest] = content
        self.repo(repo).blobs.add(digest)
        return digest

    def read(self, digest, first=0, end=None):
        """What a client should get."""
        content = self.content[digest]
        end = content.size if end is None else end
        return b"".join(content.pieces(first, end, 1 << 20))

    def manifest(self, repo, body, *tags, media_type=None, alg="sha256"):
        """A manifest, from an object or from bytes; returns its digest."""
        if not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":")).encode()
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = {}
        kind = media_type or parsed.get("mediaType", IMAGE)
        digest = digest_of(body, alg)
        r = self.repo(repo)
        with self.lock:
            r.manifests[digest] = (kind, body)
            for tag in tags:
                r.tags[tag] = digest
            subject = parsed.get("subject")
            if subject:
                d = {"mediaType": kind, "digest": digest, "size": len(body),
                     "artifactType": parsed.get("artifactType") or
                     parsed.get("config", {}).get("mediaType")}
                if "annotations" in parsed:
                    d["annotations"] = parsed["annotations"]
                each = r.referrers.setdefault(subject["digest"], [])
                if d not in each:
                    each.append(d)
        return digest

    def descriptor(self, digest, media_type=LAYER, **more):
        for r in self.repos.values():
            if digest in r.manifests:
                kind, body = r.manifests[digest]
                return dict(mediaType=kind, digest=digest, size=len(body),
                            **more)
        return dict(mediaType=media_type, digest=digest,
                    size=self.content[digest].size, **more)

    def image(self, repo, *tags, layers=1, **fields):
        """
        An image of its own: layers is how many random ones, or a list of
        bytes and digests.  Returns the digest of its manifest.
        """
        if isinstance(layers, int):
            layers = [os.urandom(200) for _ in range(layers)]
        layers = [x if isinstance(x, str) else self.blob(repo, x)
                  for x in layers]
        config = self.blob(repo, json.dumps(
            {"c": secrets.token_hex(8)}).encode())
        return self.manifest(repo, dict({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": self.descriptor(config, CONFIG),
            "layers": [self.descriptor(x) for x in layers]}, **fields), *tags)

    def index(self, repo, children, *tags, **fields):
        return self.manifest(repo, dict({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [self.descriptor(c) for c in children]}, **fields),
            *tags)

    def layers(self, repo, digest):
        """The blobs that a manifest names: its config, then its layers."""
        m = json.loads(self.repo(repo).manifests[digest][1])
        return [d["digest"] for d in [m["config"]] + m["layers"]]

    def tag(self, repo, tag, digest=None):
        """Moves a tag, or takes it away."""
        with self.lock:
            if digest is None:
                self.repo(repo).tags.pop(tag, None)
            else:
                self.repo(repo).tags[tag] = digest

    # ---- faults

    def fault(self, path="", method=None, role=None, times=None, skip=0,
              **fields):
        """
        From now on requests whose target has the regular expression `path`
        in it are treated so, the first `skip` of them excepted, `times` of
        them (None: all).  Later rules overrule earlier ones field by field.

        delay=S        S seconds before the first byte
        hold=True      no byte before rule.release()
        hang=True      never answers
        drop=True      closes without an answer
        slow_head=S    S seconds between the bytes of the head
        garbage=True   no HTTP at all
        status=, headers=[(k, v)], body=b""    another answer altogether
        headers= alone is added to the right answer
        rate=R         bytes a second on this connection
        cut=N, reset=N, stall=N   after N bytes of the body: close, RST, wait
        flip=N         byte N of the content is wrong
        length=K       Content-Length is off by K
        chunked=True   no Content-Length
        no_range=True  Range is ignored: 200
        digest=False | TEXT    without Docker-Content-Digest, or a wrong one
        etag=False | TEXT      likewise
        redirect=URL   307; a function gets the request and returns the URL
        unauthorized=True      401 whatever the token
        challenge=TEXT         instead of the right WWW-Authenticate
        close=True     Connection: close
        """
        unknown = set(fields) - set(Plan.FIELDS)
        assert not unknown, unknown
        rule = Rule(path, method, role, skip, times, fields)
        with self.lock:
            self.rules.append(rule)
        return rule

    def too_many(self, path="", seconds=1, **kw):
        return self.fault(path, status=429, headers=[
            ("Retry-After", str(seconds))], **kw)

    def mend(self, *rules):
        """Takes faults away, all of them when none is named."""
        with self.lock:
            for rule in rules or list(self.rules):
                self.rules.remove(rule)
                rule.release()

    def _plan(self, req):
        plan, waits = Plan(), []
        with self.lock:
            for rule in self.rules:
                if not rule.matches(req):
                    continue
                rule.seen += 1
                if rule.seen <= rule.skip or (
                        rule.times is not None and rule.hits >= rule.times):
                    continue
                rule.hits += 1
                for name, value in rule.fields.items():
                    setattr(plan, name, value)
                if rule.fields.get("hold"):
                    waits.append(rule.gate)
        for gate in waits:
            gate.wait()
        if plan.delay:
            time.sleep(plan.delay)
        if plan.hang:
            req.conn.leave()
        if plan.drop:
            raise Gone
        return plan

    # ---- counts

    def counted(self, req, n):
        if req.digest is not None and req.status in (200, 206):
            with self.lock:
                self.bytes_sent[req.digest] = (
                    self.bytes_sent.get(req.digest, 0) + n)

    def sent(self, digest):
        """Bytes of this blob or manifest that went out, by any way."""
        return self.bytes_sent.get(digest, 0)

    def seen(self, method=None, path="", role=None, status=None):
        """The requests, oldest first."""
        with self.lock:
            return [r for r in self.requests
                    if method in (None, r.method) and role in (None, r.role)
                    and status in (None, r.status)
                    and re.search(path, r.target)]

    def count(self, method=None, path="", role=None, status=None):
        return len(self.seen(method, path, role, status))

    def ranges(self, digest):
        """What was asked of this blob: Range headers, None for the whole."""
        return [r.range for r in self.requests
                if r.digest == digest and r.method == "GET"]

    @property
    def accepted(self):
        """Connections so far."""
        return sum(x.accepted for x in self.listeners)

    @property
    def open(self):
        """Connections that are open now."""
        return sum(len(x.open) for x in self.listeners)

    @property
    def issued(self):
        """Tokens that were given out."""
        return self.count(role="token", status=200)

    def clear(self):
        """Counts from nothing; content, tokens and faults stay."""
        with self.lock:
            self.requests, self.bytes_sent = [], {}

    # ---- rights

    def grant(self, user, pattern=".*", actions="pull"):
        """user "" is whoever has no login."""
        self.rights.append((user, re.compile(pattern), actions.split(",")))

    def revoke(self, user, tokens=True):
        """Takes a user's rights, and if told so the tokens given out."""
        with self.lock:
            self.rights = [r for r in self.rights if r[0] != user]
            if tokens:
                for t in [t for t, v in self.tokens.items() if v[0] == user]:
                    del self.tokens[t]

    def _may(self, user, repo, action):
        if not self.users:
            return True
        return any(u in (user, "") and p.fullmatch(repo) and action in a
                   for u, p, a in self.rights)

    def _login(self, req):
        """The user's name, "" for none, None for a wrong password."""
        kind, _, value = req.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return ""
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user if self.users.get(user) == password else None

    def _refusal(self, req, repo, action):
        """None, or what refuses: (status, challenge)."""
        if self.auth == "basic":
            challenge = 'Basic realm="%s"' % self.service
            user = self._login(req)
            if user is None or not user and not (
                    repo and self._may("", repo, action)):
                return 401, challenge
            req.user = user
            if repo and not self._may(user, repo, action):
                return (403 if self.denied == 401 else self.denied), None
            return None
        challenge = 'Bearer realm="%s",service="%s"' % (self.realm,
                                                        self.service)
        if repo:
            challenge += ',scope="repository:%s:%s"' % (
                repo, "pull,push" if action == "push" else action)
        kind, _, value = req.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return 401, challenge
        known = self.tokens.get(value)
        if known is None or known[2] < time.time():
            return 401, challenge + ',error="invalid_token"'
        req.user = known[0]
        if repo and (repo, action) not in known[1]:
            return (self.denied, challenge + ',error="insufficient_scope"'
                    if self.denied == 401 else None)
        return None

    def _token(self, req):
        plan = self._plan(req)
        self._begin(req)
        args, user = req.query, self._login(req)
        if req.method == "POST":
            form = b"".join(req.body()).decode()
            args = urllib.parse.parse_qs(form, keep_blank_values=True)
            name = args.get("username", [""])[0]
            user = name if name in self.users and self.users[name] \
                == args.get("password", [""])[0] else None
        if plan.status:
            return self._error(req, plan, plan.status, "UNKNOWN")
        if user is None or not req.path.endswith("/token"):
            return self._error(req, plan, 401, "UNAUTHORIZED")
        access = []
        for scope in " ".join(args.get("scope", [])).split():
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            for action in actions.split(","):
                if kind == "repository" and self._may(user, name, action):
                    access.append((name, action))
        req.user = user
        answer = self._issue(user, access)
        return self._json(req, plan, answer)

    def _issue(self, user, access):
        now = time.time()
        token = secrets.token_urlsafe(24)
        if self.signer is not None:
            grouped = {}
            for name, action in access:
                grouped.setdefault(name, []).append(action)
            token = self.signer.sign({
                "iss": self.signer.issuer, "sub": user, "jti": token,
                "aud": self.service, "iat": int(now), "nbf": int(now) - 5,
                "exp": int(now + self.token_life), "access": [
                    {"type": "repository", "name": n, "actions": a}
                    for n, a in grouped.items()]})
        with self.lock:
            self.tokens[token] = (user, set(access), now + self.token_life)
        answer = {name: token for name in self.token_fields}
        if self.token_told:
            answer["expires_in"] = self.token_life
            answer["issued_at"] = datetime.datetime.utcfromtimestamp(
                int(now)).isoformat() + "Z"
        return answer

    # ---- answers

    def _begin(self, req):
        with self.lock:
            self.requests.append(req)

    def _json(self, req, plan, obj, status=200, headers=(),
              kind="application/json"):
        body = json.dumps(obj, separators=(",", ":")).encode()
        self._send(req, plan, status, [("Content-Type", kind)]
                   + list(headers), Bytes(body))

    def _error(self, req, plan, status, code, headers=()):
        self._json(req, plan, {"errors": [
            {"code": code, "message": "from the upstream"}]}, status, headers)

    def _send(self, req, plan, status, headers, content=None, first=0,
              end=None):
        if req.role == "registry":
            headers = [("Docker-Distribution-Api-Version",
                        "registry/2.0")] + list(headers)
        if plan.status is None and plan.headers:
            headers = list(headers) + list(plan.headers)
        req.conn.answer(req, plan, status, headers, content, first, end)

    def _named(self, plan, digest, etag=True):
        headers = []
        if plan.digest is not False:
            headers.append(("Docker-Content-Digest", plan.digest or digest))
        tag = self._etag(plan, digest)
        if tag and etag:
            headers.append(("ETag", tag))
        return headers

    def _etag(self, plan, digest):
        if plan.etag is False or not self.etags:
            return None
        return plan.etag or '"%s"' % digest

    def _content(self, req, plan, digest, content, headers):
        """A blob, or a range of it."""
        size = content.size
        headers = [("Content-Type", "application/octet-stream")] + headers
        m = RANGE.match(req.range or "")
        conditional = req.headers.get("if-range")
        if conditional and conditional != self._etag(plan, digest):
            m = None
        if not m or plan.no_range or m.group(1) == m.group(2) == "":
            if not plan.no_range:
                headers.append(("Accept-Ranges", "bytes"))
            return self._send(req, plan, 200, headers, content)
        if m.group(1) == "":
            first, end = max(size - int(m.group(2)), 0), size
        else:
            first = int(m.group(1))
            end = min(int(m.group(2)) + 1, size) if m.group(2) else size
        if first >= end:
            return self._send(req, plan, 416, [
                ("Content-Range", "bytes */%d" % size)])
        headers += [("Accept-Ranges", "bytes"), (
            "Content-Range", "bytes %d-%d/%d" % (first, end - 1, size))]
        return self._send(req, plan, 206, headers, content, first, end)

    # ---- the object storage

    def _signature(self, digest, end):
        return hmac.new(self.storage_key, ("%s %d" % (digest, end)).encode(),
                        "sha256").hexdigest()

    def signed(self, digest, life=None):
        """A URL on the storage's own port that is good for a while."""
        end = int(time.time() + (self.storage_life if life is None
                                 else life))
        return "%s/bucket/%s?Expires=%d&Signature=%s" % (
            self._url(self.store, self.storage_host), digest, end,
            self._signature(digest, end))

    def _storage(self, req):
        """As S3 does: two ways to be authorised are one too many."""
        digest = req.path.rpartition("/")[2]
        req.digest = digest if digest in self.content else None
        self._begin(req)
        plan = self._plan(req)
        end = int(req.arg("Expires", "0"))
        if plan.status:
            return self._send(req, plan, plan.status, plan.headers or (),
                              Bytes(plan.body or b""))
        if "authorization" in req.headers:
            return self._send(req, plan, 400, (), Bytes(
                b"<Error><Code>InvalidArgument</Code></Error>"))
        if not hmac.compare_digest(self._signature(digest, end),
                                   req.arg("Signature", "")) \
                or end < time.time():
            return self._send(req, plan, 403, (), Bytes(
                b"<Error><Code>AccessDenied</Code></Error>"))
        if req.digest is None:
            return self._send(req, plan, 404, (), Bytes(b"<Error/>"))
        if plan.etag is None:
            plan.etag = '"%s"' % hashlib.md5(digest.encode()).hexdigest()
        return self._content(req, plan, digest, self.content[digest],
                             [("ETag", plan.etag)] if plan.etag else [])

    # ---- the registry

    def _registry(self, req):
        m = ROUTE.match(urllib.parse.unquote(req.path))
        repo, what, ref = m.groups() if m else (None, None, None)
        if what == "blobs":
            req.digest = ref if ref in self.content else None
        elif what == "manifests" and repo in self.repos:
            digest = self.repos[repo].tags.get(ref, ref)
            req.digest = (digest if digest in self.repos[repo].manifests
                          else None)
        self._begin(req)
        plan = self._plan(req)
        if plan.redirect:
            to = plan.redirect(req) if callable(plan.redirect) \
                else plan.redirect
            return self._send(req, plan, 307, [("Location", to)])
        if plan.status:
            headers = list(plan.headers or ())
            if plan.body is None:
                return self._error(req, plan, plan.status, "UNKNOWN", headers)
            return self._send(req, plan, plan.status, headers,
                              Bytes(plan.body))
        action = "pull" if req.method in ("GET", "HEAD") else (
            "delete" if req.method == "DELETE" and "/uploads/" not in
            req.path else "push")
        refusal = None
        if plan.unauthorized:
            refusal = (401, 'Bearer realm="%s",service="%s"'
                       % (self.realm, self.service))
        elif self.auth:
            refusal = self._refusal(req, repo, action)
        if refusal:
            headers = [("WWW-Authenticate", plan.challenge or refusal[1])] \
                if refusal[1] else []
            return self._error(req, plan, refusal[0], "UNAUTHORIZED"
                               if refusal[0] == 401 else "DENIED", headers)
        if req.path in ("/v2/", "/v2"):
            return self._json(req, plan, {})
        if repo is None:
            return self._error(req, plan, 404, "NAME_UNKNOWN")
        if action != "pull" or ref.startswith("uploads/"):
            return self._write(req, plan, repo, what, ref)
        if repo not in self.repos:
            return self._error(req, plan, 404, "NAME_UNKNOWN")
        return getattr(self, "_get_" + what)(req, plan, repo, ref)

    def _get_blobs(self, req, plan, repo, ref):
        if ref not in self.repos[repo].blobs:
            return self._error(req, plan, 404, "BLOB_UNKNOWN")
        if self.storage and (req.method == "GET" or self.storage_head):
            return self._send(req, plan, 307, [
                ("Location", self.signed(ref))])
        if req.headers.get("if-none-match") == self._etag(plan, ref):
            return self._send(req, plan, 304, self._named(plan, ref))
        return self._content(req, plan, ref, self.content[ref],
                             self._named(plan, ref))

    def _get_manifests(self, req, plan, repo, ref):
        r = self.repos[repo]
        digest = r.tags.get(ref, ref)
        if digest not in r.manifests:
            return self._error(req, plan, 404, "MANIFEST_UNKNOWN")
        kind, body = r.manifests[digest]
        headers = self._named(plan, digest)
        tag = self._etag(plan, digest)
        if tag and req.headers.get("if-none-match") == tag:
            return self._send(req, plan, 304, headers)
        return self._send(req, plan, 200, [("Content-Type", kind)] + headers,
                          Bytes(body))

    def _page(self, req, entries, last_of):
        """(entries of this page, Link headers)"""
        start = 0
        last = req.arg("last")
        if last:
            start = sum(1 for e in entries if last_of(e) <= last)
        most = [int(x) for x in (req.arg("n"), self.page) if x is not None]
        part = entries[start:start + min(most)] if most else entries[start:]
        if not most or start + len(part) >= len(entries) or not part:
            return part, []
        args = [(k, v[0]) for k, v in req.query.items() if k != "last"]
        to = "%s?%s" % (req.path, urllib.parse.urlencode(
            args + [("last", last_of(part[-1]))]))
        if self.links == "absolute":
            to = self.url + to
        return part, [("Link", '<%s>; rel="next"' % to)]

    def _get_tags(self, req, plan, repo, ref):
        if ref != "list":
            return self._error(req, plan, 404, "UNSUPPORTED")
        tags, links = self._page(req, sorted(self.repos[repo].tags), str)
        return self._json(req, plan, {"name": repo, "tags": tags},
                          headers=links)

    def _get_referrers(self, req, plan, repo, ref):
        if not self.referrers_api:
            return self._send(req, plan, 404, [
                ("Content-Type", "text/plain")], Bytes(b"404\n"))
        found = sorted(self.repos[repo].referrers.get(ref, ()),
                       key=lambda d: d["digest"])
        headers = []
        kind = req.arg("artifactType")
        if kind:
            found = [d for d in found if d["artifactType"] == kind]
            headers.append(("OCI-Filters-Applied", "artifactType"))
        found, links = self._page(req, found, lambda d: d["digest"])
        return self._json(req, plan, {
            "schemaVersion": 2, "mediaType": INDEX, "manifests": found},
            headers=headers + links, kind=INDEX)

    # ---- pushes

    def _upload_at(self, repo, upload):
        path = "/v2/%s/blobs/uploads/%s?_state=abc%%3D" % (repo, upload)
        return self.url + path if self.location == "absolute" else path

    def _write(self, req, plan, repo, what, ref):
        if not self.push:
            return self._error(req, plan, 405, "UNSUPPORTED")
        if what == "blobs" and ref.startswith("uploads/"):
            return self._upload(req, plan, repo, ref[len("uploads/"):])
        r = self.repo(repo)
        if req.method == "PUT" and what == "manifests":
            body = b"".join(req.body())
            tags = () if ":" in ref else (ref,)
            digest = self.manifest(repo, body, *tags,
                                   media_type=req.headers.get("content-type"))
            headers = [("Location", "/v2/%s/manifests/%s" % (repo, digest)),
                       ("Docker-Content-Digest", digest)]
            subject = json.loads(body).get("subject")
            if subject:
                headers.append(("OCI-Subject", subject["digest"]))
            return self._send(req, plan, 201, headers)
        if req.method == "DELETE":
            with self.lock:
                if what == "blobs":
                    found = ref in r.blobs
                    r.blobs.discard(ref)
                elif ":" in ref:
                    found = r.manifests.pop(ref, None)
                    r.tags = {t: d for t, d in r.tags.items() if d != ref}
                else:
                    found = r.tags.pop(ref, None)
            if found:
                return self._send(req, plan, 202, ())
            return self._error(req, plan, 404, "MANIFEST_UNKNOWN")
        return self._error(req, plan, 405, "UNSUPPORTED")

    def _upload(self, req, plan, repo, upload):
        if req.method == "POST":
            mount, source = req.arg("mount"), req.arg("from")
            if mount and source in self.repos and mount in self.repos[
                    source].blobs:
                self.repo(repo).blobs.add(mount)
                return self._stored(req, plan, repo, mount)
            upload = secrets.token_hex(16)
            with self.lock:
                self.uploads[upload] = (repo, bytearray())
        known = self.uploads.get(upload)
        if known is None or known[0] != repo:
            return self._error(req, plan, 404, "BLOB_UPLOAD_UNKNOWN")
        data = known[1]
        if req.method == "DELETE":
            del self.uploads[upload]
            return self._send(req, plan, 204, ())
        for piece in req.body():
            data += piece
        digest = req.arg("digest")
        if digest and req.method in ("PUT", "POST"):
            del self.uploads[upload]
            if digest_of(data, digest.partition(":")[0]) != digest:
                return self._error(req, plan, 400, "DIGEST_INVALID")
            self.blob(repo, bytes(data), digest)
            return self._stored(req, plan, repo, digest)
        status = 204 if req.method == "GET" else 202
        return self._send(req, plan, status, [
            ("Location", self._upload_at(repo, upload)),
            ("Range", "0-%d" % max(len(data) - 1, 0)),
            ("Docker-Upload-UUID", upload)])

    def _stored(self, req, plan, repo, digest):
        return self._send(req, plan, 201, [
            ("Location", "/v2/%s/blobs/%s" % (repo, digest)),
            ("Docker-Content-Digest", digest)])
