"""Real clients of the hub, from PyPI, and a line that can be cut."""

import json
import os
import socket
import subprocess
import threading

T = os.path.dirname(os.path.abspath(__file__))

# what a client is told to do, by its own module: it prints JSON
SCRIPT = """
import json, sys
import huggingface_hub as hub
args = json.loads(sys.argv[1])
%s
"""


class Program:
    """One release of huggingface_hub, in an environment of its own."""

    def __init__(self, name, path=None):
        if path is None:
            path = subprocess.run(
                [os.path.join(T, "tools.sh"), name], check=True,
                stdout=subprocess.PIPE, text=True).stdout
        self.name = name
        self.bin = os.path.join(os.path.dirname(path.strip()), "venv", "bin")

    def at(self, url, home, transfer=False):
        """transfer: large files by hf_transfer, where the release has it."""
        hub = Hub(self, url, home)
        if transfer:
            hub.env["HF_HUB_ENABLE_HF_TRANSFER"] = "1"
        return hub


class Hub:
    """A client of one hub, with an own cache."""

    def __init__(self, program, url, home):
        self.bin = program.bin
        self.home = str(home)
        self.env = dict(
            PATH=program.bin + ":/usr/bin:/bin", HOME=self.home,
            HF_ENDPOINT=url, HF_HOME=self.home, HF_HUB_DISABLE_TELEMETRY="1",
            HF_HUB_DISABLE_UPDATE_CHECK="1", HF_HUB_DISABLE_PROGRESS_BARS="1",
            PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1")

    def start(self, code, **args):
        return subprocess.Popen(
            [os.path.join(self.bin, "python3"), "-c", SCRIPT % code,
             json.dumps(args)], env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, code, **args):
        """The JSON that the code prints."""
        p = self.start(code, **args)
        out, err = p.communicate(timeout=300)
        assert p.returncode == 0, "%s\n%s" % (out, err)
        self.said = err
        return json.loads(out)

    def snapshot(self, repo, **kw):
        """The folder that snapshot_download() made."""
        return self.run("print(json.dumps(hub.snapshot_download(**args)))",
                        repo_id=repo, **kw)

    def error(self, code, **args):
        """The name of the exception that it ends with."""
        return self.run("try:\n    %s\n    print('null')\n"
                        "except Exception as e:\n"
                        "    print(json.dumps(type(e).__name__))\n" % code,
                        **args)

    def command(self, *args):
        """What the program on the command line prints."""
        p = subprocess.run([os.path.join(self.bin, "hf")] + list(args),
                           env=self.env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=300)
        assert p.returncode == 0, p.stdout + p.stderr
        return p.stdout


def tree(folder):
    """Path to content of all files below a folder, links followed."""
    found = {}
    for top, dirs, names in os.walk(folder):
        dirs[:] = [d for d in dirs if d != ".cache"]
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, folder)] = f.read()
    return found


class Line:
    """
    A TCP relay.  cut(n) closes, and hold(n) stops, the first connection on
    which so many bytes have come from the server.
    """

    def __init__(self, addr):
        self.addr = addr
        self.limit = None
        self.cuts = 0
        self.held = threading.Event()
        self.go_on = None
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after):
        self.limit = after

    def hold(self, after):
        self.go_on = threading.Event()
        self.limit = after

    def release(self):
        self.go_on.set()

    def stop(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.addr)
            for a, b, back in ((client, server, False),
                               (server, client, True)):
                threading.Thread(target=self._copy, args=(a, b, back),
                                 daemon=True).start()

    def _copy(self, source, to, back):
        seen = 0
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                seen += len(data)
                to.sendall(data)
                if back and self._met(seen):
                    break
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _met(self, seen):
        """Whether this is where the line is to be cut; or it is held."""
        with self.lock:
            if self.limit is None or seen < self.limit:
                return False
            self.limit = None
        if self.go_on is None:
            self.cuts += 1
            return True
        self.held.set()
        self.go_on.wait()
        return False
