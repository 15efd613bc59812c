"""The rows of the table, the bars over them, the JSON beside them."""

import json
import os
import platform
import subprocess

from rounds import load

HEAD = ("work", "unit", "ours", "reference", "against", "ratio", "A/A ±",
        "bar", "verdict")


def figure(x):
    if x is None:
        return ""
    if isinstance(x, str):
        return x
    if x and abs(x) < 0.01:
        return "%.2g" % x
    if abs(x) < 10:
        return "%.3f" % x
    if abs(x) < 100:
        return "%.1f" % x
    return "{:,.0f}".format(x)


def ticks():
    """(all, stolen): what the host gave to others while we could run"""
    with open("/proc/stat", encoding="ascii") as f:
        t = [int(x) for x in f.readline().split()[1:9]]
    return sum(t), t[7]


class Report:
    def __init__(self, quick, nginx):
        self.rows = []
        self.passed = self.failed = 0
        self.load = load()
        self.ticks = ticks()
        self.quick = quick
        self.nginx = subprocess.run(
            [nginx, "-v"], stderr=subprocess.PIPE, check=True,
            stdin=subprocess.DEVNULL, text=True).stderr.strip()

    def row(self, work, unit, ours, reference=None, against="", ratio=None,
            half=None, at_most=None, at_least=None, judged=False,
            rounds=None):
        """
        A bar is met by the ratio, or by the figure itself where there is
        none; what both sides of an A/A pair differ by is forgiven.
        """
        value = ours if ratio is None else ratio
        verdict = bar = ""
        if at_most is not None:
            bar = "≤ " + figure(at_most)
            verdict = value - (half or 0) <= at_most
        if at_least is not None:
            bar = "≥ " + figure(at_least)
            verdict = value + (half or 0) >= at_least
        if bar:
            word = "pass" if verdict else "FAIL"
            if judged:
                self.passed += verdict
                self.failed += not verdict
            else:
                word = "informative: " + word.lower()
            verdict = word
        self.rows.append({
            "work": work, "unit": unit, "ours": ours,
            "reference": reference, "against": against, "ratio": ratio,
            "half_width": half, "bar": bar, "verdict": verdict,
            "judged": bool(judged and bar), "rounds": rounds or []})

    def table(self):
        lines = ["| %s |" % " | ".join(HEAD),
                 "|%s" % ("---|" * len(HEAD))]
        for r in self.rows:
            lines.append("| %s |" % " | ".join((
                r["work"], r["unit"], figure(r["ours"]),
                figure(r["reference"]), r["against"], figure(r["ratio"]),
                figure(r["half_width"]), r["bar"], r["verdict"])))
        return "\n".join(lines)

    def machine(self):
        total, stolen = (b - a for a, b in zip(self.ticks, ticks()))
        return {"steal": round(stolen / max(total, 1), 4),
                "cpus": os.cpu_count(), "kernel": platform.release(),
                "machine": platform.machine(), "nginx": self.nginx,
                "load_before": self.load, "load_after": load(),
                "quick": self.quick}

    def write(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"machine": self.machine(), "rows": self.rows,
                       "passed": self.passed, "failed": self.failed}, f,
                      indent=1)
            f.write("\n")
