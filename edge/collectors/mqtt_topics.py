"""Topic filters with named wildcards, and point templates filled from what the wildcards matched."""

import re
from collections.abc import Mapping

from core.telemetry.address import check_segment

MAX_TOPIC_BYTES = 65535
POINT_SEGMENTS = 5
REST = "rest"
DEVICE = "device"
FIELD = "field"
_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NOT_ADDRESS = re.compile(r"[^A-Za-z0-9_-]")


class TopicFilter:
    """An MQTT topic filter in which `{name}` may stand for `+`.

    `wire` is the filter as the broker takes it. Single-level wildcards are also numbered from 1; what `#` matches is
    called `rest`. Raises ValueError for what is not a filter.
    """

    def __init__(self, text: str) -> None:
        levels = text.split("/")
        self.text = text
        self.placeholders: list[str] = []
        wire: list[str] = []
        pattern: list[str] = []
        singles = 0
        for index, level in enumerate(levels):
            named = _NAMED.fullmatch(level)
            if level == "+" or named:
                singles += 1
                self._name(str(singles))
                if named:
                    self._name(named[1])
                wire.append("+")
                pattern.append("([^/]*)")
            elif level == "#":
                if index != len(levels) - 1:
                    raise ValueError(f"topic filter {text!r}: '#' must be the last level")
                self._name(REST)
                wire.append("#")
            elif set(level) & set("+#{}\0"):
                raise ValueError(f"topic filter {text!r}: a wildcard must fill its level, {level!r} does not")
            else:
                wire.append(level)
                pattern.append(re.escape(level))
        self.wire = "/".join(wire)
        if not text or len(self.wire.encode()) > MAX_TOPIC_BYTES:
            raise ValueError("a topic filter has 1 to 65535 bytes")
        if levels[0] == "$share":
            raise ValueError(f"topic filter {text!r}: use shared_group for a shared subscription")
        tail = "" if wire[-1] != "#" else "(?:/(.*))?" if len(wire) > 1 else "(.*)"
        # wildcards in the first level do not match the broker's own $ topics (MQTT 5, 4.7.2)
        guard = r"(?!\$)" if wire[0] in ("+", "#") else ""
        self._regex = re.compile(guard + "/".join(pattern) + tail, re.DOTALL)
        # one name per group, numbered first, so that groups and names line up
        self._group_names: list[list[str]] = []
        singles = 0
        for level in levels:
            if level == "#":
                self._group_names.append([REST])
            elif level == "+" or _NAMED.fullmatch(level):
                singles += 1
                self._group_names.append([str(singles)] + ([level[1:-1]] if level != "+" else []))

    def _name(self, name: str) -> None:
        if name in (DEVICE, FIELD) or name in self.placeholders:
            raise ValueError(f"topic filter {self.text!r}: the name {name!r} is taken")
        self.placeholders.append(name)

    def match(self, topic: str) -> dict[str, str] | None:
        """What each placeholder matched; None if the topic does not match."""
        found = self._regex.fullmatch(topic)
        if found is None:
            return None
        return {
            name: said or "" for names, said in zip(self._group_names, found.groups(), strict=True) for name in names
        }

    def overlaps(self, other: "TopicFilter") -> bool:
        """Whether one topic could match both."""
        mine, theirs = self.wire.split("/"), other.wire.split("/")
        for a, b in zip(mine, theirs, strict=False):
            if "#" in (a, b):
                return True
            if a != b and "+" not in (a, b):
                return False
        longer = mine if len(mine) > len(theirs) else theirs
        return len(mine) == len(theirs) or longer[min(len(mine), len(theirs))] == "#"


class PointTemplate:
    """A point's address with `{placeholders}`. A placeholder that is the whole template may hold slashes."""

    def __init__(self, text: str, allowed: set[str]) -> None:
        self.text = text
        self.names = _PLACEHOLDER.findall(text)
        for name in self.names:
            if name not in allowed:
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


def _segment(said: str) -> str:
    return _NOT_ADDRESS.sub("-", said)
