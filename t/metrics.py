"""Reads Prometheus' text format 0.0.4, and refuses what is not quite it."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} ([0-9]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
UNESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def _labels(text):
    out, at = {}, 0
    while True:
        m = LABEL.match(text, at)
        assert m, text
        assert m.group(1) not in out, text
        out[m.group(1)] = re.sub(r"\\[\\\"n]",
                                 lambda e: UNESCAPE[e.group(0)], m.group(2))
        at = m.end()
        if at == len(text):
            return out
        assert text[at] == ",", text
        at += 1


class Metrics:
    """get() sums over all samples whose labels are as asked for."""

    def __init__(self, text):
        self.types, self.samples = {}, []
        assert text.endswith("\n") and "\r" not in text
        helped, current, seen = set(), None, set()
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                name, words = line[7:].split(" ", 1)
                assert NAME.fullmatch(name) and words, line
                assert name not in helped, "a second HELP: " + line
                helped.add(name)
                current = None
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name in helped and name not in self.types, line
                assert kind in ("counter", "gauge"), line
                assert name.endswith("_total") == (kind == "counter"), line
                self.types[name] = kind
                current = name
            else:
                m = SAMPLE.fullmatch(line)
                assert m, "not a sample: %r" % line
                assert m.group(1) == current, "out of its group: " + line
                labels = _labels(m.group(2))
                key = (m.group(1), tuple(sorted(labels.items())))
                assert key not in seen, "twice: " + line
                seen.add(key)
                self.samples.append((m.group(1), labels, int(m.group(3))))
        assert helped == set(self.types)

    def get(self, name, **labels):
        assert "oci_" + name in self.types, name
        return sum(v for n, have, v in self.samples if n == "oci_" + name
                   and all(have.get(k) == w for k, w in labels.items()))

    def table(self, name, *labels):
        """{labels' values: number}, without what is zero."""
        out = {}
        for n, have, v in self.samples:
            if n == "oci_" + name and v:
                key = tuple(have[k] for k in labels)
                out[key] = out.get(key, 0) + v
        return out
