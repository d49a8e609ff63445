"""Runs: sorted, disjoint, half-open spans [start, stop) in microseconds, never touching each other.

What a limit saw in a zone is four lists of runs. Everything the judge counts is derived from them.
"""

from collections.abc import Iterable, Sequence

Run = tuple[int, int]
Runs = list[Run]


def join(parts: Iterable[Sequence[Run]]) -> Runs:
    """Runs of consecutive stretches as one list: a run that ends where the next begins goes on."""
    out: Runs = []
    for part in parts:
        if out and part and out[-1][1] == part[0][0]:
            out[-1] = (out[-1][0], part[0][1])
            out.extend(part[1:])
        else:
            out.extend(part)
    return out


def clip(runs: Sequence[Run], start: int, stop: int) -> Runs:
    """The runs within [start, stop)."""
    return [(max(a, start), min(b, stop)) for a, b in runs if b > start and a < stop]


def length(runs: Sequence[Run]) -> int:
    """Microseconds in all."""
    return sum(b - a for a, b in runs)


def union(lists: Iterable[Sequence[Run]]) -> Runs:
    """Every instant that is in any of the lists, once."""
    out: Runs = []
    for start, stop in sorted(run for runs in lists for run in runs):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out


def without(runs: Sequence[Run], others: Sequence[Run]) -> Runs:
    """Every instant of the runs that is in none of the others."""
    out: Runs = []
    for start, stop in runs:
        at = start
        for a, b in clip(others, start, stop):
            if a > at:
                out.append((at, a))
            at = b
        if at < stop:
            out.append((at, stop))
    return out


def run_containing(runs: Sequence[Run], inner: Run) -> Run:
    """The run that holds the inner one. Raises ValueError if none does."""
    for start, stop in runs:
        if start <= inner[0] and inner[1] <= stop:
            return start, stop
    raise ValueError(f"no run holds {inner}")


def instant_of(runs: Sequence[Run], amount: int) -> int | None:
    """When the runs' total reaches `amount`, or None if it does not."""
    left = amount
    for start, stop in runs:
        if stop - start >= left:
            return start + left
        left -= stop - start
    return None
