"""A logger's alarm limits as its configuration gives them; what it leaves unsaid is taken by rule, and said."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from core.telemetry.message import Message
from core.telemetry.readers.report import AlarmKind, Limit, Sample, Side
from core.telemetry.readers.text import Doubt, number, what_of
from core.telemetry.readers.tree import Node

_TYPES = {
    1: (Side.LOW, AlarmKind.CONSECUTIVE),
    2: (Side.HIGH, AlarmKind.CONSECUTIVE),
    3: (Side.LOW, AlarmKind.CUMULATIVE),
    4: (Side.HIGH, AlarmKind.CUMULATIVE),
}
"""Q-tag alarm types (facts §1); 0 is a limit that is not used."""
_ASSUMED_SIDE = "which side is not in the file: taken as {side}, by its place among the thresholds"


def limits_of(root: Node, unit: str) -> tuple[tuple[Limit, ...], list[Doubt]]:
    """The limits that are in use, in the file's order, and what could not be understood of them."""
    doubts: list[Doubt] = []
    section = root.get("Conf", "Alarm")
    nodes = section.children if section else []
    raw: list[tuple[Node, int | None, float, timedelta]] = []
    for node in nodes:
        if not node.children:
            if node.value:
                said = Message("telemetry.limit_unclear", key=node.key, text=node.value)
                doubts.append(Doubt(node.line, "malformed", said, damage=True))
            continue
        try:
            kind = _whole(node, "Type", "Alarm type", "Typ")
            threshold, minutes = _number(node, "T AL"), _number(node, "t AL")
        except ValueError as error:
            doubts.append(
                Doubt(
                    node.line,
                    "malformed",
                    Message("telemetry.limit_unreadable", key=node.key, why=what_of(error)),
                    damage=True,
                )
            )
            continue
        if kind == 0 or (threshold is None and minutes is None):
            continue
        if threshold is None or (minutes or 0) < 0 or (kind is not None and kind not in _TYPES):
            given = {"kind": str(kind), "threshold": str(threshold), "minutes": str(minutes)}
            said = Message("telemetry.limit_not_judged", key=node.key, **given)
            doubts.append(Doubt(node.line, "malformed", said, damage=True))
            continue
        raw.append((node, kind, threshold, timedelta(minutes=minutes or 0)))
    thresholds = [threshold for _, _, threshold, _ in raw]
    return tuple(_limit(*entry, thresholds=thresholds, unit=unit) for entry in raw), doubts


def _limit(
    node: Node, kind: int | None, threshold: float, delay: timedelta, *, thresholds: list[float], unit: str
) -> Limit:
    if kind is not None:
        side, how = _TYPES[kind]
        assumed = ""
    else:
        side, assumed = _side(node.key, threshold, thresholds)
        cumulative = (_whole(node, "C AL") or 0) == 1
        how = AlarmKind.CUMULATIVE if cumulative else AlarmKind.CONSECUTIVE
    if delay == timedelta(0) and how is AlarmKind.CONSECUTIVE:
        how = AlarmKind.INSTANT
    return Limit(node.key, side, how, threshold, delay, unit, assumed)


def _side(key: str, threshold: float, thresholds: list[float]) -> tuple[Side, str]:
    """A Fridge-tag's limit 0 is the low one and 1 the high one; with others, thresholds below the middle are low."""
    if len(thresholds) == 2 and key in ("0", "1") and thresholds[0] < thresholds[1]:  # noqa: PLR2004 - low and high
        return (Side.LOW if threshold == thresholds[0] else Side.HIGH), ""
    if len(thresholds) == 1:
        side = Side.LOW if key == "0" else Side.HIGH
    else:
        middle = (min(thresholds) + max(thresholds)) / 2
        side = Side.LOW if threshold < middle else Side.HIGH
    return side, _ASSUMED_SIDE.format(side=side.value)


def by_marks(limits: tuple[Limit, ...], samples: Sequence[Sample], judged: int) -> tuple[Limit, ...]:
    """The limits whose side the file does not say, on the sides that fit the device's own marks in the log best."""
    guessed = sorted(limit.threshold for limit in limits if limit.assumed)
    read = [(value, sample.flagged) for sample in samples if (value := sample.values[judged]) is not None]
    if not guessed or not any(flagged for _, flagged in read):
        return limits

    def sided(below: int) -> tuple[Limit, ...]:
        low = guessed[:below]
        return tuple(
            replace(limit, side=Side.LOW if limit.threshold in low else Side.HIGH) if limit.assumed else limit
            for limit in limits
        )

    def fit(chosen: Sequence[Limit]) -> int:
        return sum(any(limit.out(value) for limit in chosen) == flagged for value, flagged in read)

    best = max((limits, *(sided(below) for below in range(len(guessed) + 1))), key=fit)
    message = f"by the device's own marks, which {{side}} fits on {fit(best)} of {len(read)} readings"
    return tuple(
        replace(limit, assumed=f"which side is not in the file: {message.format(side=limit.side.value)}")
        if limit.assumed
        else limit
        for limit in best
    )


def _number(node: Node, name: str) -> float | None:
    """The number under exactly this name: `T AL` and `t AL` differ by case alone."""
    child = next((child for child in node.children if child.key == name), None)
    return None if child is None else number(child.value)


def _whole(node: Node, *names: str) -> int | None:
    for name in names:
        child = node.get(name)
        if child is not None:
            value = number(child.value)
            return None if value is None else round(value)
    return None
