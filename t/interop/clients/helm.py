"""helm: charts."""

from lab import need, same, sha256

TOOLS = ["helm"]
LONG = True
P = "--plain-http"


def chart(lab, work):
    """A chart made by `helm create`, packaged: its file."""
    lab.run("helm", "create", "demo", cwd=work)
    lab.run("helm", "package", "demo", "--version", "0.1.0+build.1", "-d",
            work, cwd=work)
    return work + "/demo-0.1.0+build.1.tgz"


def run(lab):
    work = lab.fresh("helm")
    at = "oci://%s/charts" % lab.registry

    with lab.row("helm", "create and package"):
        package = chart(lab, work)
    with lab.row("helm", "push"):
        lab.run("helm", "push", package, at, P)
    with lab.row("helm", "push another version"):
        lab.run("helm", "package", "demo", "--version", "0.2.0", "-d",
                work, cwd=work)
        lab.run("helm", "push", work + "/demo-0.2.0.tgz", at, P)
    with lab.row("helm", "show chart and values"):
        text = lab.run("helm", "show", "chart", at + "/demo", "--version",
                       "0.1.0+build.1", P)
        need("version: 0.1.0+build.1" in text, text)
        text = lab.run("helm", "show", "values", at + "/demo", P)
        need("replicaCount: 1" in text, text)
    with lab.row("helm", "pull"):
        lab.run("helm", "pull", at + "/demo", "--version", "0.1.0+build.1",
                "-d", lab.fresh("helm-pulled"), P)
        same(sha256(lab.work("helm-pulled",
                             "demo-0.1.0+build.1.tgz")), sha256(package),
             "the chart")
    with lab.row("helm", "pull the newest in a range"):
        lab.run("helm", "pull", at + "/demo", "--version", "~0.2", "-d",
                lab.fresh("helm-range"), P)
        same(sha256(lab.work("helm-range", "demo-0.2.0.tgz")),
             sha256(work + "/demo-0.2.0.tgz"), "the chart")
    with lab.row("helm", "template"):
        text = lab.run("helm", "template", "x", at + "/demo", "--version",
                       "0.2.0", P)
        need("kind: Deployment" in text, text[:500])
    with lab.row("helm", "dependency update"):
        lab.run("helm", "create", "parent", cwd=work)
        with open(work + "/parent/Chart.yaml", "a", encoding="utf-8") as f:
            f.write("dependencies:\n- name: demo\n  version: 0.2.0\n"
                    "  repository: %s\n" % at)
        lab.run("helm", "dependency", "update", "parent", P, cwd=work)
        same(sha256(work + "/parent/charts/demo-0.2.0.tgz"),
             sha256(work + "/demo-0.2.0.tgz"), "the chart")
