"""What the watch remembers over its own restarts: what stands, and what it could not tell yet."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.outbound.watching import Telling, Trouble


@dataclass(slots=True)
class Memory:
    """By place (URL): its troubles; and the messages that no channel has taken yet, oldest first."""

    standing: dict[str, dict[str, Trouble]] = field(default_factory=dict)
    untold: list[tuple[str, Telling]] = field(default_factory=list)


class BadMemory(ValueError):
    """The file is not what a watch wrote."""


def load(file: Path) -> Memory:
    """What the file has; nothing where there is none. Raises BadMemory for another's file."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except msgspec.DecodeError as error:
        raise BadMemory(f"{file} is not what a watch wrote: {error}") from error


def save(file: Path, memory: Memory) -> None:
    """Writes it whole or not at all; it outlives a loss of power."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.new")
    with beside.open("wb") as out:
        out.write(msgspec.json.encode(memory))
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
