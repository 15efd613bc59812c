"""Medians, and how far the median of so many rounds can be trusted."""

import math


def median(values):
    v = sorted(values)
    n = len(v)
    return (v[(n - 1) // 2] + v[n // 2]) / 2


def interval(values):
    """
    The order statistics that hold the median of what the values were drawn
    from, with 95 % where there are enough of them (six), else the extremes.
    """
    v = sorted(values)
    n = len(v)
    # the most that may lie outside on one side: binomial, a half each
    tail, k = 0.0, 0
    while k < n // 2:
        tail += math.comb(n, k) * 0.5 ** n
        if tail > 0.025:
            break
        k += 1
    k = max(k, 1)
    return v[k - 1], v[n - k]


def half_width(values):
    low, high = interval(values)
    return (high - low) / 2


def ratios(rounds, name, other, key):
    """name / other of each round that has both."""
    return [r[name][key] / r[other][key] for r in rounds
            if name in r and other in r and r[other][key]]


def column(rounds, name, key):
    return [r[name][key] for r in rounds if name in r]
