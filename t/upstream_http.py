"""The wire of the upstreams for tests: listeners, connections, certificates.

What it sends is told by a Plan, so that a test can have any answer broken in
any way.  Standard library only; certificates are made by openssl.
"""

import array
import atexit
import base64
import fcntl
import os
import random
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import termios
import threading
import time
import urllib.parse

from ports import free_port

MIB = 1 << 20
REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
           206: "Partial Content", 304: "Not Modified",
           307: "Temporary Redirect", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 503: "Service Unavailable"}


class Gone(Exception):
    """The other side left, or the plan says that we do."""


# ---- content

class Bytes:
    """Content that is in memory."""

    def __init__(self, data):
        self.view = memoryview(data)
        self.size = len(data)

    def pieces(self, first, end, step):
        for i in range(first, end, step):
            yield self.view[i:min(i + step, end)]


class Sparse:
    """
    As much content as wanted, the same for the same seed, from two MiB of
    memory.  Each MiB of it differs from its neighbours, so that bytes that
    land in a wrong place are noticed.
    """

    def __init__(self, size, seed=0):
        self.size = size
        self.pool = memoryview(random.Random(seed).randbytes(2 * MIB))

    def pieces(self, first, end, step):
        while first < end:
            block, inside = divmod(first, MIB)
            start = block * 7919 % MIB + inside
            n = min(step, MIB - inside, end - first)
            yield self.pool[start:start + n]
            first += n

    def read(self, first, end):
        return b"".join(self.pieces(first, end, MIB))


# ---- rates

class Bucket:
    """So many bytes a second over all who take from it."""

    def __init__(self, rate):
        self.rate = rate
        self.due = 0.0
        self.lock = threading.Lock()

    @property
    def step(self):
        if self.rate < 80000:
            return max(1, int(self.rate / 20))
        return max(4096, min(65536, int(self.rate * 0.004)))

    def take(self, n):
        with self.lock:
            now = time.monotonic()
            # a pause is not made up for by more than a few milliseconds
            self.due = max(self.due, now - 0.005) + n / self.rate
            wait = self.due - now
        if wait > 0:
            time.sleep(wait)


# ---- certificates

class Authority:
    """A CA for one run, made on first use: .ca is its file."""

    _one = None

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="oci-ca-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        atexit.register(shutil.rmtree, self.folder, True)
        self.made = {}
        self.lock = threading.Lock()
        self.ca = self._path("ca.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", "/CN=CA of a test", "-keyout",
                      self._path("ca.key"), "-out", self.ca, "-addext",
                      "keyUsage=critical,keyCertSign,cRLSign")

    @classmethod
    def one(cls):
        if cls._one is None:
            cls._one = cls()
        return cls._one

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*args):
        p = subprocess.run(("openssl",) + args, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, check=False)
        if p.returncode != 0:
            raise RuntimeError("openssl %s: %s" % (args[0], p.stdout))

    def certificate(self, names=("127.0.0.1", "localhost"), signed=True,
                    days=30):
        """(certificate, key): files, for these names and addresses."""
        what = (tuple(names), signed, days)
        with self.lock:
            if what not in self.made:
                self.made[what] = self._make(*what)
            return self.made[what]

    def _make(self, names, signed, days):
        base = self._path("c%d" % len(self.made))
        alt = ",".join(("IP:" if n.replace(".", "").isdigit() or ":" in n
                        else "DNS:") + n for n in names)
        request = ("req", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   "/CN=" + names[0], "-keyout", base + ".key")
        if not signed:
            self._openssl(*request, "-x509", "-days", str(days), "-addext",
                          "subjectAltName=" + alt, "-out", base + ".pem")
            return base + ".pem", base + ".key"
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write("subjectAltName=%s\n" % alt)
        self._openssl(*request, "-out", base + ".csr")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca,
                      "-CAkey", self._path("ca.key"), "-CAcreateserial",
                      "-days", str(days), "-extfile", base + ".ext", "-out",
                      base + ".pem")
        return base + ".pem", base + ".key"


def tls_context(kind):
    """
    kind: True (signed by Authority.one()), "self-signed", "wrong-name", or a
    tuple of names that the certificate is for.
    """
    ca = Authority.one()
    names = ("127.0.0.1", "localhost")
    if kind == "wrong-name":
        names = ("elsewhere.test",)
    elif isinstance(kind, tuple):
        names = kind
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(*ca.certificate(names, kind != "self-signed"))
    return ctx


# ---- connections

class Request:
    """A request as it came, and what was answered."""

    def __init__(self, conn, method, target, headers):
        self.conn = conn
        self.connection = conn.number
        self.role = conn.listener.role
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.headers = headers
        self.range = headers.get("range")
        self.user = None            # who the upstream took it for
        self.time = time.monotonic()
        self.digest = None          # what it asked for, if that is here
        self.status = None
        self.sent = 0               # bytes of the body, so far
        self.done = False
        self.unread = True

    def __repr__(self):
        return "<%s %s %s %s%s: %s, %d bytes>" % (
            self.role, self.connection, self.method, self.target,
            " " + self.range if self.range else "", self.status, self.sent)

    def arg(self, name, default=None):
        return self.query.get(name, [default])[0]

    def body(self):
        """The pieces of its body."""
        if not self.unread:
            return
        self.unread = False
        conn = self.conn
        if self.headers.get("expect", "").lower() == "100-continue":
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                n = int(conn.line().split(b";")[0], 16)
                if n == 0:
                    while conn.line():
                        pass
                    return
                yield from conn.take(n)
                conn.line()
        yield from conn.take(int(self.headers.get("content-length", 0)))


class Plan:
    """How an answer is sent, field by field; what is None is as it should be.

    All offsets count from the first byte of the body, but `flip`, which
    counts from the first byte of the content, whatever range of it is asked.
    """

    FIELDS = ("delay", "hold", "hang", "status", "headers", "body", "drop",
              "rate", "cut", "reset", "stall", "flip", "length", "chunked",
              "no_range", "digest", "etag", "redirect", "unauthorized",
              "challenge", "close", "slow_head", "garbage")

    def __init__(self):
        for name in self.FIELDS:
            setattr(self, name, None)
        self.events = []


class Connection:
    def __init__(self, listener, sock, number):
        self.listener = listener
        self.sock = sock
        self.number = number
        self.buf = b""
        self.served = 0

    # ---- receiving

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buf += data

    def line(self):
        while b"\r\n" not in self.buf:
            self._more()
        line, _, self.buf = self.buf.partition(b"\r\n")
        return line

    def take(self, n):
        while n > 0:
            if not self.buf:
                self._more()
            piece, self.buf = self.buf[:n], self.buf[n:]
            n -= len(piece)
            yield piece

    def request(self):
        while b"\r\n\r\n" not in self.buf:
            self._more()
        head, _, self.buf = self.buf.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            value = value.strip()
            headers[key] = (headers[key] + ", " + value if key in headers
                            else value)
        return Request(self, method, target, headers)

    # ---- sending

    def drain(self):
        """Waits until the other side has what was sent (2 s at most)."""
        left = array.array("i", [0])
        end = time.monotonic() + 2
        while time.monotonic() < end:
            fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, left)
            if left[0] == 0:
                return
            time.sleep(0.001)

    def reset(self):
        self.drain()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise Gone

    def leave(self):
        """Sends nothing more until the other side is gone, or we stop."""
        while True:
            if not self.sock.recv(65536):
                raise Gone

    def _send(self, req, data):
        self.sock.sendall(data)
        req.sent += len(data)
        self.listener.owner.counted(req, len(data))

    def answer(self, req, plan, status, headers, content=None, first=0,
               end=None):
        """One whole answer; content is Bytes or Sparse, or nothing."""
        end = (content.size if content else 0) if end is None else end
        headers = list(headers)
        bodiless = status in (204, 304) or status < 200
        if plan.chunked and not bodiless:
            headers.append(("Transfer-Encoding", "chunked"))
        elif not bodiless:
            headers.append(("Content-Length",
                            str(end - first + (plan.length or 0))))
        if plan.close:
            headers.append(("Connection", "close"))
        req.status = status
        lines = ["HTTP/1.1 %d %s" % (status, REASONS.get(status, "Status"))]
        lines += ["%s: %s" % h for h in headers]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if plan.garbage:
            head = b"\x15\x03\x01\x00\x02\x02\x0a" + head
        whole = req.method == "HEAD" or bodiless
        if plan.slow_head:
            for byte in head:
                self.sock.sendall(bytes((byte,)))
                time.sleep(plan.slow_head)
        elif (whole or end == first
              or plan.rate or self.listener.owner.rate_total
              or end - first > MIB or plan.chunked or plan.cut is not None
              or plan.reset is not None or plan.stall is not None):
            self.sock.sendall(head)
        else:
            # a small answer is one segment
            data = b"".join(self._flipped(content, first, end, MIB, plan))
            self.sock.sendall(head + data)
            req.sent += len(data)
            self.listener.owner.counted(req, len(data))
            whole = True
        if not whole:
            self._body(req, plan, content, first, end)
        req.done = True
        if plan.close or plan.length:
            raise Gone

    @staticmethod
    def _flipped(content, first, end, step, plan):
        at = first
        for piece in (content.pieces(first, end, step) if content else ()):
            if plan.flip is not None and at <= plan.flip < at + len(piece):
                piece = bytearray(piece)
                piece[plan.flip - at] ^= 1
            yield piece
            at += len(piece)

    def _body(self, req, plan, content, first, end):
        buckets = [b for b in (Bucket(plan.rate) if plan.rate else None,
                               self.listener.owner.rate_total) if b]
        step = min([b.step for b in buckets] or [MIB])
        stop = min(x for x in (plan.cut, plan.reset, plan.stall, end - first)
                   if x is not None)
        left = stop
        for piece in self._flipped(content, first, end, step, plan):
            piece = piece[:left]
            left -= len(piece)
            for bucket in buckets:
                bucket.take(len(piece))
            if plan.chunked and len(piece):
                self.sock.sendall(b"%x\r\n" % len(piece))
            self._send(req, piece)
            if plan.chunked and len(piece):
                self.sock.sendall(b"\r\n")
            if left == 0:
                break
        if plan.reset is not None and plan.reset == stop:
            self.reset()
        if plan.cut is not None and plan.cut == stop:
            self.drain()
            raise Gone
        if plan.stall is not None and plan.stall == stop:
            self.leave()
        if plan.chunked:
            self.sock.sendall(b"0\r\n\r\n")

    def run(self):
        try:
            ctx = self.listener.context
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.listener.owner.deaf:
                self.leave()
            if ctx is not None:
                self.sock = ctx.wrap_socket(self.sock, server_side=True)
            while True:
                limit = self.listener.owner.keepalive
                if limit is not None and self.served >= limit:
                    raise Gone
                self.served += 1
                req = self.request()
                self.listener.handler(req)
                for _ in req.body():
                    pass
        except (Gone, OSError, ValueError):
            pass
        finally:
            self.listener.forget(self)
            try:
                self.sock.close()
            except OSError:
                pass


class Listener:
    """One port.  owner: what counts; handler: what answers a Request."""

    def __init__(self, owner, role, handler, tls=None, address="127.0.0.1",
                 port=0):
        self.owner, self.role, self.handler = owner, role, handler
        self.context = tls_context(tls) if tls else None
        self.address, self.port = address, port or free_port()
        self.lock = threading.Lock()
        self.sock = None
        self.open = set()
        self.accepted = 0
        self.start()

    def start(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((self.address, self.port))
        self.sock.listen(4096)
        threading.Thread(target=self._accept, args=(self.sock,),
                         daemon=True).start()

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            with self.lock:
                if self.sock is not listening:
                    sock.close()
                    return
                self.accepted += 1
                conn = Connection(self, sock, self.accepted)
                self.open.add(conn)
            threading.Thread(target=conn.run, daemon=True).start()

    def forget(self, conn):
        with self.lock:
            self.open.discard(conn)

    def drop(self):
        """Closes what is open, and goes on listening."""
        with self.lock:
            conns = list(self.open)
        for conn in conns:
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        """Closes everything: whoever connects is refused."""
        with self.lock:
            listening, self.sock = self.sock, None
        if listening is not None:
            # accept() in another thread holds the socket until it is woken
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        self.drop()


# ---- proxies

class Proxy:
    """
    An HTTP proxy for the way out: CONNECT, and http:// in the request line.
    table: "host:port" to the (address, port) that is meant by it; login:
    "user:password" that it asks for; refuse: a status for everything.
    """

    rate_total, keepalive, deaf = None, None, False

    def __init__(self, login=None, refuse=None, tls=False, table=None):
        self.login, self.refuse = login, refuse
        self.table = table or {}
        self.requests = []
        self.listener = Listener(self, "proxy", self._handle, tls)
        self.port = self.listener.port

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % (
            "https" if self.listener.context else "http", self.port)

    @property
    def asked(self):
        """The targets, in order: host:port of CONNECT, or URLs."""
        return [r.target for r in self.requests]

    def counted(self, req, n):
        pass

    def stop(self):
        self.listener.stop()

    def _handle(self, req):
        self.requests.append(req)
        status = self.refuse
        word = req.headers.get("proxy-authorization", "")
        if self.login and word != "Basic " + base64.b64encode(
                self.login.encode()).decode():
            status = 407
        if status:
            return req.conn.answer(req, Plan(), status, [
                ("Proxy-Authenticate", 'Basic realm="proxy"')])
        where = req.target
        if req.method != "CONNECT":
            where = urllib.parse.urlsplit(req.target).netloc
        host, _, port = where.rpartition(":")
        there = socket.create_connection(
            self.table.get(where, (host.strip("[]"), int(port))), 10)
        here = req.conn.sock
        if req.method == "CONNECT":
            here.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = req.target.split(where, 1)[1] or "/"
            head = ["%s %s HTTP/1.1" % (req.method, path)]
            head += ["%s: %s" % (k, v) for k, v in req.headers.items()
                     if k not in ("proxy-authorization", "connection")]
            there.sendall("\r\n".join(
                head + ["Connection: close", "", ""]).encode("latin-1"))
        there.settimeout(None)
        there.sendall(req.conn.buf)
        back = threading.Thread(target=_relay, args=(there, here),
                                daemon=True)
        back.start()
        _relay(here, there)
        back.join()
        there.close()
        raise Gone


def _relay(source, to):
    try:
        while True:
            data = source.recv(1 << 16)
            if not data:
                break
            to.sendall(data)
    except OSError:
        pass
    for sock in (source, to):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


# ---- names

class Names:
    """
    A name server for `resolver 127.0.0.1:PORT;`.  table: name to a list of
    IPv4 addresses; a name with None never gets an answer.
    """

    def __init__(self, **table):
        self.table = {k.replace("_", "."): v for k, v in table.items()}
        self.asked = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port(socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def _run(self):
        while True:
            try:
                data, addr = self.sock.recvfrom(4096)
                if not data:
                    return
                reply = self._reply(data)
                if reply:
                    self.sock.sendto(reply, addr)
            except OSError:
                return

    def _reply(self, data):
        i, labels = 12, []
        while data[i]:
            labels.append(data[i + 1:i + 1 + data[i]].decode("latin-1"))
            i += 1 + data[i]
        kind = struct.unpack(">H", data[i + 1:i + 3])[0]
        question = data[12:i + 5]
        name = ".".join(labels).lower()
        self.asked.append(name)
        found = self.table.get(name, ())
        if found is None:
            return None
        code = 0 if name in self.table else 3
        found = found if kind == 1 else ()
        head = struct.pack(">HHHHHH", struct.unpack(">H", data[:2])[0],
                           0x8180 | code, 1, len(found), 0, 0)
        return head + question + b"".join(
            struct.pack(">HHHIH", 0xc00c, 1, 1, 5, 4) + socket.inet_aton(a)
            for a in found)
