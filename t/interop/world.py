"""Where the clients live: nothing of theirs leaves one temporary folder.

The run has mounts and processes of its own: what clients write below /run
and /var/lib/containers lands in that folder, and whatever they leave
running ends with the run.
"""

import os
import resource
import shutil
import subprocess

from lab import Failed

STORAGE = """\
[storage]
driver = "%(driver)s"
runroot = "%(folder)s/containers/run"
graphroot = "%(folder)s/containers/graph"
[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false"}
"""

CONTAINERS = """\
[containers]
cgroups = "disabled"
netns = "host"
default_sysctls = []
default_ulimits = ["nofile=%(nofile)d:%(nofile)d", "nproc=%(nproc)d:%(nproc)d"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
image_copy_tmp_dir = "%(folder)s/tmp"
tmp_dir = "%(folder)s/containers/tmp"
volume_path = "%(folder)s/containers/volumes"
[network]
network_config_dir = "%(folder)s/containers/net"
"""

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


def chrooted():
    """In a chroot / is no mount, which podman and crun insist on."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return not any(line.split()[4] == "/" for line in f)


def unshared(command):
    """The command, with mounts and processes of its own."""
    kind = "unchanged" if chrooted() else "private"
    return ["unshare", "--mount", "--propagation", kind, "--pid", "--fork",
            "--kill-child", "--"] + command


def folders(folder):
    for name in ("home", "run", "tmp", "work", "config", "cache", "data",
                 "etc", "lib", "containers"):
        os.makedirs(os.path.join(folder, name))
    for path in ("/var/lib/containers", "/etc/containers"):
        os.makedirs(path, exist_ok=True)
    # a name server that is configured below /run stays
    resolv = os.path.realpath("/etc/resolv.conf")
    if resolv.startswith("/run/") and os.path.exists(resolv):
        copy = os.path.join(folder, resolv.lstrip("/"))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(resolv, copy)


def mount(*args):
    subprocess.run(["mount"] + list(args), check=True)


def enter(folder, root):
    """Called with mounts of our own: covers what clients write to.  root is
    an empty folder, for a root of our own in a chroot."""
    if chrooted():
        mount("--rbind", "/", root)
        mount("--make-rprivate", root)
        os.chroot(root)
        os.chdir("/")
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "tmpfs", "tmpfs", "/dev/shm")
    # crun looks at what is mounted here even where no cgroup is asked for
    mount("-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    mount("--bind", os.path.join(folder, "run"), "/run")
    mount("--bind", os.path.join(folder, "lib"), "/var/lib/containers")
    mount("--bind", os.path.join(folder, "etc"), "/etc/containers")


def gone(root):
    """Never removes anything: the machine itself may be mounted there,
    where the mounts around a chroot are shared."""
    subprocess.run(["umount", "-q", "-l", root], check=False,
                   stderr=subprocess.DEVNULL)
    os.rmdir(root)


def overlay(folder):
    """Whether this folder's file system carries overlays."""
    base = os.path.join(folder, "probe")
    for d in ("lower", "upper", "work", "merged"):
        os.makedirs(os.path.join(base, d))
    ok = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o",
         "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work"
         % (base, base, base), base + "/merged"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    if ok:
        subprocess.run(["umount", base + "/merged"], check=True)
    shutil.rmtree(base)
    return ok


def limit(which):
    hard = resource.getrlimit(which)[1]
    return 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)


def settings(to, folder, on_overlay):
    """Podman's and its kin's, written to one folder, for another."""
    values = {
        "folder": folder,
        "driver": "overlay" if on_overlay else "vfs",
        "nofile": limit(resource.RLIMIT_NOFILE),
        "nproc": limit(resource.RLIMIT_NPROC)}
    for name, text in (("storage.conf", STORAGE % values),
                       ("containers.conf", CONTAINERS % values),
                       ("registries.conf", ""),
                       ("policy.json", POLICY)):
        with open(os.path.join(to, name), "w", encoding="utf-8") as f:
            f.write(text)


def environ(folder, on_overlay):
    """The environment of every client."""
    settings(os.path.join(folder, "etc"), folder, on_overlay)
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")
           + ":/usr/sbin:/sbin",
           "LC_ALL": "C.UTF-8",
           "HOME": os.path.join(folder, "home"),
           "TMPDIR": os.path.join(folder, "tmp"),
           "XDG_CONFIG_HOME": os.path.join(folder, "config"),
           "XDG_CACHE_HOME": os.path.join(folder, "cache"),
           "XDG_DATA_HOME": os.path.join(folder, "data"),
           "XDG_RUNTIME_DIR": os.path.join(folder, "run"),
           "DOCKER_CONFIG": os.path.join(folder, "config", "docker"),
           "REGISTRY_AUTH_FILE": os.path.join(folder, "config",
                                              "auth.json"),
           "REGCTL_CONFIG": os.path.join(folder, "config", "regctl.json"),
           "CONTAINERS_STORAGE_CONF": os.path.join(folder, "etc",
                                                   "storage.conf"),
           "CONTAINERS_REGISTRIES_CONF": os.path.join(folder, "etc",
                                                      "registries.conf"),
           "BUILDAH_ISOLATION": "chroot"}
    os.makedirs(env["DOCKER_CONFIG"])
    with open(env["REGISTRY_AUTH_FILE"], "w", encoding="ascii") as f:
        f.write("{}")
    return env


def proxies():
    """What a program needs that does go out."""
    return {k: v for k, v in os.environ.items()
            if k.lower() in ("http_proxy", "https_proxy", "no_proxy")}


def suite():
    """The Debian that this machine runs."""
    with open("/etc/os-release", encoding="utf-8") as f:
        words = dict(line.rstrip("\n").split("=", 1)
                     for line in f if "=" in line)
    name = words.get("VERSION_CODENAME", "").strip('"')
    if words.get("ID") != "debian" or not name:
        raise Failed("this machine does not run a Debian with a name")
    return name


def base(cache, name=None, packages=()):
    """A tar of a fresh minbase Debian, made once: its path.  name: if not
    the machine's; packages: what else is in it."""
    name = name or suite()
    label = "-".join(("base", name) + tuple(packages))
    path = os.path.join(cache, label + ".tar")
    if os.path.exists(path):
        return path
    os.makedirs(cache, exist_ok=True)
    work = os.path.join(cache, "%s.%d" % (label, os.getpid()))
    log = work + ".log"
    print("interop: debootstrap %s" % name, flush=True)
    try:
        with open(log, "wb") as out:
            code = subprocess.run(
                ["debootstrap", "--variant=minbase"]
                + ["--include=" + ",".join(packages)] * bool(packages)
                + [name, work + "/root"],
                stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, check=False).returncode
        if code != 0:
            with open(log, encoding="utf-8", errors="replace") as f:
                raise Failed("debootstrap failed:\n" + f.read()[-2000:])
        subprocess.run(["tar", "-C", work + "/root", "--numeric-owner",
                        "--exclude=./dev/*", "-cf", work + "/tar", "."],
                       check=True)
        os.rename(work + "/tar", path)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if os.path.exists(log):
            os.unlink(log)
    return path
