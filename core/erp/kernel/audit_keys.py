"""The keys of the audit trail: each row and each seal carries an HMAC that nobody can make who has only the database.

The application holds the keys, PostgreSQL never sees one. A row's HMAC (RFC 2104, SHA-256) is taken over its columns
as PostgreSQL itself writes them as JSON, so that a million rows are checked without being taken apart.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Connection, Engine, create_engine

MIN_KEY_LENGTH = 32
ENGINE_OPTION = "audit_keys"
"""Under which execution option an engine carries its keys."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

MESSAGE_SQL = (
    "convert_to(jsonb_build_array(a.nonce, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, a.entity,"
    " a.entity_id, a.before, a.after, a.reason)::text, 'UTF8')"
)
"""What an audit row's HMAC is over, as PostgreSQL says it of a row `a`; `message` says the same."""


class NoAuditKey(RuntimeError):
    """An engine was opened without audit keys: nothing that is audited can be written through it."""


@dataclass(frozen=True, slots=True, repr=False)
class AuditKeys:
    """The key that is signed with, and all those that verify, by id."""

    current: str
    by_id: Mapping[str, bytes]

    def sign(self, message: bytes) -> bytes:
        """The HMAC under the current key, 32 bytes."""
        return hmac.digest(self.by_id[self.current], message, "sha256")

    def verifies(self, key_id: str, message: bytes, mac: bytes) -> bool:
        """Whether the message bears that HMAC; False for a key that nobody here has."""
        key = self.by_id.get(key_id)
        return key is not None and hmac.compare_digest(hmac.digest(key, message, "sha256"), mac)


def key_id(key: str) -> str:
    """By what a row names its key: the first 8 bytes of the key's SHA-256, as hex."""
    return hashlib.sha256(b"lotwise audit key:" + key.encode()).hexdigest()[:16]


def audit_keys(current: str, old: Iterable[str] = ()) -> AuditKeys:
    """Keys from their texts. Raises ValueError for one shorter than MIN_KEY_LENGTH characters."""
    keys = {}
    for key in (current, *old):
        if len(key) < MIN_KEY_LENGTH:
            raise ValueError(f"an audit key needs at least {MIN_KEY_LENGTH} characters")
        keys[key_id(key)] = key.encode()
    return AuditKeys(key_id(current), keys)


def open_engine(url: str, keys: AuditKeys | None, **pool: Any) -> Engine:
    """An engine whose units can write audit rows, or only read without keys; `pool` is what create_engine takes.

    Values never go into an error's text.
    """
    return create_engine(url, execution_options={ENGINE_OPTION: keys}, hide_parameters=True, **pool)


def keys_of(conn: Connection) -> AuditKeys:
    """The keys that the connection's engine was opened with. Raises NoAuditKey."""
    keys = conn.get_execution_options().get(ENGINE_OPTION)
    if not isinstance(keys, AuditKeys):
        raise NoAuditKey("its engine was made without `open_engine`: an audit row is to be written")
    return keys


def nonce() -> int:
    """63 random bits by which two rows of one content differ: a row that is there twice was copied."""
    return secrets.randbits(63)


def message(row: Mapping[str, Any]) -> bytes:
    """What a row's HMAC is over; its values as `plain` leaves them, its time a datetime. See MESSAGE_SQL."""
    micros = (row["at"] - _EPOCH) // _MICROSECOND
    names = ("actor", "action", "entity", "entity_id", "before", "after", "reason")
    return _jsonb([row["nonce"], micros, *(row[name] for name in names)]).encode()


def _key_order(key: str) -> tuple[int, bytes]:
    raw = key.encode()
    return len(raw), raw


def _jsonb(value: Any) -> str:
    """JSON as PostgreSQL writes a jsonb: keys by length, then bytes; numbers without exponent."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        keys = sorted(value, key=_key_order)
        return "{" + ", ".join(f"{encode_basestring(key)}: {_jsonb(value[key])}" for key in keys) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_jsonb(item) for item in value) + "]"
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else repr(int(value))
