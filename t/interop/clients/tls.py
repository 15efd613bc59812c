"""TLS with a certificate of a private authority, and HTTP/2."""

import shutil

from lab import heads, need, same, same_layout

PROGRAMS = ["skopeo", "podman", "openssl"]
TOOLS = ["oras", "crane"]
LONG_TOOLS = ["regctl", "helm"]
KEYS = """
    ssl_certificate     @PREFIX@/files/cert.pem;
    ssl_certificate_key @PREFIX@/files/key.pem;
"""


def authority(lab, n):
    """A CA and a certificate for 127.0.0.1: a folder with nothing but
    ca.crt, as containers/image wants it: trust, in the lab's folder."""
    work = lab.fresh("ca")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-batch")
    lab.run("openssl", "req", "-x509", *curve, "-days", "2", "-subj",
            "/CN=a private authority", "-keyout", work + "/ca.key", "-out",
            work + "/ca.crt")
    lab.run("openssl", "req", *curve, "-subj", "/CN=registry", "-keyout",
            n.prefix + "/files/key.pem", "-out", work + "/csr.pem")
    lab.write(work + "/ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    lab.run("openssl", "x509", "-req", "-in", work + "/csr.pem", "-CA",
            work + "/ca.crt", "-CAkey", work + "/ca.key", "-set_serial",
            "1", "-days", "2", "-extfile", work + "/ext", "-out",
            n.prefix + "/files/cert.pem")
    shutil.copyfile(work + "/ca.crt", lab.fresh("trust") + "/ca.crt")


def spoke(lab, n, mark, protocol, agent):
    """All that this client asked was asked in this protocol."""
    mine = [x for x in lab.access(n)[mark:] if agent in x]
    need(mine, "no request of " + agent)
    other = [x for x in mine if protocol + '"' not in x]
    need(not other, "not %s: %s" % (protocol, other[:3]))


def run(lab):
    with lab.beside("the server with TLS", listen="ssl http2", server=KEYS,
                    prepare=lambda n: authority(lab, n)) as here:
        rows(lab, here.server, lab.work("trust"))


def rows(lab, n, ca):
    at = lab.registry + "/tls/"
    cert = ca + "/ca.crt"
    bad = ("certificate", "x509")

    with lab.row("skopeo", "TLS: refuses an unknown authority"):
        lab.refused("skopeo", "copy", "-q", "oci:%s:v1" % lab.image,
                    "docker://%sskopeo:v1" % at, says=bad)
    with lab.row("skopeo", "TLS: copy in and out"):
        mark = len(lab.access(n))
        lab.run("skopeo", "copy", "-q", "--preserve-digests",
                "--dest-cert-dir", ca, "oci:%s:v1" % lab.image,
                "docker://%sskopeo:v1" % at)
        lab.run("skopeo", "copy", "-q", "--src-cert-dir", ca,
                "--preserve-digests", "docker://%sskopeo:v1" % at,
                "oci:%s:v1" % lab.work("tls-skopeo"))
        same_layout(lab.work("tls-skopeo"), lab.image)
        need(lab.access(n)[mark:], "no request")
    with lab.row("oras", "TLS: refuses an unknown authority"):
        lab.refused("oras", "resolve", at + "skopeo:v1", says=bad)
    with lab.row("oras", "TLS and HTTP/2: cp in and out"):
        mark = len(lab.access(n))
        lab.run("oras", "cp", "--from-oci-layout", "--to-ca-file", cert,
                lab.image + ":v1", at + "oras:v1")
        lab.run("oras", "cp", "--to-oci-layout", "--from-ca-file", cert,
                at + "oras:v1", lab.work("tls-oras") + ":v1")
        same_layout(lab.work("tls-oras"), lab.image)
        spoke(lab, n, mark, "HTTP/2.0", "oras/")
    with lab.row("crane", "TLS: refuses an unknown authority"):
        lab.refused("crane", "digest", at + "skopeo:v1",
                    says=bad + ("http response to https",))
    with lab.row("crane", "TLS and HTTP/2: push, copy, pull"):
        env = {"SSL_CERT_FILE": cert}
        mark = len(lab.access(n))
        lab.run("crane", "push", lab.image, at + "crane:v1", env=env)
        lab.run("crane", "copy", at + "crane:v1", at + "crane2:v1",
                env=env)
        lab.run("crane", "pull", "--format=oci", at + "crane2:v1",
                lab.work("tls-crane"), env=env)
        same_layout(lab.work("tls-crane"), lab.image)
        spoke(lab, n, mark, "HTTP/2.0", "crane/")
    with lab.row("podman", "TLS: pull and push"):
        lab.run("podman", "pull", "-q", "--cert-dir", ca, at + "crane:v1")
        lab.run("podman", "push", "-q", "--cert-dir", ca, at + "crane:v1",
                at + "podman:v1")
    if not lab.quick:
        more(lab, n, at, ca)


def more(lab, n, at, ca):
    cert = ca + "/ca.crt"
    registry = at.split("/")[0]
    with lab.row("regctl", "TLS and HTTP/2: image copy in and out"):
        with open(cert, encoding="ascii") as f:
            lab.run("regctl", "registry", "set", registry, "--cacert",
                    f.read())
        mark = len(lab.access(n))
        lab.run("regctl", "image", "copy", "ocidir://%s:v1" % lab.image,
                at + "regctl:v1")
        out = lab.work("tls-regctl")
        lab.run("regctl", "image", "copy", at + "regctl:v1",
                "ocidir://%s:v1" % out)
        same(heads(out), heads(lab.image), "the digest")
        spoke(lab, n, mark, "HTTP/2.0", "regclient/")
    with lab.row("helm", "TLS: push and pull"):
        work = lab.fresh("tls-helm")
        lab.run("helm", "create", "demo", cwd=work)
        lab.run("helm", "package", "demo", "--version", "1.0.0", cwd=work)
        lab.run("helm", "push", "--ca-file", cert,
                work + "/demo-1.0.0.tgz", "oci://%scharts" % at)
        lab.run("helm", "pull", "--ca-file", cert, "--version", "1.0.0",
                "-d", lab.fresh("tls-helm-out"),
                "oci://%scharts/demo" % at)
