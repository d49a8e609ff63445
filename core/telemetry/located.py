"""YAML read with the line of every key and value, so that an error can say where it is. Secrets come by `${NAME}`.

Shared by gateway files and scenario files.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml.error import YAMLError

from core.telemetry.yaml_nodes import MERGE, MappingNode, Node, ScalarNode, Scalars, SequenceNode, YamlFault, compose

Step = str | int
NodePath = tuple[Step, ...]

_ENV = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)\}")
MAX_VALUES = 200_000
UNSET = "unset"
"""Stands for a value that could not be read, so that everything else can still be checked."""


class ConfigError(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong, and where. Lines count from 1."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f" {self.path}:" if self.path else ""
        return f"{self.file}:{self.line}:{where} {self.message}"


class ConfigErrors(Exception):
    """Everything that is wrong with a configuration, by line."""

    def __init__(self, errors: list[ConfigError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(str(error) for error in self.errors))


class Located:
    """A YAML document as plain data, with the line of each path, and what was wrong with it so far."""

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.file = str(path)
        self.lines: dict[NodePath, int] = {(): 1}
        self.errors: list[ConfigError] = []
        self.unreadable: set[NodePath] = set()
        self._environment = os.environ if environment is None else environment
        self._inside: list[Node] = []
        self._scalars = Scalars()
        self.data: Any = self._read(path)

    def error(self, where: NodePath, message: str) -> None:
        """Notes an error at a path; the line is that of the nearest part of the path that the file has."""
        known = where
        while known not in self.lines:
            known = known[:-1]
        self.errors.append(ConfigError(self.file, self.lines[known], dotted(where), message))

    def resolve(self, where: NodePath) -> NodePath:
        """A validator's location as a path of the file: steps that name an alternative rather than a key drop out.

        A last step that the file does not have stays: it is what is missing.
        """
        path: NodePath = ()
        for i, step in enumerate(where):
            if (*path, step) in self.lines or (i == len(where) - 1 and self._may_hold(path, step)):
                path = (*path, step)
        return path

    def _may_hold(self, path: NodePath, step: Step) -> bool:
        value = self.value(path)
        return isinstance(value, dict) and isinstance(step, str) and "[" not in step

    def value(self, where: NodePath) -> Any:
        """The data at a path that the file has."""
        value = self.data
        for step in where:
            value = value[step]
        return value

    def replace(self, where: NodePath, value: Any) -> None:
        """Puts another value at a path that the file has."""
        self.value(where[:-1])[where[-1]] = value

    def _read(self, path: Path) -> Any:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigErrors([ConfigError(self.file, 1, "", f"cannot be read: {nameless(error)}")]) from error
        try:
            root = compose(text)
            return None if root is None else self._build(root, ())
        except RecursionError as error:
            raise ConfigErrors([ConfigError(self.file, 1, "", "nested too deeply")]) from error
        except YamlFault as error:
            message = str(error)
            if "${" in text and ("{" in message or "}" in message):
                message += " (a ${NAME} inside braces or brackets needs quotes)"
            raise ConfigErrors([ConfigError(self.file, error.line, "", message)]) from error

    def _build(self, node: Node, where: NodePath) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        if len(self.lines) > MAX_VALUES:
            line = node.start_mark.line + 1
            raise ConfigErrors([ConfigError(self.file, line, "", f"more than {MAX_VALUES} values, aliases counted")])
        if isinstance(node, ScalarNode):
            return self._scalar(node, where)
        if node in self._inside:
            self.error(where, "an alias of something that it is itself part of")
            self.unreadable.add(where)
            return UNSET
        self._inside.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, where)
            return [self._build(item, (*where, i)) for i, item in enumerate(node.value)]
        finally:
            self._inside.pop()

    def _mapping(self, node: MappingNode, where: NodePath) -> dict[str, Any]:
        built: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        # what is merged in goes first, so that the lines of keys that stand here too are theirs
        for key_node, value_node in sorted(node.value, key=lambda pair: pair[0].tag != MERGE):
            line = key_node.start_mark.line + 1
            if key_node.tag == MERGE:
                merged = self._merged(value_node, where) | merged
                continue
            key = str(key_node.value)
            path = (*where, key)
            if key in built:
                message = f"the key stands twice; first on line {self.lines[path]}"
                self.errors.append(ConfigError(self.file, line, dotted(path), message))
                continue
            self.lines[path] = line
            built[key] = self._build(value_node, path)
        return merged | built

    def _merged(self, node: Node, where: NodePath) -> dict[str, Any]:
        """What a merge key brings in; of several mappings the first wins."""
        merged: dict[str, Any] = {}
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(source, MappingNode):
                merged = self._build(source, where) | merged
            else:
                message = "only mappings can be merged in"
                self.errors.append(ConfigError(self.file, source.start_mark.line + 1, dotted((*where, "<<")), message))
        return merged

    def _scalar(self, node: ScalarNode, where: NodePath) -> Any:
        try:
            value = self._scalars.value(node)
        except (YAMLError, ValueError) as error:
            self.unreadable.add(where)
            self.error(where, getattr(error, "problem", None) or str(error))
            return UNSET
        return self._expand(value, where) if isinstance(value, str) else value

    def _expand(self, text: str, where: NodePath) -> str:
        def one(found: re.Match[str]) -> str:
            escaped, name = found.groups()
            if escaped:
                return found.group(0)[1:]
            value = self._environment.get(name)
            if value is None:
                self.unreadable.add(where)
                self.error(where, f"the environment variable {name} is not set")
                return UNSET
            return value

        return _ENV.sub(one, text)


def dotted(where: NodePath) -> str:
    """A path as people write it: `sources[2].points[0].address`."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def nameless(error: Exception) -> str:
    """What is wrong with a file, without its name: for where that is told already."""
    return getattr(error, "strerror", None) or str(error)
