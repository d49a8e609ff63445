"""What a gateway has put aside: payloads that nobody could read, from the spool's file, also while the gateway runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.telemetry.located import ConfigErrors, Located
from edge.collectors.mqtt_topics import TopicFilter
from edge.spool import FILE, kind_of

SHOWN = 200


class Aside(msgspec.Struct, frozen=True):
    """One payload: when it came, by which source and topic (node, register), why it was put aside, its first 64 KiB."""

    at: datetime
    source: str
    topic: str
    reason: str
    size: int
    payload: bytes


class AsideKind(msgspec.Struct):
    """Payloads of one source, topic and kind of reason."""

    source: str
    topic: str
    count: int
    last: Aside


def asides(folder: Path, topic: str | None = None) -> Iterator[Aside]:
    """What lies in the spool of a gateway's `data_dir`, newest first; with `topic`, what came by it (MQTT wildcards are
    understood). Raises OSError or sqlite3.Error if there is no spool, or none that can be read.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"no spool in {folder}: has the gateway run?")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT at, origin, reason, size, payload FROM aside ORDER BY id DESC")
        for at, origin, reason, size, payload in rows:
            source, _, name = origin.partition(": ")
            if topic is None or _is_of(topic, name):
                yield Aside(datetime.fromtimestamp(at / 1e6, UTC), source, name, reason, size, payload)


def kinds(found: Iterator[Aside]) -> list[AsideKind]:
    """The payloads counted by source, topic and kind of reason, the latest first."""
    counted: dict[tuple[str, str, str], AsideKind] = {}
    for one in found:
        key = (one.source, one.topic, kind_of(one.reason))
        known = counted.setdefault(key, AsideKind(one.source, one.topic, 0, one))
        known.count += 1
    return list(counted.values())


def lines(folder: Path, topic: str | None, limit: int) -> Iterator[str]:
    """For people: a line for each kind or, of one topic, each payload. Raises as `asides`."""
    if topic is None:
        counted = kinds(asides(folder))
        if not counted:
            yield "nothing was put aside"
        for kind in counted[:limit]:
            yield f"{kind.count:6d}  last {_when(kind.last)}  {kind.source}  {kind.topic}  {kind.last.reason[:SHOWN]}"
        return
    number = 0
    for number, one in enumerate(asides(folder, topic), start=1):
        if number > limit:
            yield f"… only the latest {limit}: --limit shows more"
            return
        yield f"{_when(one)}  {one.source}  {one.topic}  {one.size} bytes  {one.reason[:SHOWN]}"
        yield f"    {_shown(one.payload)}"
    if not number:
        yield f"nothing of {topic} was put aside"


def main(file: Path, topic: str | None, limit: int) -> int:
    """`lotwise edge aside FILE`: prints what the gateway put aside. 0, or 1 if there is no spool to read."""
    try:
        for line in lines(_folder(file), topic, limit):
            print(line)
    except (ConfigErrors, OSError, sqlite3.Error) as error:
        print(error)
        return 1
    return 0


def _folder(file: Path) -> Path:
    """The configuration's `data_dir`; whatever else is wrong with it, or not set, does not matter here."""
    document = Located(file)
    where = ("data_dir",)
    found = document.data.get("data_dir") if isinstance(document.data, dict) else None
    if not isinstance(found, str) or where in document.unreadable:
        document.error(where, "is required")
        raise ConfigErrors([error for error in document.errors if error.path == "data_dir"])
    return Path(found)


def _is_of(wanted: str, topic: str) -> bool:
    try:
        return wanted == topic or TopicFilter(wanted).match(topic) is not None
    except ValueError:  # no topic filter: a node id, say
        return False


def _when(one: Aside) -> str:
    return one.at.isoformat(timespec="seconds")


def _shown(payload: bytes) -> str:
    """Text as Python writes it, so that no control character reaches a terminal; else hexadecimal."""
    try:
        text = ascii(payload.decode("utf-8")) if not payload.isascii() else repr(payload.decode("ascii"))
    except UnicodeDecodeError:
        text = payload[:SHOWN].hex(" ")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
