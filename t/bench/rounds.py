"""Interleaved rounds: what is compared runs side by side, in turn."""

import os
import sys
import time


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def interleave(what, count, variants, rare=(), every=6):
    """
    variants: name -> function.  Each round runs them all, beginning with
    another one each time; those in rare run in one of so many rounds.
    Returns one dict of results for each round.
    """
    names = list(variants)
    out = []
    start = time.monotonic()
    for i in range(count):
        turn = i % len(names)
        got = {}
        for name in names[turn:] + names[:turn]:
            if name in rare and i % every:
                continue
            got[name] = variants[name]()
        out.append(got)
    say("%s: %d rounds in %.0f s, load %s"
        % (what, count, time.monotonic() - start, load()))
    return out


def load():
    return "%.2f %.2f %.2f" % os.getloadavg()
