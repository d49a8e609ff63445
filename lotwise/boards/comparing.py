"""What differs between two JSON documents, said as paths a person can find."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

OF_GRAFANA = frozenset({"id", "version", "iteration"})
"""What Grafana writes into a board by itself."""
_NAMES = ("title", "name", "refId", "uid")


def fingerprint(document: object) -> str:
    """The first 16 digits of its SHA-256, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """One line for each leaf that differs: where, what we have, what is there."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in sorted(ours.keys() | theirs.keys()):
            if not path and key in OF_GRAFANA:
                continue
            where = f"{path}.{key}" if path else str(key)
            if key not in theirs:
                yield f"{where}: missing there"
            elif key not in ours:
                yield f"{where}: only there: {_short(theirs[key])}"
            else:
                yield from differences(ours[key], theirs[key], where)
    elif _is_list(ours) and _is_list(theirs):
        yield from _of_lists(ours, theirs, path)
    elif ours != theirs:
        yield f"{path}: {_short(ours)} here, {_short(theirs)} there"


def _of_lists(ours: Sequence[Any], theirs: Sequence[Any], path: str) -> Iterator[str]:
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        yield from differences(one, other, f"{path}[{_name(one, place)}]")
    for place in range(len(theirs), len(ours)):
        yield f"{path}[{_name(ours[place], place)}]: missing there"
    for place in range(len(ours), len(theirs)):
        yield f"{path}[{_name(theirs[place], place)}]: only there"


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _name(item: object, place: int) -> str:
    if isinstance(item, Mapping):
        for name in _NAMES:
            if item.get(name):
                return str(item[name])
    return str(place)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - a line's width
