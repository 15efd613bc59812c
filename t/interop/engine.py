"""containerd of today, built from its module: a daemon with all of its
state in one folder, for ctr, for crictl and for snapshotters."""

import os
import signal
import subprocess

from gate import wait_for
from lab import Failed

TOOLS = ("containerd", "ctr", "containerd-shim-runc-v2")

CONFIG = """\
version = 3
root = "%(folder)s/root"
state = "%(folder)s/state"
imports = []
disabled_plugins = [%(disabled)s]

[grpc]
  address = "%(folder)s/socket"

[ttrpc]
  address = "%(folder)s/ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "%(folder)s/opt"

[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.transfer.v1.local"]
  config_path = "%(folder)s/hosts"
  max_concurrent_downloads = %(downloads)d
  concurrent_layer_fetch_buffer = %(buffer)d
%(more)s
"""

# what the kubelet talks to
CRI = """
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "%(snapshotter)s"

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "%(folder)s/hosts"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "%(cri)s"

[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  unset_seccomp_profile = "unconfined"
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["%(folder)s/cni"]
  conf_dir = "%(folder)s/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  snapshotter = "%(snapshotter)s"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "%(runtime)s"
"""

# crun, told to leave the machine's cgroups alone; Debian 12's refuses a
# version of the runtime specification that is younger than itself
RUNTIME = """\
#!/bin/sh
before=

for arg; do
    if [ "$before" = --bundle ]; then
        sed -i 's/"ociVersion":"[^"]*"/"ociVersion":"1.0.2"/' \
            "$arg/config.json"
    fi

    before=$arg
done

exec crun --cgroup-manager=disabled "$@"
"""

# what no row here uses, and what a machine may lack
DISABLED = ("snapshotter.v1.btrfs", "snapshotter.v1.zfs",
            "snapshotter.v1.devmapper", "snapshotter.v1.blockfile",
            "snapshotter.v1.erofs", "differ.v1.erofs",
            "monitor.task.v1.cgroups", "tracing.processor.v1.otlp")
THE_CRI = ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime",
           "podsandbox.controller.v1.podsandbox")


class Containerd:
    """
    A containerd, for a block.  buffer: the size of a part, where layers
    come in parallel parts; cri: the image of a pod, where there are some;
    more: for its configuration.
    """

    def __init__(self, lab, folder, buffer=0, downloads=3, cri=None,
                 more=""):
        self.lab = lab
        self.folder = folder
        self.socket = os.path.join(folder, "socket")
        self.snapshotter = "overlayfs" if lab.overlay else "native"
        self.runtime = lab.write(folder + "/bin/runtime", RUNTIME)
        os.chmod(self.runtime, 0o755)
        os.makedirs(folder + "/hosts")
        self.proc = None
        off = DISABLED if cri else DISABLED + THE_CRI
        values = {"folder": folder, "buffer": buffer, "cri": cri,
                  "downloads": downloads, "snapshotter": self.snapshotter,
                  "runtime": self.runtime,
                  "disabled": ", ".join('"io.containerd.%s"' % x
                                        for x in off)}
        values["more"] = more + (CRI % values if cri else "")
        self.config = lab.write(folder + "/config.toml", CONFIG % values)

    def mirror(self, name, url):
        """hosts.toml: where a registry is asked for instead."""
        self.lab.write(
            "%s/hosts/%s/hosts.toml" % (self.folder, name),
            'server = "%s"\n[host."%s"]\n  capabilities = '
            '["pull", "resolve"]\n' % (url, url))

    def __enter__(self):
        shims = os.path.dirname(self.lab.program("containerd-shim-runc-v2"))
        env = dict(self.lab.env, PATH=shims + ":" + self.lab.env["PATH"])
        with open(self.folder + "/log", "ab") as log:
            self.proc = subprocess.Popen(
                [self.lab.program("containerd"), "-c", self.config],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for("containerd", self._answers, 60)
            if self.proc.poll() is not None:
                raise Failed("containerd does not start")
        except AssertionError as e:
            raise Failed("%s\n%s" % (e, self.log())) from None
        except Failed as e:
            raise Failed("%s\n%s" % (e, self.log())) from None
        return self

    def _answers(self):
        return (self.proc.poll() is not None or os.path.exists(self.socket)
                and self.lab.attempt("ctr", "-a", self.socket,
                                     "version")[0] == 0)

    def __exit__(self, *args):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def log(self):
        with open(self.folder + "/log", encoding="utf-8",
                  errors="replace") as f:
            return f.read()[-4000:]

    def ctr(self, *args):
        return self.lab.run("ctr", "-a", self.socket, *args)

    def crictl(self, *args):
        at = "unix://" + self.socket
        return self.lab.run("crictl", "-t", "120s", "-r", at, "-i", at,
                            *args)

    def said(self, image, *args, snapshotter=None):
        """What a container of an image writes."""
        return self.ctr("run", "--rm", "--snapshotter",
                        snapshotter or self.snapshotter, "--runc-binary",
                        self.runtime, image, "c" + os.urandom(4).hex(),
                        *args)

    def exported(self, image, folder):
        """An image that it holds, as a layout again."""
        # not by the transfer service: ctr may end before its stream does
        self.ctr("images", "export", "--local", folder + ".tar", image)
        os.makedirs(folder)
        self.lab.run("tar", "-C", folder, "-xf", folder + ".tar")
        os.unlink(folder + ".tar")
        return folder

    def imported(self, layout, name):
        """Brings a layout in, under a name."""
        self.lab.run("tar", "-C", layout, "-cf", self.folder + "/in.tar",
                     ".")
        self.ctr("images", "import", "--base-name", name, "--local",
                 "--no-unpack", self.folder + "/in.tar")
        os.unlink(self.folder + "/in.tar")
