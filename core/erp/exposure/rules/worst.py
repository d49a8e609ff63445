"""The worst of several ways: goods that were merged are as bad as the worst of them."""

from collections.abc import Sequence
from dataclasses import replace

from core.erp.exposure.rules.assess import NEVER, Break, Certainty, Verdict

_RANK: dict[Certainty, int] = {"proven": 0, "uncertain": 1, "unproven": 2}


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of goods that came several ways; looked at again when any of the ways must be.

    Breaks of one limit on different ways that overlap in time are one: from the earliest beginning to the latest end,
    at the greatest certainty any way has, broken when the first way was so at that certainty, out for as long as the
    longest. Times out on different ways are never added. A single verdict is given back as it is.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    surer: dict[Certainty, int] = {}
    for verdict in verdicts:
        for certainty, at in verdict.upgrade_due.items():
            surer[certainty] = min(surer.get(certainty, NEVER), at)
    return Verdict(
        tuple(_one(group) for group in _groups(verdicts)),
        min((verdict.due for verdict in verdicts), default=NEVER),
        surer,
        max((verdict.warm_until for verdict in verdicts), default=0),
    )


def _groups(verdicts: Sequence[Verdict]) -> list[list[tuple[int, Break]]]:
    """(way, break) of one limit that overlap, one after the other; all of a cumulative limit, which is never reset."""
    items = [(way, item) for way, verdict in enumerate(verdicts) for item in verdict.breaks]
    items.sort(key=lambda one: (one[1].limit_key, one[1].started, one[1].broke, one[0]))
    out: list[list[tuple[int, Break]]] = []
    reach = 0
    for way, item in items:
        last = out[-1][-1][1] if out else None
        if (
            last is not None
            and last.limit_key == item.limit_key
            and (item.kind == "cumulative" or item.started < reach)
        ):
            out[-1].append((way, item))
            reach = max(reach, _end(item))
        else:
            out.append([(way, item)])
            reach = _end(item)
    return out


def _end(item: Break) -> int:
    return NEVER if item.ended is None else item.ended


def _one(group: Sequence[tuple[int, Break]]) -> Break:
    best = min(_RANK[item.certainty] for _, item in group)
    surest = [(way, item) for way, item in group if _RANK[item.certainty] == best]
    first = min((item for _, item in surest), key=lambda item: item.broke)
    end = max(_end(item) for _, item in group)
    return replace(
        first,
        started=min(item.started for _, item in group),
        ended=None if end == NEVER else end,
        out=max(sum(item.out for way, item in surest if way == one) for one in {way for way, _ in surest}),
    )
