"""
One file for each client, or for some that share their operations.  Its
name in NAMES, below, is its place in the run and in the table.

A module has

    run(lab)    makes the rows, in the set-up that the lab is in
    SETUPS      the set-ups in which it is run: setups.EVERY, unless it says
                setups.EDGES or setups.ONCE (the origin)
    TOOLS       what t/tools.sh builds for it: names of t/tools.txt
    LONG_TOOLS  more of them, for the long form alone
    PROGRAMS    what it needs on the PATH, from Debian's packages
    BASES       {suite: packages}: Debians that it has programs in, see
                chroot.py
    LONG        True where it is not in the short form
    REPLAYS     {client: why}: rows of these clients are made by a program
                of ours that sends what the real one sends, as its source
                says; the table marks them
    NOTES       {client: what a reader of the table has to know of it}
    VERSIONS    {client: version}, where it is neither the pin of a tool nor
                what the program says with --version

and in run(lab)

    with lab.row(CLIENT, OPERATION):    a row; what raises in it fails it.
                          The same words in every set-up
    lab.registry          HOST:PORT to push to, pull from, delete in.  In an
                          edge set-up the edge, which hands on what is pushed
    lab.behind            HOST:PORT of what stands behind the edge: push
                          there to pull cold.  The origin itself in "origin"
    lab.server            the nginx at lab.registry; lab.access(lab.server)
                          are the lines of its log
    lab.setup             .name; in an edge set-up .down(), .up() of what
                          is behind
    lab.beside(...)       for a block, another server of the same set-up
                          with directives of one's own: TLS, a login, ...
    lab.wants(FEATURE)    in a row: where what is behind lacks it
                          (setups.LACKS), the row ends here as "-"
    lab.fresh(NAME)       an empty folder of this set-up; lab.work(...) a
                          path below it
    lab.image, .digest, .manifest    the image that all carry about: a
                          layout, its manifest's digest, the manifest
    lab.run(PROGRAM, ...), .raw, .json, .refused, .attempt     programs; a
                          name of t/tools.txt is what was built of it
    lab.quick             the short form

Use a repository named after the client, so that none meets another's.
"""

NAMES = ("skopeo", "oras", "crane", "regctl", "helm", "podman",
         "cosign", "notation", "models", "sync",
         "login", "tls", "mirrors",
         "containerd", "volume", "podman5", "chunked", "stargz", "harbor",
         "zot", "hf", "loaders",
         "ollama", "dmr", "wkg", "oci_client",
         "dockerfile")
