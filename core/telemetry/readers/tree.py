"""Indented `key: value` text as a tree, with tables inside: the frame of Berlinger's reports, whatever they contain."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.telemetry.message import Message
from core.telemetry.readers.text import Doubt

_NEXT_KEY = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9 _/&.()-]{0,40}:)")
_KEY_VALUE = re.compile(r"([^:\t]{1,60}?)\s*:(.*)")
_SECTION = re.compile(r"[A-Za-z][A-Za-z _-]*:(?:\s.*)?")
"""A line that ends a table: a key by itself at its beginning, and not the head of a column such as hh:mm."""
_FREE_TEXT = re.compile(r"user string|comment|owner|issuer|description", re.IGNORECASE)


@dataclass(slots=True)
class Node:
    """One `key: value` with what is indented under it. Several nodes of one line have the same `line`."""

    key: str
    value: str
    line: int
    children: list["Node"] = field(default_factory=list)
    rows: list[tuple[int, str]] = field(default_factory=list)
    """For a table: its lines and their numbers, verbatim."""

    def all(self, key: str) -> list["Node"]:
        """The children of that name, in the file's order; names compare without case."""
        wanted = key.lower()
        return [child for child in self.children if child.key.lower() == wanted]

    def get(self, *path: str) -> "Node | None":
        """The first node down the path, or None."""
        node: Node | None = self
        for key in path:
            if node is None:
                return None
            found = node.all(key)
            node = found[0] if found else None
        return node

    def text(self, *path: str) -> str | None:
        """The value down the path; None where it is absent or empty."""
        node = self.get(*path)
        return node.value if node is not None and node.value else None

    def lines(self) -> Iterator[list["Node"]]:
        """The children, those of one line together."""
        group: list[Node] = []
        for child in self.children:
            if group and child.line != group[0].line:
                yield group
                group = []
            group.append(child)
        if group:
            yield group

    def as_json(self) -> object:
        """The node as JSON can carry it, verbatim: text, or a mapping in which a repeated key gives a list."""
        if not self.children:
            return self.value
        out: dict[str, object] = {} if not self.value else {"": self.value}
        for child in self.children:
            value = child.as_json()
            if child.key not in out:
                out[child.key] = value
                continue
            before = out[child.key]
            out[child.key] = [*before, value] if isinstance(before, list) else [before, value]
        return out


def parse_tree(lines: list[str], tables: frozenset[str]) -> tuple[Node, list[Doubt]]:
    """The tree under a nameless root, and the lines that fit nowhere.

    A top-level key named in `tables` (lower case) takes every following line as a row, until the next top-level key.
    """
    root = Node("", "", 0)
    doubts: list[Doubt] = []
    stack: list[tuple[int, Node]] = [(-1, root)]
    table: Node | None = None
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        indent = len(text) - len(text.lstrip())
        match = _KEY_VALUE.fullmatch(text.strip())
        if table is not None:
            if indent or match is None or _SECTION.fullmatch(text) is None:
                table.rows.append((line, text))
                continue
            table = None
        if match is None:
            doubts.append(
                Doubt(line, "malformed", Message("telemetry.no_key_value", text=text.strip()[:60]), damage=True)
            )
            continue
        while stack[-1][0] >= indent:
            stack.pop()
        nodes = list(_nodes(text.strip(), line))
        stack[-1][1].children.extend(nodes)
        stack.append((indent, nodes[-1]))
        if indent == 0 and nodes[0].key.lower() in tables:
            table = nodes[0]
    return root, doubts


def _nodes(text: str, line: int) -> Iterator[Node]:
    """The `key: value` pairs of one line; a line of free text is one pair whatever commas it has."""
    parts = [text] if _FREE_TEXT.match(text) else _NEXT_KEY.split(text)
    for part in parts:
        key, _, value = part.partition(":")
        yield Node(key.strip(), value.strip(), line)
