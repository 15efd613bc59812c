"""HTTP/1.1 by hand: what an orderly client library would never send."""

import json
import socket
import ssl
import struct
import time

from nginx import SLOWDOWN

_open = []


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    status_code = property(lambda self: self.status)
    content = property(lambda self: self.body)
    text = property(lambda self: self.body.decode("utf-8", "replace"))

    def get(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %r %r>" % (self.status, self.headers, self.body[:300])


class Raw:
    """One connection.  addr is (host, port) or the path of a socket."""

    def __init__(self, addr, tls=False, timeout=15, host="registry.test"):
        if isinstance(addr, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout * SLOWDOWN)
            self.sock.connect(addr)
        else:
            self.sock = socket.create_connection(addr, timeout * SLOWDOWN)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            ctx = ssl.create_default_context()
            ctx.check_hostname = False
            ctx.verify_mode = ssl.CERT_NONE
            self.sock = ctx.wrap_socket(self.sock)
        self.host = host
        self.buf = b""
        _open.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- sending

    def send(self, data):
        self.sock.sendall(data)

    def try_send(self, data):
        """Sends what the other side still takes."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def head(self, method, target, *headers, host=None):
        lines = ["%s %s HTTP/1.1" % (method, target),
                 "Host: %s" % (host or self.host)]
        lines += ["%s: %s" % h for h in headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def request(self, method, target, *headers, body=None, host=None):
        if body is not None:
            headers += (("Content-Length", str(len(body))),)
        self.head(method, target, *headers, host=host)
        if body:
            self.try_send(body)
        return self.response(method)

    def chunk(self, data):
        """One chunk of a chunked body; empty data ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    # ---- receiving

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed after %r" % self.buf[:200])
        self.buf += data

    def _take(self, n):
        parts = [self.buf[:n]]
        self.buf = self.buf[n:]
        left = n - len(parts[0])
        while left:
            data = self.sock.recv(min(left, 1 << 20))
            if not data:
                raise ConnectionError("closed, %d bytes missing" % left)
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def _line(self):
        while b"\r\n" not in self.buf:
            self._more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line.decode("latin-1")

    def response_head(self):
        """(status, headers) of the next message, a 100 included."""
        status = int(self._line().split(" ", 2)[1])
        headers = []
        while True:
            line = self._line()
            if not line:
                return status, headers
            key, value = line.split(":", 1)
            headers.append((key, value.strip()))

    def response(self, method="GET"):
        status, headers = self.response_head()
        r = Response(status, headers, b"")
        if method == "HEAD" or status in (204, 304) or status < 200:
            return r
        if r.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                n = int(self._line().split(";")[0], 16)
                r.body += self._take(n)
                self._line()
                if n == 0:
                    return r
        length = r.get("Content-Length")
        if length is not None:
            r.body = self._take(int(length))
            return r
        while True:
            data = self.sock.recv(65536)
            if not data:
                r.body, self.buf = self.buf + r.body, b""
                return r
            r.body += data

    def quiet(self, seconds):
        """True if nothing arrives within that time."""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return True
        finally:
            self.sock.settimeout(old)
        self.buf += data
        return False

    def at_end(self, timeout=10):
        """True if the other side closes without sending more."""
        self.sock.settimeout(timeout * SLOWDOWN)
        try:
            return not self.buf and self.sock.recv(1) == b""
        except ConnectionError:
            return True

    # ---- leaving

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def abort(self):
        """A reset, as of a client that was killed."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if self in _open:
            _open.remove(self)
        self.sock.close()


def trickle(raw, data, piece, pause):
    """A slow client."""
    for i in range(0, len(data), piece):
        raw.send(data[i:i + piece])
        time.sleep(pause)


def close_all():
    for raw in list(_open):
        raw.close()
