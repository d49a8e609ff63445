"""What may be a password, by NIST SP 800-63B: length, and not what is tried first; nothing about its composition."""

import time
from collections.abc import Iterator

import pytest

from core.erp.kernel import passwords
from core.erp.kernel.errors import Invalid

DEAR = passwords.hasher
"""As it is outside of tests."""


@pytest.fixture(autouse=True)
def dear_passwords(cheap_passwords: None) -> Iterator[None]:
    """What others save on is the subject here."""
    del cheap_passwords
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "hasher", DEAR)
        yield


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "ninechars",
        "qwertyuiop",
        "1234567890",
        "PASSWORD123",
        "password123!",
        "aaaaaaaaaaaa",
        "ababababababab",
        "abcdefghijkl",
        "9876543210",
        "lotwise2026!",
        "quinn-the-first1",
        "x" * 257,
        "y" * 1_000_000,
    ],
)
def test_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.check_rules(password, "quinn", "Quinn-the-first")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "vier Wörter ohne Sinn",
        "冷藏车四号门钥匙在哪里",
        "all lower case without any digit",
        "z8#Kq!m2Lp",
        "ab" + "cdefghij" * 31,
    ],
)
def test_allowed(password: str) -> None:
    passwords.check_rules(password, "quinn", "Quinn")


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    kept = passwords.hash_of("Ångström-ﬁnder 12")
    assert "m=19456,t=2,p=1" in kept
    assert passwords.matches(kept, "Ångström-finder 12")
    assert not passwords.matches(kept, "Ångström-finder 13")
    assert not passwords.matches(None, "anything at all")


def test_a_megabyte_is_not_hashed_and_no_text_breaks_the_check() -> None:
    kept, began = passwords.hash_of("correct horse battery"), time.process_time()
    for odd in ("a" * 1_000_000, "\ud800 lone surrogate", "nul \0 inside", ""):
        assert not passwords.matches(kept, odd)
    assert time.process_time() - began < 5


def test_hashes_of_other_cost_are_outdated() -> None:
    assert passwords.needs_rehash("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b7dWRWJTmaaJObG")
    assert not passwords.needs_rehash(passwords.hash_of("correct horse battery"))
