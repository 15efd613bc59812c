"""What a mutant is."""

from collections import namedtuple

# file: from the root; old: stands in it exactly once, new takes its place;
# red: the tests that must fail then, each a node of pytest or
# "program:test" of t/unit; slow: not for the quick sample
Mutant = namedtuple("Mutant", "name file old new red slow")


class Table:
    """The mutants of one floor, in the order they were added."""

    def __init__(self):
        self.rows = []

    def add(self, name, file, old, new, *red, slow=False):
        self.rows.append(Mutant(name, file, old.strip("\n"),
                                new.strip("\n"), red, slow))
