"""Topic filters with named wildcards, and point templates filled from what the wildcards matched."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from core.telemetry.address import check_segment

MAX_TOPIC_BYTES = 65535
POINT_SEGMENTS = 5
REST = "rest"
DEVICE = "device"
FIELD = "field"
SENSOR = "sensor"
_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NOT_ADDRESS = re.compile(r"[^A-Za-z0-9_-]")


class TopicFilter:
    """An MQTT topic filter in which `{name}` may stand for `+`, and `{device}` for the device of payloads without one.

    `wire` is the filter as the broker takes it. Single-level wildcards are also numbered from 1; what `#` matches is
    called `rest`. Raises ValueError for what is not a filter.
    """

    def __init__(self, text: str) -> None:
        levels = text.split("/")
        self.text = text
        self._group_names: list[list[str]] = []
        for number, level in enumerate(levels, start=1):
            if set(level) & set("+#{}\0") and level not in ("+", "#") and not _NAMED.fullmatch(level):
                raise ValueError(f"topic filter {text!r}: a wildcard must fill its level, {level!r} does not")
            if level == "#" and number != len(levels):
                raise ValueError(f"topic filter {text!r}: '#' must be the last level")
            self._name(level)
        self.wire = "/".join("+" if _NAMED.fullmatch(level) else level for level in levels)
        if not text or len(self.wire.encode()) > MAX_TOPIC_BYTES:
            raise ValueError("a topic filter has 1 to 65535 bytes")
        if levels[0] == "$share":
            raise ValueError(f"topic filter {text!r}: use shared_group for a shared subscription")

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        """Made when the first topic is matched: a check of thousands of filters matches none."""
        return _regex(self.wire.split("/"))

    def _name(self, level: str) -> None:
        """Names what a wildcard matches: single levels by number, and by name if they have one."""
        if level == "#":
            names = [REST]
        elif level == "+" or _NAMED.fullmatch(level):
            names = [str(len(self._group_names) + 1)] + ([level[1:-1]] if level != "+" else [])
        else:
            return
        for name in names:
            if name in (FIELD, SENSOR) or name in self.placeholders or (name == REST and level != "#"):
                raise ValueError(f"topic filter {self.text!r}: the name {name!r} is taken")
        self._group_names.append(names)

    @property
    def placeholders(self) -> list[str]:
        """Names of what the wildcards match."""
        return [name for names in self._group_names for name in names]

    def match(self, topic: str) -> dict[str, str] | None:
        """What each placeholder matched; None if the topic does not match."""
        found = self._regex.fullmatch(topic)
        if found is None:
            return None
        return {
            name: level or "" for names, level in zip(self._group_names, found.groups(), strict=True) for name in names
        }

    def overlaps(self, other: "TopicFilter") -> bool:
        """Whether one topic could match both."""
        return overlapping([self, other]) is not None


class _Level:
    """Filters that share their first levels: the one that ends here, and those that go on, by their next level."""

    def __init__(self) -> None:
        self.ends: TopicFilter | None = None
        self.below: dict[str, _Level] = {}

    def met_by(self, levels: list[str]) -> "TopicFilter | None":
        """A filter below here that shares a topic with `levels`."""
        branches = [(self, 0)]
        while branches:
            level, depth = branches.pop()
            if "#" in level.below:
                return level.below["#"].ends
            name = levels[depth] if depth < len(levels) else None
            if name == "#":
                return level.any()
            if name is None:
                if level.ends is not None:
                    return level.ends
                continue
            below = level.below.values() if name == "+" else [level.below[n] for n in (name, "+") if n in level.below]
            branches += [(one, depth + 1) for one in below]
        return None

    def any(self) -> "TopicFilter | None":
        """A filter that ends here or below."""
        level = self
        while level.ends is None and level.below:
            level = next(iter(level.below.values()))
        return level.ends

    def add(self, topic: TopicFilter) -> None:
        """Takes a filter in."""
        level = self
        for name in topic.wire.split("/"):
            level = level.below.setdefault(name, _Level())
        level.ends = topic


def overlapping(topics: Iterable[TopicFilter]) -> tuple[TopicFilter, TopicFilter] | None:
    """The first filter for which there is a topic that one before it matches, too: (that one, it)."""
    root = _Level()
    for topic in topics:
        met = root.met_by(topic.wire.split("/"))
        if met is not None:
            return met, topic
        root.add(topic)
    return None


class PointTemplate:
    """A point's address with `{placeholders}`. A placeholder that is the whole template may hold slashes.

    `allowed` are the placeholders there are, None where that is not known yet. Raises ValueError.
    """

    def __init__(self, text: str, allowed: set[str] | None = None) -> None:
        self.text = text
        self.names = _PLACEHOLDER.findall(text)
        for name in self.names:
            if allowed is not None and name not in allowed:
                known = ", ".join(sorted("{" + one + "}" for one in allowed))
                raise ValueError(f"point {text!r}: {{{name}}} is unknown here; known are {known}")
        segments = text.split("/")
        self._free = any(_PLACEHOLDER.fullmatch(segment) and segment[1:-1] == REST for segment in segments)
        if len(segments) != POINT_SEGMENTS and not self._free:
            raise ValueError(f"point {text!r} must have 5 segments: site/area/zone/device/quantity")
        for segment in segments:
            rest = _PLACEHOLDER.sub("x", segment)
            check_segment(rest)

    @property
    def literal(self) -> bool:
        """Whether it names one point."""
        return not self.names

    def fill(self, values: Mapping[str, str]) -> str:
        """The address, with '-' for what an address cannot have; whether it is one is for the caller to check."""
        if self.literal:
            return self.text
        return "/".join(
            values[REST] if segment == "{rest}" else _PLACEHOLDER.sub(lambda f: _segment(values[f[1]]), segment)
            for segment in self.text.split("/")
        )


def _regex(levels: list[str]) -> re.Pattern[str]:
    """Levels as on the wire. `a/#` matches `a` too; leading wildcards do not match $ topics (MQTT 5, 4.7)."""
    tail = "" if levels[-1] != "#" else "(?:/(.*))?" if len(levels) > 1 else "(.*)"
    head = "/".join("([^/]*)" if level == "+" else re.escape(level) for level in levels if level != "#")
    guard = r"(?!\$)" if levels[0] in ("+", "#") else ""
    return re.compile(guard + head + tail, re.DOTALL)


def _segment(text: str) -> str:
    return _NOT_ADDRESS.sub("-", text)
