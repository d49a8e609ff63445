"""The audit key of the tests' databases, and engines that sign with it."""

from typing import Any

from sqlalchemy import Engine

from core.erp.kernel.audit_keys import audit_keys, open_engine

AUDIT_KEY = "the-audit-key-of-the-tests-own-databases"
KEYS = audit_keys(AUDIT_KEY)


def opened(url: str, **pool: Any) -> Engine:
    """An engine on a test's database."""
    return open_engine(url, KEYS, **pool)
