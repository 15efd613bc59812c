"""cosign: signatures and attestations with a key pair and nothing else, in
both forms: bundles that refer to the image, and tags named after it."""

from lab import need, same

TOOLS = ["cosign", "crane", "oras"]
LONG = True

SIGN = ("--yes", "--use-signing-config=false", "--tlog-upload=false")
VERIFY = ("--insecure-ignore-tlog=true",)
OLD = ("--new-bundle-format=false",)
PREDICATE = '{"builder": {"id": "nobody"}, "buildType": "none"}'


class Keys:
    """A key pair, and how cosign is called with it."""

    def __init__(self, lab, name):
        self.lab = lab
        self.work = lab.fresh(name)
        self.env = {"COSIGN_PASSWORD": "secret"}
        lab.run("cosign", "generate-key-pair", cwd=self.work, env=self.env)

    def sign(self, image, *more):
        self.lab.run("cosign", "sign", *SIGN, *more, "--key",
                     self.work + "/cosign.key", image, env=self.env)

    def attest(self, image, *more):
        path = self.lab.write(self.work + "/predicate.json", PREDICATE)
        self.lab.run("cosign", "attest", *SIGN, *more, "--key",
                     self.work + "/cosign.key", "--predicate", path,
                     "--type", "slsaprovenance", image, env=self.env)

    def verify(self, image, *more):
        return self.lab.run("cosign", "verify", *VERIFY, *more, "--key",
                            self.work + "/cosign.pub", image)

    def attestation(self, image, *more):
        return self.lab.run(
            "cosign", "verify-attestation", *VERIFY, *more, "--key",
            self.work + "/cosign.pub", "--type", "slsaprovenance", image)


def run(lab):
    at = lab.registry + "/cosign/"
    with lab.row("cosign", "generate-key-pair"):
        keys = Keys(lab, "cosign")
        other = Keys(lab, "cosign-other")
    for name in ("bundle", "tags", "behind"):
        lab.run("crane", "push", lab.image, "%s/cosign/%s:v1" % (
            lab.behind if name == "behind" else lab.registry, name))
    bundles(lab, keys, other, at + "bundle@" + lab.digest)
    tags(lab, keys, other, at + "tags@" + lab.digest)

    with lab.row("cosign", "verify what was signed behind the server"):
        keys.sign("%s/cosign/behind@%s" % (lab.behind, lab.digest))
        keys.verify(at + "behind:v1")
    with lab.row("cosign", "copy: an image with its signatures"):
        lab.run("cosign", "copy", at + "tags:v1", at + "copy:v1")
        keys.verify(at + "copy:v1", *OLD)
        keys.attestation(at + "copy:v1", *OLD)


def listed(lab, image):
    """The tags of the image's repository."""
    return lab.run("crane", "ls", image.split("@")[0]).split()


def bundles(lab, keys, other, image):
    with lab.row("cosign", "sign: a bundle"):
        keys.sign(image)
    with lab.row("cosign", "verify a bundle"):
        need(lab.digest.split(":")[1] in keys.verify(image),
             "another digest was verified")
    with lab.row("cosign", "verify a bundle by another key: refused"):
        lab.refused("cosign", "verify", *VERIFY, "--key",
                    other.work + "/cosign.pub", image,
                    says=("invalid signature", "failed to verify",
                          "no matching"))
    with lab.row("cosign", "attest: a bundle"):
        keys.attest(image)
    with lab.row("cosign", "verify-attestation of a bundle"):
        need("payload" in keys.attestation(image), "no payload")
    with lab.row("cosign", "the bundles are referrers"):
        lab.wants("referrers")
        found = lab.json("oras", "discover", "--plain-http", image,
                         "--format", "json", "--depth", "1")["referrers"]
        same({x["artifactType"] for x in found},
             {"application/vnd.dev.sigstore.bundle.v0.3+json"}, "the types")
        same(len(found), 2, "the referrers")
        same(listed(lab, image), ["v1"], "the tags")


def tags(lab, keys, other, image):
    name = lab.digest.replace(":", "-")
    with lab.row("cosign", "sign: a tag"):
        keys.sign(image, *OLD)
        need(name + ".sig" in listed(lab, image), "no such tag")
    with lab.row("cosign", "verify a tag"):
        found = keys.verify(image, *OLD)
        need(lab.digest in found, "another digest was verified")
    with lab.row("cosign", "verify a tag by another key: refused"):
        lab.refused("cosign", "verify", *VERIFY, *OLD, "--key",
                    other.work + "/cosign.pub", image,
                    says=("invalid signature", "no matching"))
    with lab.row("cosign", "sign a second time, with annotations"):
        keys.sign(image, *OLD, "-a", "who=me")
        need("who" in keys.verify(image, *OLD, "-a", "who=me"),
             "no annotation")
    with lab.row("cosign", "attest: a tag"):
        keys.attest(image, *OLD)
        need(name + ".att" in listed(lab, image), "no such tag")
    with lab.row("cosign", "verify-attestation of a tag"):
        need("payload" in keys.attestation(image, *OLD), "no payload")
    with lab.row("cosign", "tree"):
        text = lab.run("cosign", "tree", image)
        need("Signatures" in text and "Attestations" in text, text)
