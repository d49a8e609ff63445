"""Passwords: what one may be (NIST SP 800-63B, 3.1.1), how it is kept, and whether it is the right one.

Hashes are argon2id with OWASP's parameters: 19 MiB, two passes, one lane. Hashes with others are taken as they are and
made anew at the next sign-in.
"""

import unicodedata
import uuid
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.erp.kernel.errors import Invalid

MIN_LENGTH, MAX_LENGTH = 10, 256
"""Characters. The longest bounds what hashing costs; nobody remembers more."""
SERVICE = "lotwise"
COMMON_PASSWORDS = Path(__file__).with_name("common_passwords.txt")
PUNCTUATION = " !.,-_#?*+=@$"
MIN_DISTINCT_CHARACTERS = 4
"""Different characters that a password needs: `aaaaaaaaaa` and `1212121212` are what is tried first."""


@lru_cache(maxsize=1)
def hasher() -> PasswordHasher:
    """argon2id with m = 19 MiB, t = 2, p = 1 (OWASP Password Storage Cheat Sheet)."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    """A hash to check against where there is no such user, so that both answers take as long."""
    return hash_of(uuid.uuid4().hex)


@cache
def _common_passwords() -> frozenset[str]:
    lines = COMMON_PASSWORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def check_rules(password: str, *names: str) -> None:
    """Raises Invalid for what may not be a password: too short, too long, among the commonest, or made of `names`.

    No rule says what it must be composed of, and none ends it after some time: both make passwords worse.
    """
    text = _normalized(password)
    if len(text) < MIN_LENGTH:
        raise Invalid("kernel.password_too_short", least=MIN_LENGTH)
    if len(text) > MAX_LENGTH:
        raise Invalid("kernel.password_too_long", most=MAX_LENGTH)
    plain = text.casefold()
    bare = plain.strip(PUNCTUATION + "0123456789")
    if not _common_passwords().isdisjoint({plain, bare, plain.strip(PUNCTUATION)}):
        raise Invalid("kernel.password_common")
    if len(set(plain)) < MIN_DISTINCT_CHARACTERS or _is_sequence(plain):
        raise Invalid("kernel.password_pattern")
    if bare in {name.casefold() for name in (SERVICE, *names)}:
        raise Invalid("kernel.password_name")


def _is_sequence(text: str) -> bool:
    """Whether each character is the one before plus the same step: 0123456789, zyxwvutsrq."""
    steps = {ord(b) - ord(a) for a, b in pairwise(text)}
    return len(steps) == 1 and abs(steps.pop()) <= 1


def _normalized(password: str) -> str:
    """NFKC, so that the same letters typed on another keyboard are the same password (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password[: MAX_LENGTH + 1])


def _as_bytes(password: str) -> bytes:
    return _normalized(password).encode("utf-8", "surrogatepass")


def hash_of(password: str) -> str:
    """The password as it is kept."""
    return hasher().hash(_as_bytes(password))


def matches(hashed: str | None, password: str) -> bool:
    """Whether the password is the one kept. None, for nobody's, takes as long and is never right.

    What is too long to be anybody's is not hashed at all.
    """
    if len(password) > MAX_LENGTH:
        return False
    try:
        right = hasher().verify(hashed if hashed is not None else _dummy_hash(), _as_bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return right and hashed is not None


def needs_rehash(hashed: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return hasher().check_needs_rehash(hashed)
