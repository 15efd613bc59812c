"""Programs that run in the background, each with a home of its own."""

import os
import signal
import socket
import subprocess

from gate import wait_for
from lab import Failed
from ports import free_port


class Daemon:
    """env: of the program, and of whoever is to talk to it."""

    def __init__(self, lab, name, *command, env=None):
        self.lab = lab
        self.folder = lab.fresh(name)
        self.command = [lab.program(command[0])] + list(command[1:])
        self.port = free_port()
        self.at = "127.0.0.1:%d" % self.port
        self.env = {k: v.replace("@AT@", self.at)
                    .replace("@PORT@", str(self.port))
                    .replace("@FOLDER@", self.folder)
                    for k, v in dict({"HOME": "@FOLDER@"},
                                     **(env or {})).items()}
        self.proc = None
        self.start()

    def start(self):
        with open(self.folder + "/log", "ab") as log:
            self.proc = subprocess.Popen(
                self.command, env=dict(self.lab.env, **self.env),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        wait_for(self.command[0], self.listens, 60)

    def listens(self):
        if self.proc.poll() is not None:
            raise Failed("%s ended:\n%s" % (self.command[0], self.log()))
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        with open(self.folder + "/log", encoding="utf-8",
                  errors="replace") as f:
            return f.read()[-3000:]

    def kill(self):
        """With all that it started, at once."""
        os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.wait()

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
