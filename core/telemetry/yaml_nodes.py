"""YAML 1.2 as nodes that know their lines: scanned by libyaml, resolved and constructed as ruamel.yaml does.

ruamel.yaml alone scans in Python, which for a gateway of 10 000 points takes as long as all else four times over; its
own C scanner is of an old libyaml that refuses a URL within brackets. PyYAML's is not, but PyYAML by itself reads
YAML 1.1, in which `on` is true.
"""

from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode as RuamelScalar
from ruamel.yaml.resolver import implicit_resolvers
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

__all__ = ["MERGE", "MappingNode", "Node", "ScalarNode", "Scalars", "SequenceNode", "YamlFault", "compose"]

MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_VERSION = (1, 2)
_MAX_DEPTH = 200
"""Nesting beyond this is refused: the C composer recurses without a bound of its own."""
_Scanner: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML built without libyaml reads the same, slowly."""


class YamlFault(ValueError):
    """The text is no YAML; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(_Scanner):  # type: ignore[misc] # which of two classes it is, is known only when it runs
    """Resolves plain scalars by YAML 1.2's core schema, and raises YamlFault where nodes are nested too deeply."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - the library's own way

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        """What either composer calls before each node; that of the library serves paths, of which there are none."""
        del index
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise YamlFault("nested too deeply", parent.start_mark.line + 1 if parent is not None else 1)

    def ascend_resolver(self) -> None:
        """What either composer calls after each node."""
        self._depth -= 1


for _versions, _tag, _pattern, _first in implicit_resolvers:
    if _VERSION in _versions:
        _Loader.add_implicit_resolver(_tag, _pattern, _first)


def compose(text: str) -> Node | None:
    """The document's root, None if there is none. Raises YamlFault."""
    try:
        loader = _Loader(text)
        try:
            root: Node | None = loader.get_single_node()
            return root
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(error.problem or error.context or str(error), mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise YamlFault(str(error), 1) from error


class Scalars:
    """Makes values of scalar nodes."""

    def __init__(self) -> None:
        self._constructor = YAML(typ="safe", pure=True).constructor
        self._made: dict[tuple[str, str], Any] = {}
        """A file of many points says the same few values over and over; none of them can be changed in place."""

    def value(self, node: ScalarNode) -> Any:
        """The value. Raises ValueError, or ruamel.yaml's YAMLError, for one that its tag cannot be."""
        if node.tag == _TEXT:
            return node.value
        made = self._made.get((node.tag, node.value), self)
        if made is self:
            made = self._constructor.construct_object(RuamelScalar(node.tag, node.value))
            self._made[node.tag, node.value] = made
        return made
