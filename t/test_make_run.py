"""make run: its own nginx in the foreground, from the knobs to Ctrl-C."""

import http.client
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

import nginx as ngx

pytestmark = pytest.mark.native


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="oci-run-", dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def get(port, path):
    """Status and body, or None while nobody listens."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read()
    except ConnectionRefusedError:
        return None
    finally:
        c.close()


def serve(folder, command=("make", "run"), **knobs):
    env = {k: v for k, v in os.environ.items()
           if k not in ("PORT", "STORE", "SANITIZE", "MAKEFLAGS", "MAKELEVEL",
                        "MFLAGS")}
    env.update(knobs)
    log = open(os.path.join(folder, "log"), "wb")
    with log:
        return subprocess.Popen(
            list(command), cwd=ngx.ROOT, env=env, stdout=log,
            stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)


def text(folder):
    with open(os.path.join(folder, "log"), encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("sig, knobs", [
    (signal.SIGINT, {}),
    (signal.SIGTERM, {"NGINX": os.environ.get("OCI_NGINX",
                                              "/usr/sbin/nginx")}),
])
def test_serves_and_ends(folder, sig, knobs):
    port = ngx.free_port()
    store = os.path.join(folder, "a", "store")
    proc = serve(folder, PORT=str(port), STORE=store, **knobs)
    try:
        def answer():
            assert proc.poll() is None, text(folder)
            return get(port, "/v2/")

        status, _ = ngx.wait_for("make run to serve", answer, 120)
        assert status == 200
        assert os.path.exists(os.path.join(store, "format"))
        status, body = get(port, "/v2/a/b/manifests/latest")
        assert status == 404 and b"errors" in body
        # as a terminal does: the whole group gets it
        os.killpg(proc.pid, sig)
        proc.wait(30)
        ngx.wait_for("the port to be free", lambda: not get(port, "/v2/"))
        log = text(folder)
        assert not any(w in log for w in ("[alert]", "[crit]", "[emerg]",
                                          "[warn]",
                                          "inherited sockets")), log
        assert 'repository="a/b"' in log
    finally:
        if proc.poll() is None:
            os.killpg(proc.pid, signal.SIGKILL)
            proc.wait()


@pytest.mark.parametrize("knobs, says", [
    ({"PORT": "5000x"}, "PORT=5000x is not a number"),
    ({"STORE": "/tmp/a b"}, "a path holds a character"),
    ({"STORE": "/tmp/a;b"}, "a path holds a character"),
    ({"NGINX": "/nonexistent"}, "/nonexistent is not a program"),
])
def test_refuses(folder, knobs, says):
    proc = serve(folder, command=(".ci/serve.sh",), **knobs)
    assert proc.wait(30) == 1
    assert says in text(folder)


def test_refuses_a_folder_out_of_reach(folder):
    """Neither the workers' user nor a plain one gets into it."""
    shut = os.path.join(folder, "shut")
    os.mkdir(shut, 0o500)
    proc = serve(folder, command=(".ci/serve.sh",),
                 STORE=os.path.join(shut, "a", "store"))
    assert proc.wait(30) == 1
    assert "cannot reach" in text(folder)
