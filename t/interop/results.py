"""What the runs found: kept in build/interop.json, one entry for each
client's file, so that a run of some clients renews only theirs; from it the
table, as build/interop.md and in the README."""

import json
import os
import re

import clients
import setups
from lab import ROOT, Failed

FILE = os.path.join(ROOT, "build", "interop.json")
TABLE = os.path.join(ROOT, "build", "interop.md")
BEGIN = "<!-- interop: from the rows of t/interop/run -->\n"
END = "<!-- interop: end -->\n"


def load():
    try:
        with open(FILE, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def save(found):
    """found: module name to entry(); rows of set-ups that this run left out
    stay."""
    every = load()
    for name, new in found.items():
        now = set(r["setup"] for r in new["rows"])
        new["rows"] = [r for r in every.get(name, {}).get("rows", ())
                       if r["setup"] not in now] + new["rows"]
        every[name] = new
    os.makedirs(os.path.dirname(FILE), exist_ok=True)
    for path, text in ((FILE, json.dumps(every, indent=1) + "\n"),
                       (TABLE, table(every))):
        with open(path + ".part", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".part", path)


def entry(module, rows, versions):
    """What one client's file leaves."""
    return {
        "replays": getattr(module, "REPLAYS", {}),
        "notes": getattr(module, "NOTES", {}),
        "versions": versions,
        "rows": [{"client": r.client, "operation": r.operation,
                  "setup": r.setup, "result": r.result, "why": r.why,
                  "seconds": round(r.seconds, 1)} for r in rows]}


def gather(every):
    """{client: {operation: {setup: row}}}, in the order of the run."""
    out = {}
    for name in list(clients.NAMES) + sorted(set(every)
                                             - set(clients.NAMES)):
        for row in every.get(name, {}).get("rows", ()):
            if row["client"] == "nginx":
                continue        # its log after each server: no client
            out.setdefault(row["client"], {}).setdefault(
                row["operation"], {})[row["setup"]] = row
    return out


def head(first):
    titles = [setups.TITLES[s] for s in setups.EVERY]
    return ["| " + " | ".join(first + titles) + " |",
            "|" + "---|" * (len(first) + len(titles))]


def long(rows):
    """A line for each operation: what one run prints.  rows: of Lab."""
    found = {}
    for r in rows:
        found.setdefault((r.client, r.operation), {})[r.setup] = \
            "%s %.1f s" % (r.result, r.seconds)
    return "\n".join(head(["client", "operation"]) + [
        "| %s | %s | %s |" % (client, operation, " | ".join(
            cells.get(s, "") for s in setups.EVERY))
        for (client, operation), cells in found.items()])


def table(every):
    """
    Operations of one client with the same results share a line.  The
    reasons of every "-" are notes below.
    """
    versions, replays, words, notes = {}, {}, {}, []
    for e in every.values():
        versions.update(e["versions"])
        replays.update(e["replays"])
        words.update(e.get("notes", {}))
    # what a replay is of is known where it is one, and not by its pin
    for e in every.values():
        versions.update((c, e["versions"][c]) for c in e["replays"]
                        if c in e["versions"])

    def note(text):
        if text not in notes:
            notes.append(text)
        return "<sup>%d</sup>" % (notes.index(text) + 1)

    lines = head(["client", "operations"])
    for client, operations in gather(every).items():
        name = (client + " " + versions.get(client, "")).rstrip()
        if client in replays:
            name += " (replay)" + note(replays[client])
        if client in words:
            name += note(words[client])
        groups = {}
        for operation, cells in operations.items():
            key = tuple(cell(cells.get(s), note) for s in setups.EVERY)
            groups.setdefault(key, []).append(operation)
        for key, those in groups.items():
            lines.append("| %s | %s | %s |" % (
                name, "; ".join(those), " | ".join(key)))
    if notes:
        lines.append("")
    lines += ["%d. %s" % (i + 1, text) for i, text in enumerate(notes)]
    return "\n".join(lines) + "\n"


def cell(row, note):
    if row is None:
        return ""
    if row["result"] == "-":
        return "–" + note(row["why"])
    return row["result"]


def readme():
    """Writes the table into the README, between its markers."""
    every = load()
    missing = [n for n in clients.NAMES if n not in every]
    if missing:
        raise Failed("not run yet: " + " ".join(missing))
    failed = ["%s: %s (%s)" % (r["client"], r["operation"], r["setup"])
              for e in every.values() for r in e["rows"]
              if r["result"] == "FAIL"]
    if failed:
        raise Failed("these failed: " + "; ".join(failed))
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Failed("the README has not its two markers")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n" + table(
            {n: every[n] for n in clients.NAMES}) + "\n" + END + after)


def number(text):
    """The version in what a program says with --version."""
    m = re.search(r"\d+\.\d+(?:\.\d+)?", text)
    return m.group(0) if m else ""
