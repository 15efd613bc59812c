"""Free ports that nobody else is given.

They lie below the range that the kernel takes for outgoing connections,
in blocks of which each process holds one by a lock: two runs of the suite
at the same time never hand out the same port, and none comes again
before its whole block has gone round.
"""

import fcntl
import os
import socket
import tempfile

BLOCK = 400
FIRST = 10000

_block = {}


def _top():
    """The first port that outgoing connections may have."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            low = int(f.read().split()[0])
    except OSError:
        low = 32768
    return low if low >= FIRST + 4 * BLOCK else 32768


def _claim():
    """A block of ports, ours for as long as this process lives."""
    folder = os.path.join(tempfile.gettempdir(), "oci-ports-%d" % os.getuid())
    os.makedirs(folder, exist_ok=True)
    for at in range(FIRST, _top() - BLOCK + 1, BLOCK):
        lock = open(os.path.join(folder, "%d.lock" % at), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return {"pid": os.getpid(), "lock": lock, "first": at, "next": 0}
    raise OSError("all blocks of ports are taken")


def _is_free(port, kind):
    with socket.socket(socket.AF_INET, kind) as s:
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(kind=socket.SOCK_STREAM):
    global _block
    if _block.get("pid") != os.getpid():
        _block = _claim()
    for _ in range(BLOCK):
        port = _block["first"] + _block["next"] % BLOCK
        _block["next"] += 1
        if _is_free(port, kind):
            return port
    raise OSError("no free port")
