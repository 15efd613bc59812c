"""Another Debian beside the clients' own, with programs of its own."""

import os
import shutil

import world
from lab import Failed


class Chroot:
    """
    A Debian in a folder, made once in a run from a tar of world.base().  It
    shares the network and the processes, and has its own storage.
    """

    def __init__(self, lab, tar):
        self.lab = lab
        name = os.path.basename(tar).split(".")[0]
        self.root = lab.path(name)
        if not os.path.exists(self.root):
            os.makedirs(self.root)
            lab.run("tar", "-C", self.root, "--numeric-owner", "-xf", tar)
            self._enter()

    def _enter(self):
        """Its / is a mount, which podman insists on.  All of them end with
        the namespace of the run."""
        # its storage is on no overlay of ours
        world.mount("--bind", self.root, self.root)
        world.mount("-t", "proc", "proc", self.root + "/proc")
        world.mount("--rbind", "/dev", self.root + "/dev")
        world.mount("-t", "sysfs", "sysfs", self.root + "/sys")
        world.mount("-t", "tmpfs", "tmpfs", self.root + "/sys/fs/cgroup")
        world.mount("-t", "tmpfs", "tmpfs", self.root + "/run")
        world.settings(os.path.join(self.root, "etc/containers"), "/srv",
                       self.lab.overlay)
        os.makedirs(self.root + "/srv/work")
        os.makedirs(self.root + "/srv/tmp", exist_ok=True)

    def path(self, name):
        """Of a file in there, from here."""
        return os.path.join(self.root, name.lstrip("/"))

    def bring(self, path, name):
        """Copies a file or a folder to /srv/work/NAME: its path there."""
        to = self.path("/srv/work/" + name)
        shutil.rmtree(to, ignore_errors=True)
        if os.path.isdir(path):
            shutil.copytree(path, to)
        else:
            shutil.copyfile(path, to)
        return "/srv/work/" + name

    def command(self, *args):
        return ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root", "LC_ALL=C.UTF-8", "TMPDIR=/srv/tmp", "chroot",
                self.root) + args

    def run(self, *args):
        return self.lab.run(*self.command(*args))

    def json(self, *args):
        return self.lab.json(*self.command(*args))


def tar(lab, name):
    """The tar of the Debian that the run has made ready."""
    path = lab.bases.get(name)
    if not path:
        raise Failed("no Debian %s was made" % name)
    return path
