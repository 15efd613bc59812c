"""A real nginx for one test: its own prefix, ports, store and gate."""

import atexit
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from gate import FORBIDDEN, PRELOAD, SLOWDOWN, VALGRIND, Gate, \
    GateError, wait_for
from ports import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

__all__ = ["FORBIDDEN", "GateError", "Nginx", "PRELOAD", "SLOWDOWN",
           "VALGRIND", "free_port", "live", "wait_for"]

TEMPLATE = """\
@LOAD@
@USER@
daemon off;
worker_processes @WORKERS@;
worker_shutdown_timeout 10s;
error_log logs/error.log info;
pid logs/nginx.pid;
@MAIN@
events {
    worker_connections 1024;
}
http {
    access_log logs/access.log;
    client_body_temp_path @PREFIX@/temp/body;
    proxy_temp_path @PREFIX@/temp/proxy;
    fastcgi_temp_path @PREFIX@/temp/fastcgi;
    uwsgi_temp_path @PREFIX@/temp/uwsgi;
    scgi_temp_path @PREFIX@/temp/scgi;
    large_client_header_buffers 8 64k;
    add_header X-Worker $pid always;
    @STORES@
    @HTTP@
    server {
        listen 127.0.0.1:@PORT@ @LISTEN@;
        @SERVER@
        @V2@
    }
}
"""

_live = []


def live():
    return list(_live)


class Nginx(Gate):
    """
    v2 replaces the whole /v2/ location; else it is made of methods and
    location.  Texts may hold @PREFIX@, @STORE@, @PORT@ and @PORT:name@.
    """

    def __init__(self, workers=2, methods="pull push delete", location="",
                 server="", http="", main="", listen="", v2=None,
                 store_opts="durable=off", zone="8m", stores=None,
                 wrap=(), start=True, store_clean=False, mount_size=None):
        self.prefix = tempfile.mkdtemp(prefix="oci-t-", dir="/tmp")
        self.store = os.path.join(self.prefix, "store")
        self.workers_wanted = workers
        self.wrap = list(wrap)
        self.store_clean = store_clean
        self.ports = {}
        self.proc = None
        self.killed = set()
        self.allowed = []
        self.baseline = None
        self.log_checked = 0
        self.on_stop = []
        self.mounted = False
        self._dirs(mount_size)
        if v2 is None:
            v2 = ("location /v2/ { oci main; oci_methods %s; %s }"
                  % (methods, location))
        if stores is None:
            stores = "oci_store @STORE@ zone=main:%s %s;" % (zone, store_opts)
        self.parts = {
            "LOAD": self._load(), "USER": self._user(),
            "WORKERS": str(workers), "MAIN": main, "HTTP": http,
            "SERVER": server, "V2": v2, "STORES": stores, "LISTEN": listen}
        if start:
            self.start()

    # ---- files

    def _load(self):
        if os.environ.get("OCI_NGINX_NO_LOAD") == "1":
            return ""
        so = os.environ.get(
            "OCI_MODULE", os.path.join(ROOT, "build",
                                       "ngx_http_oci_module.so"))
        return "load_module %s;" % os.path.abspath(so)

    @staticmethod
    def _user():
        return "user www-data;" if os.geteuid() == 0 else ""

    def _dirs(self, mount_size):
        os.chmod(self.prefix, 0o755)
        for d in ("logs", "temp", "store", "san", "files"):
            path = os.path.join(self.prefix, d)
            os.mkdir(path)
            os.chmod(path, 0o755)
        if mount_size:
            subprocess.run(["mount", "-t", "tmpfs", "-o",
                            "size=%s,mode=755" % mount_size, "oci-test",
                            self.store], check=True)
            self.mounted = True
        if os.geteuid() == 0:
            for d in ("temp", "store", "san", "logs"):
                self.own(os.path.join(self.prefix, d))

    @staticmethod
    def own(path):
        """Gives a path to the user of the workers."""
        if os.geteuid() == 0:
            u = pwd.getpwnam("www-data")
            os.chown(path, u.pw_uid, u.pw_gid)

    def file(self, name, text):
        """Writes a file that a configuration can name as files/NAME."""
        path = os.path.join(self.prefix, "files", name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def path(self, *parts):
        return os.path.join(self.store, *parts)

    def made(self):
        """Waits for the store: the first worker makes it, once it runs."""
        wait_for("the store", lambda: os.path.exists(self.path("format")))
        return self

    def repo(self, name, *parts):
        return os.path.join(self.store, "repositories", name, *parts)

    def port(self, name="main"):
        return self.ports[name]

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port()

    @property
    def addr(self):
        return ("127.0.0.1", self.port())

    def _configure(self):
        text = TEMPLATE
        for _ in range(2):
            for key, value in self.parts.items():
                text = text.replace("@%s@" % key, value)
        text = text.replace("@PREFIX@", self.prefix)
        text = text.replace("@STORE@", self.store)
        text = text.replace("@PORT@", "@PORT:main@")

        def port(m):
            return str(self.ports.setdefault(m.group(1), free_port()))

        text = re.sub(r"@PORT:(\w+)@", port, text)
        self.file("nginx.conf", text)

    # ---- life

    def command(self):
        nginx = os.environ.get("OCI_NGINX", "/usr/sbin/nginx")
        cmd = [nginx, "-p", self.prefix + "/", "-e",
               os.path.join(self.prefix, "logs", "error.log"), "-c",
               os.path.join(self.prefix, "files", "nginx.conf")]
        if VALGRIND:
            cmd = ["valgrind", "-q", "--trace-children=yes",
                   "--leak-check=no", "--vgdb=no",
                   "--num-callers=30",
                   "--log-file=%s/san/valgrind.%%p" % self.prefix,
                   "--suppressions=" + os.path.join(HERE, "valgrind.supp")
                   ] + cmd
        return self.wrap + cmd

    def environ(self):
        env = dict(os.environ)
        san = os.path.join(self.prefix, "san", "asan")
        env["ASAN_OPTIONS"] = ("detect_leaks=0:abort_on_error=0:log_path="
                               + san)
        env["UBSAN_OPTIONS"] = ("print_stacktrace=1:log_path="
                                + os.path.join(self.prefix, "san", "ubsan"))
        if PRELOAD:
            env["LD_PRELOAD"] = PRELOAD
        return env

    def start_slow(self, at, ms):
        """Each call of that name takes so long; at: NAME:delay_enter, or
        delay_exit, as strace has it."""
        self.wrap = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null",
                     "-e", "trace=" + at.split(":", maxsplit=1)[0],
                     "-e", "inject=%s=%d000" % (at, ms)]
        return self.start()

    def start(self, ports=None):
        for attempt in range(3):
            self.ports.clear()
            self.ports.update(ports or {})
            self._configure()
            if self._try_start():
                break
            log = "\n".join([self.log(), self.stderr()] + self.reports())
            if "Address already in use" not in log or attempt == 2:
                self.proc = None
                self._remove()
                raise GateError("nginx did not start:\n" + log)
            open(os.path.join(self.prefix, "logs", "error.log"),
                 "w").close()
        _live.append(self)
        wait_for("workers", lambda: len(self.workers())
                 == self.workers_wanted)
        self.baseline = max(self.fd_counts().values())
        return self

    def _try_start(self):
        with open(os.path.join(self.prefix, "logs", "stderr"), "wb") as err:
            self.proc = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=err,
                stderr=err, env=self.environ(), start_new_session=True)
        end = time.monotonic() + 20 * SLOWDOWN
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                return False
            try:
                socket.create_connection(self.addr, 1).close()
                if self.master is not None:
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        self.proc.kill()
        self.proc.wait()
        return False

    def config_test(self):
        """nginx -t: (exit status, its text)."""
        self._configure()
        p = subprocess.run(self.command() + ["-t"], env=self.environ(),
                           stdin=subprocess.DEVNULL, text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return p.returncode, p.stdout

    @property
    def master(self):
        try:
            with open(os.path.join(self.prefix, "logs", "nginx.pid"),
                      encoding="ascii") as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def workers(self):
        """The live worker processes, oldest first."""
        pids = re.findall(r"start worker process (\d+)", self.log())
        return [int(p) for p in pids if self._alive(int(p))]

    @staticmethod
    def _family(pid):
        """(parent, group) of a process that is there and no zombie."""
        try:
            with open("/proc/%s/stat" % pid, encoding="ascii",
                      errors="replace") as f:
                state, parent, group = f.read().rpartition(
                    ")")[2].split()[:3]
        except OSError:
            return None, None
        return (None, None) if state in "ZX" else (int(parent), int(group))

    def _alive(self, pid):
        parent, _ = self._family(pid)
        return parent is not None and parent == self.master

    def reload(self, gone=False):
        """SIGHUP; waits for a whole set of new workers."""
        old = self.workers()
        mark = len(self.log())
        os.kill(self.master, signal.SIGHUP)

        def done():
            if "[emerg]" in self.log()[mark:]:
                raise GateError("reload refused:\n" + self.log()[mark:])
            new = [p for p in self.workers() if p not in old]
            return len(new) == self.workers_wanted

        wait_for("new workers after a reload", done)
        if gone:
            wait_for("old workers to leave", lambda: not
                     set(old) & set(self.workers()), 20)
        return old

    def kill_workers(self, *pids):
        """kill -9 of some (or all) workers; waits for their successors."""
        old = self.workers()
        pids = pids or old
        self.killed.update(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_for("successors of killed workers", lambda: (
            not set(pids) & set(self.workers())
            and len(self.workers()) == self.workers_wanted))

    def down(self, kill=False):
        """Ended, with its store and its ports kept: up() begins it anew."""
        if kill:
            self.killed.update(self.workers())
            self._kill_group()
        else:
            os.kill(self.master, signal.SIGQUIT)
            self.proc.wait(20 * SLOWDOWN)
        _live.remove(self)
        if kill:
            os.unlink(os.path.join(self.prefix, "logs", "nginx.pid"))

    def up(self):
        return self.start(dict(self.ports))

    def restart(self, kill=False):
        """Everything that is not on the disk is gone.  kill: by kill -9."""
        self.down(kill)
        self.up()

    def stop(self, gate=True):
        """Graceful; then the gate."""
        if self.proc is None:
            self._remove()
            return
        problems = []
        try:
            for fn in self.on_stop:
                fn()
            if self.proc.poll() is None:
                if gate:
                    problems += self.leaks()
                os.kill(self.master or self.proc.pid, signal.SIGQUIT)
                try:
                    self.proc.wait(20 * SLOWDOWN)
                except subprocess.TimeoutExpired:
                    problems.append("workers did not leave after SIGQUIT")
                    self._kill_group()
            else:
                problems.append("the master process died: %s"
                                % self.proc.returncode)
            problems += self.log_problems(0) + self.reports()
            problems += self.leftovers()
        finally:
            if self in _live:
                _live.remove(self)
            self.proc = None
            if not (problems and os.environ.get("OCI_KEEP")):
                self._remove()
        if gate and problems:
            raise GateError("\n".join(problems))

    def _kill_group(self):
        """Until its workers are gone too, and with them its sockets."""
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except OSError:
            pass
        self.proc.wait()
        wait_for("the processes of a killed nginx to end", self._gone)

    def _gone(self):
        """None of its group is there, except as a zombie of somebody's."""
        return all(self._family(pid)[1] != self.proc.pid
                   for pid in os.listdir("/proc") if pid.isdigit())

    def _remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.store], check=False)
            self.mounted = False
        shutil.rmtree(self.prefix, ignore_errors=True)

    def emergency(self):
        if self.proc is not None and self.proc.poll() is None:
            self._kill_group()
        self._remove()


@atexit.register
def _atexit():
    for n in live():
        n.emergency()
