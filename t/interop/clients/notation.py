"""notation: signatures as referrers.  Its command line is not to be had as
a module; its library is, and a small program of ours calls it."""

from lab import need, same

TOOLS = ["notation-go", "crane", "oras"]
PROGRAMS = ["openssl"]
LONG = True

EXTENSIONS = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
"""


def certificate(lab, work, name):
    """A self-signed certificate for signatures: (key, certificate)."""
    key, cert, conf = (work + "/" + name + x for x in (
        ".key", ".crt", ".cnf"))
    lab.write(conf, "[req]\ndistinguished_name = dn\nprompt = no\n"
              "[dn]\nC = XX\nST = none\nO = test\nCN = %s\n[ext]\n%s"
              % (name, EXTENSIONS))
    lab.run("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes",
            "-days", "2", "-config", conf, "-extensions", "ext", "-keyout",
            key, "-out", cert)
    return key, cert


def run(lab):
    work = lab.fresh("notation")
    key, cert = certificate(lab, work, "one")
    _, other = certificate(lab, work, "other")
    for name, where in (("image", lab.registry), ("tag", lab.registry),
                        ("behind", lab.behind)):
        lab.run("crane", "push", lab.image, "%s/notation/%s:v1" % (
            where, name))
    image = "%s/notation/image@%s" % (lab.registry, lab.digest)

    with lab.row("notation-go", "sign"):
        same(lab.run("notation-go", "sign", image, key, cert), lab.digest,
             "the digest")
    with lab.row("notation-go", "verify"):
        same(lab.run("notation-go", "verify", image, cert), lab.digest,
             "the digest")
    with lab.row("notation-go", "verify by another certificate: refused"):
        lab.refused("notation-go", "verify", image, other,
                    says="verification failed")
    with lab.row("notation-go", "sign a second time"):
        lab.run("notation-go", "sign", image, key, cert)
        found = lab.json("oras", "discover", "--plain-http", image,
                         "--format", "json", "--depth", "1")["referrers"]
        same([x["artifactType"] for x in found],
             ["application/vnd.cncf.notary.signature"] * 2, "the types")
    with lab.row("notation-go", "sign, listed by a tag; verify"):
        image = "%s/notation/tag@%s" % (lab.registry, lab.digest)
        lab.run("notation-go", "sign", image, key, cert, "tag")
        need(lab.digest.replace(":", "-") in lab.run(
            "crane", "ls", image.split("@")[0]).split(), "no such tag")
        lab.run("notation-go", "verify", image, cert)
    with lab.row("notation-go", "verify what was signed behind the server"):
        lab.run("notation-go", "sign", "%s/notation/behind@%s" % (
            lab.behind, lab.digest), key, cert)
        lab.run("notation-go", "verify", "%s/notation/behind@%s" % (
            lab.registry, lab.digest), cert)
