"""Gateway files as browsing writes them: a whole new one, or one that is there with what it does not read yet."""

import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from core.telemetry.located import ConfigErrors, nameless
from edge.browse.extension import Extension, addresses, extend, where
from edge.browse.found import BrowsedSource, CannotBrowse
from edge.config import GatewayConfig, load

_MANY = 4096


@dataclass(frozen=True, slots=True)
class Head:
    """What a gateway file says besides its sources."""

    gateway: str
    site: str
    instance: str
    data_dir: str
    stream: str

    def document(self) -> dict[str, Any]:
        """As the file says it."""
        return {
            "gateway": self.gateway,
            "site": self.site,
            "instance": self.instance,
            "data_dir": self.data_dir,
            "stream": {"urls": self.stream.split(",")},
        }


def whole(head: Head, found: BrowsedSource) -> str:
    """A whole gateway file with one source, each point under its value when found and what was guessed."""
    document = _commented({**head.document(), "sources": [found.source]}, found.comments)
    return _text(document)


def listing(found: BrowsedSource) -> str:
    """What was found, as comments of YAML, so that all of it can go into a file as it is."""
    lines = ["Found:", *(f"  {line}" for line in found.lines), *(f"Note: {note}" for note in found.notes)]
    return "".join(f"# {line}\n" for line in lines)


def extended(path: Path, found: BrowsedSource) -> tuple[str, Extension]:
    """The text of a gateway file that is there, with what was found and it does not read yet; nothing in it is changed.

    Raises CannotBrowse if it is no gateway file.
    """
    document = _read(path)
    assert found.source is not None
    extension = extend(document["sources"], _commented(found.source, found.comments, 4))
    return _text(document), extension


def foreign_points(path: Path, like: Mapping[str, Any]) -> tuple[str, list[str]]:
    """(site, addresses) of a gateway file: those of its sources other than the one at the address of `like`.

    Raises CannotBrowse.
    """
    document = _read(path)
    from_others = (source for source in document["sources"] if where(source) != where(like))
    return str(document.get("site", "")), [address for source in from_others for address in addresses(source)]


def write(path: Path, text: str) -> None:
    """Writes a gateway file in one step, once the gateway would take it. Raises ConfigErrors, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".yaml", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    made = Path(file.name)
    try:
        loaded(made)
        made.chmod(path.stat().st_mode if path.exists() else 0o644)
        made.replace(path)
    except ConfigErrors as errors:
        raise ConfigErrors([msgspec.structs.replace(each, file=str(path)) for each in errors.errors]) from errors
    finally:
        made.unlink(missing_ok=True)


class _Environment(dict[str, str]):
    """The environment, in which every variable is set: what stands for a secret is nobody's business here."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - as of a mapping
        return os.environ.get(name, "unset")


def loaded(path: Path) -> GatewayConfig:
    """A gateway's configuration, also where variables that it names are not set. Raises ConfigErrors."""
    return load(path, _Environment())


def _read(path: Path) -> Any:
    try:
        document = _yaml().load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise CannotBrowse(f"{path} cannot be read: {nameless(error)}") from error
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        raise CannotBrowse(f"{path} is no gateway file: it has no list of sources")
    return document


def plain(path: Path) -> Any:
    """What YAML the file holds, as plain data. Raises CannotBrowse."""
    try:
        return YAML(typ="safe").load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        raise CannotBrowse(f"it cannot be read: {nameless(error)}") from error


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _MANY
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _text(document: Any) -> str:
    out = io.StringIO()
    _yaml().dump(document, out)
    return out.getvalue()


def _commented(data: Any, comments: Mapping[str, str], column: int = 0) -> Any:
    """Plain data as YAML that can bear comments; small mappings and lists stand on one line."""
    if isinstance(data, Mapping):
        made = CommentedMap((key, _commented(value, comments, column + 2)) for key, value in data.items())
        if not any(isinstance(value, Mapping | list | tuple) for value in data.values()):
            made.fa.set_flow_style()
        return made
    if isinstance(data, list | tuple):
        items = CommentedSeq(_commented(value, comments, column + 2) for value in data)
        if not any(isinstance(value, Mapping | list | tuple) for value in data):
            items.fa.set_flow_style()
        for at, value in enumerate(data):
            if isinstance(value, Mapping) and value.get("point") in comments:
                items.yaml_set_comment_before_after_key(at, before=comments[value["point"]], indent=column)
        return items
    return data
