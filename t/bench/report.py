"""The rows of the table, the bars over them, the JSON beside them."""

import json
import os
import platform
import subprocess

from rounds import load
from stats import column, half_width, interval, median, ratios

HEAD = ("work", "against", "unit", "ours / it = ratio", "p50 ms", "p99 ms",
        "CPU s per 1000 or GiB", "peak MiB", "A/A", "bar", "verdict")

# of the figures that one row may have: the first is the row's own
KEYS = ("rate", "p50", "p99", "cost", "peak")
WORDS = {"rate": "", "cost": "CPU "}
SCALE = {"p50": 1000, "p99": 1000}

FORGIVEN = 0.1


def figure(x):
    if x is None:
        return ""
    if isinstance(x, str):
        return x
    if x and abs(x) < 0.01:
        return "%.2g" % x
    if abs(x) < 10:
        return "%.3g" % x
    if abs(x) < 100:
        return "%.1f" % x
    return "{:,.0f}".format(x)


def ratio_text(x):
    return "%.2f" % x if x < 100 else "{:,.0f}".format(x)


def ticks():
    """(all, stolen): what the host gave to others while we could run"""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return sum(t), t[7]


class Cell:
    """
    One figure: ours, the other's, how they compare.  A bar is met by the
    ratio, or by the figure itself where there is none; half of the interval
    by which two of the same differ (A/A) is forgiven, up to FORGIVEN: noise
    can't make everything good.
    """

    def __init__(self, ours, reference=None, ratio=None, aa=None, half=None,
                 at_least=None, at_most=None):
        self.ours = ours
        self.reference = reference
        self.ratio = ratio
        self.aa = aa
        self.half = half
        self.bars = [b for b in (("≥", at_least), ("≤", at_most))
                     if b[1] is not None]

    def held(self):
        value = self.ours if self.ratio is None else self.ratio
        half = min(self.half or 0, FORGIVEN)
        return all(value + half >= limit if sign == "≥"
                   else value - half <= limit for sign, limit in self.bars)

    def text(self):
        out = figure(self.ours)
        if self.reference is not None:
            out += " / " + figure(self.reference)
        if self.ratio is not None:
            out += " = " + ratio_text(self.ratio)
        return out

    def plain(self):
        return {"ours": self.ours, "reference": self.reference,
                "ratio": self.ratio, "aa": self.aa, "half_width": self.half,
                "bar": ["%s %g" % b for b in self.bars],
                "held": self.held() if self.bars else None}


class Report:
    def __init__(self, quick, nginx):
        self.rows = []
        self.passed = self.failed = 0
        self.load = load()
        self.ticks = ticks()
        self.quick = quick
        self.peers = ""
        self.nginx = subprocess.run(
            [nginx, "-v"], stderr=subprocess.PIPE, check=True,
            stdin=subprocess.DEVNULL, text=True).stderr.strip()

    def add(self, work, unit, against, cells, judged=False, rounds=None):
        """cells: key -> Cell.  judged: a bar that is missed is a failure."""
        barred = {k: c for k, c in cells.items() if c.bars}
        missed = [k for k, c in barred.items() if not c.held()]
        verdict = ""
        if barred:
            verdict = "held"
            if missed:
                verdict = "missed"
                if len(barred) > 1:
                    verdict += ": " + " and ".join(
                        "CPU" if k == "cost" else k for k in missed)
                if any((barred[k].half or 0) > FORGIVEN for k in missed):
                    verdict += " (A/A too wide to tell)"
            if judged:
                self.passed += not missed
                self.failed += bool(missed)
            else:
                verdict += ", not counted"
        self.rows.append({
            "work": work, "unit": unit, "against": against,
            "figures": cells, "verdict": verdict,
            "judged": bool(judged and barred), "rounds": rounds or []})

    def row(self, work, unit, ours, reference=None, against="", ratio=None,
            half=None, at_most=None, at_least=None, judged=False,
            rounds=None):
        """One figure."""
        self.add(work, unit, against, {"rate": Cell(
            ours, reference, ratio, half=half, at_most=at_most,
            at_least=at_least)}, judged, rounds)

    def versus(self, rounds, work, unit, name, word, bars=None, judged=False,
               twins=("twin", "stock")):
        """
        A row of all figures that rounds hold of ours and of another: the
        medians of each, and of their ratios in the rounds that have both.
        bars: key -> (at_least, at_most)
        """
        cells = {}
        for key in KEYS:
            each = [r for r in rounds if name in r and key in r[name]
                    and key in r["ours"]]
            if not each:
                continue
            pairs = ratios(each, "ours", name, key)
            same = [r for r in rounds if all(
                t in r and key in r[t] for t in twins)]
            aa = half = None
            if same:
                both = ratios(same, twins[0], twins[1], key)
                aa, half = interval(both), half_width(both)
            low, high = (bars or {}).get(key, (None, None))
            scale = SCALE.get(key, 1)
            cells[key] = Cell(
                median(column(rounds, "ours", key)) * scale,
                median(column(rounds, name, key)) * scale,
                median(pairs) if pairs else None, aa, half, low, high)
        self.add(work, unit, word, cells, judged, [
            {n: r[n] for n in ("ours", name) if n in r} for r in rounds])

    def table(self):
        lines = ["| %s |" % " | ".join(HEAD),
                 "|%s" % ("---|" * len(HEAD))]
        for r in self.rows:
            cells = r["figures"]
            aa, bars = [], []
            for key, c in cells.items():
                word = WORDS.get(key, key + " ")
                if c.aa and key in WORDS:
                    aa.append("%s%.2f..%.2f" % ((word,) + tuple(c.aa)))
                elif c.half and not c.aa:
                    aa.append("%s±%.2g" % (word, c.half))
                bars += ["%s%s %s" % (word, sign, figure(limit))
                         for sign, limit in c.bars]
            lines.append("| %s |" % " | ".join(
                [r["work"], r["against"], r["unit"]]
                + [cells[k].text() if k in cells else "" for k in KEYS]
                + [", ".join(aa), ", ".join(bars), r["verdict"]]))
        return "\n".join(lines)

    def machine(self):
        total, stolen = (b - a for a, b in zip(self.ticks, ticks()))
        return {"steal": round(stolen / max(total, 1), 4),
                "cpus": os.cpu_count(), "kernel": platform.release(),
                "machine": platform.machine(), "nginx": self.nginx,
                "peers": self.peers, "load_before": self.load,
                "load_after": load(), "quick": self.quick}

    def write(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        rows = [dict(r, figures={k: c.plain()
                                 for k, c in r["figures"].items()})
                for r in self.rows]
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"machine": self.machine(), "rows": rows,
                       "passed": self.passed, "failed": self.failed}, f,
                      indent=1)
            f.write("\n")
