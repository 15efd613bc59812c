"""What stands where: the set-ups in which a client's rows are run.

origin      this module alone, with a store of its own
edge        this module as an edge, in front of an origin as above
edge-cncf   the same edge, in front of CNCF distribution

An edge takes pushes and deletes and hands them on (oci_push upstream), so
that every operation of a client can be run in each set-up.
"""

from distribution import Distribution
from lab import Failed
from nginx import Nginx

EVERY = ("origin", "edge", "edge-cncf")
EDGES = EVERY[1:]
ONCE = EVERY[:1]

TITLES = {"origin": "origin", "edge": "edge, origin behind",
          "edge-cncf": "edge, CNCF distribution behind"}

# what CNCF distribution does not do, with or without an edge before it
LACKS = {"referrers": "CNCF distribution has no referrers API: clients list"
                      " referrers under a tag instead.",
         "sha512": "CNCF distribution takes no sha512 digests."}
LACKS_2 = dict(LACKS, **{
    "tag delete": "CNCF distribution deletes tags from version 3 on.",
    "last": "CNCF distribution knows \"last\" from version 3 on."})

OCI = "oci main; oci_methods pull push delete;"
EDGE = OCI + " oci_pass %s; oci_push upstream;"


class Setup:
    """
    One set-up, running.  location: more for its /v2/; v2: another such
    location, or several; server, http, listen: as for Nginx.  In all of
    them @OCI@ stands for the directives of the set-up and @BEHIND@ for the
    URL of what is behind.  behind: what another set-up began.
    """

    def __init__(self, lab, name, behind=None, location="", v2=None,
                 server="", http="", listen=""):
        self.lab = lab
        self.name = name
        self.owns = behind is None and name != "origin"
        self.behind = behind
        self.server = None
        try:
            if self.owns:
                self.behind = self._begin(name)
            if v2 is None:
                v2 = "location /v2/ { @OCI@ %s }" % location
            self.server = Nginx(
                start=False, store_opts="durable=on", v2=self._text(v2),
                server=self._text(server), http=self._text(http),
                listen=listen)
        except BaseException:
            self._end_behind()
            raise

    def _begin(self, name):
        if name == "edge":
            n = Nginx(store_opts="durable=on")
            self.lab.servers.append(n)
            return n
        return Distribution(at=self.lab.tools.get("registry"))

    def _text(self, text):
        oci = OCI if self.behind is None else EDGE % self.behind.url
        text = text.replace("@OCI@", oci)
        if self.behind is not None:
            text = text.replace("@BEHIND@", self.behind.url)
        return text

    def start(self):
        """After what it reads is there: see Nginx.file()."""
        self.server.start()
        self.lab.servers.append(self.server)
        return self

    @property
    def registry(self):
        """HOST:PORT for clients."""
        return "127.0.0.1:%d" % self.server.port()

    @property
    def upstream(self):
        """HOST:PORT of what is behind, of itself where nothing is."""
        if self.behind is None:
            return self.registry
        return self.behind.url.split("//")[1]

    def down(self):
        """What is behind ends; up() brings it back."""
        self.behind.down()

    def up(self):
        if isinstance(self.behind, Nginx):
            self.behind.up()
        else:
            self.behind.start()

    def _end_behind(self):
        if not self.owns or self.behind is None:
            return
        if isinstance(self.behind, Nginx):
            self.lab.stop(self.behind, "the origin behind")
        else:
            self.behind.stop()

    def stop(self, name="the server"):
        self.lab.stop(self.server, name)
        self._end_behind()


def lacks(lab, name):
    """The features of LACKS that are not there in a set-up."""
    if name != "edge-cncf":
        return {}
    return LACKS if "registry" in lab.tools else LACKS_2


def check(names):
    unknown = [n for n in names if n not in EVERY]
    if unknown:
        raise Failed("no set-up " + " ".join(unknown))
