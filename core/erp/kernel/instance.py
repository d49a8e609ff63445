"""What kind of instance an engine serves and where its files are: acts on records ask it of their connection."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

_OPTION = "lotwise_instance"


@dataclass(frozen=True, slots=True)
class Instance:
    """A `live` one judges no simulated reading. `data_dir`: the witness, the journal and attached files."""

    live: bool
    data_dir: Path


class NoInstance(RuntimeError):
    """The engine was made for something else than an app: it is not said what it serves."""


def serve(engine: Engine, instance: Instance) -> None:
    """From now on the engine's connections say so."""
    engine.update_execution_options(**{_OPTION: instance})


def instance_of(conn: Connection) -> Instance:
    """What the connection's engine serves. Raises NoInstance."""
    found = conn.get_execution_options().get(_OPTION)
    if not isinstance(found, Instance):
        raise NoInstance("nobody has said what instance the engine serves")
    return found
