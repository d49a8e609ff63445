"""The kernel's pure parts: canonical records, permits, settings, cursors, life cycles."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.erp.kernel.errors import Invalid
from core.erp.kernel.http import Duration, decode_cursor, encode_cursor
from core.erp.kernel.permits import Role, permits_of
from core.erp.kernel.unit import Actor, canonical, json_value, record_hash, system
from core.erp.lots.workflow import SUBLOT
from core.settings import Settings

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(),
    st.text(),
    st.binary(max_size=8),
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(allow_nan=False, allow_infinity=False, places=4),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_a_record_keeps_its_hash_through_json(record: dict[str, Any]) -> None:
    back = json.loads(json.dumps(json_value(record), allow_nan=False))
    assert record_hash(back) == record_hash(record)


def test_the_order_of_keys_and_the_way_of_writing_do_not_matter() -> None:
    assert canonical({"a": 1, "b": Decimal("1.50")}) == canonical({"b": Decimal("1.5"), "a": 1.0})
    berlin = datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert canonical({"t": berlin}) == canonical({"t": datetime(2026, 1, 1, 12, tzinfo=UTC)})
    assert record_hash({"a": "1"}) != record_hash({"a": 1})


# Written by hand (design, rule 6, and the roles' separation): who may never do what.
NEVER = [
    (Role.ADMIN, "excursion.disposition"),
    (Role.ADMIN, "batch.release"),
    (Role.ADMIN, "hold.place"),
    (Role.ADMIN, "hold.lift"),
    (Role.ADMIN, "lot.disposition"),
    (Role.QA, "batch.release"),
    (Role.RESPONSIBLE_PERSON, "excursion.disposition"),
    (Role.WAREHOUSE, "hold.lift"),
    (Role.WAREHOUSE, "batch.release"),
    (Role.LOGISTICS, "hold.lift"),
    (Role.PLANNER, "hold.lift"),
    (Role.PLANT_ENGINEER, "hold.lift"),
    (Role.BUYER, "stock.move"),
    (Role.TESTER, "stock.move"),
    (Role.TESTER, "hold.lift"),
    (Role.DISPLAY, "alarm.acknowledge"),
    (Role.DISPLAY, "fact.post"),
    (Role.DISPLAY, "audit.read"),
    (Role.QA, "user.manage"),
    (Role.QA, "shipment.dispatch"),
    (Role.LOGISTICS, "stock.pick"),
    (Role.WAREHOUSE, "shipment.dispatch"),
    (Role.PLANNER, "lot.disposition"),
    (Role.PLANT_ENGINEER, "lot.restrict"),
    (Role.RESPONSIBLE_PERSON, "hold.lift"),
    (Role.ADMIN, "rescue"),
    (Role.ADMIN, "fact.post"),
    (Role.ADMIN, "lot.restrict"),
    (Role.ADMIN, "excursion.assess"),
    (Role.ADMIN, "logger.waive"),
    (Role.ADMIN, "epoch.close"),
    (Role.ADMIN, "calibration.record"),
]


@pytest.mark.parametrize(("role", "permit"), NEVER)
def test_who_may_never(role: Role, permit: str) -> None:
    assert not Actor("x", frozenset({role})).may(permit)


def test_permits_add_up() -> None:
    assert permits_of(frozenset({Role.QA, Role.WAREHOUSE})) == permits_of(frozenset({Role.QA})) | permits_of(
        frozenset({Role.WAREHOUSE})
    )
    assert not Actor("nobody").may("stock.read")
    assert system("judge").may("anything")


def test_settings_refuse_placeholders_and_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("LOTWISE_SECRET_KEY", "change-me"),
        ("LOTWISE_SECRET_KEY", "change-me-please-" + "x" * 40),
        ("LOTWISE_DATABASE_URL", "mysql://x"),
        ("LOTWISE_DATABASE_URL", "postgresql://a:change-me@h/d"),
        ("LOTWISE_INSTANCE", "prod"),
        ("LOTWISE_TOKEN_MINUTES", "600"),
        ("LOTWISE_INFLUX_TOKEN", "change-me"),
    ):
        with monkeypatch.context() as m:
            m.setenv(name, value)
            with pytest.raises(ValidationError):
                Settings()
    assert Settings().instance == "live", "nothing said is the careful one"
    with pytest.raises(ValueError, match="LOTWISE_SECRET_KEY"):
        Settings().signing_key()
    monkeypatch.setenv("LOTWISE_SECRET_KEY", "short")
    with pytest.raises(ValueError, match="32"):
        Settings().signing_key()
    monkeypatch.setenv("LOTWISE_DATABASE_URL", "postgres://u:p@h/d")
    assert Settings().database_url == "postgresql+psycopg://u:p@h/d"


@given(st.integers(0, 2**63 - 1))
def test_cursors_come_back(number: int) -> None:
    assert decode_cursor(encode_cursor(number)) == number


@given(st.text(max_size=30))
def test_other_texts_are_no_cursors(text: str) -> None:
    try:
        number = decode_cursor(text)
    except Invalid:
        return
    assert 0 <= number < 2**63


def test_the_life_cycle_of_a_sublot_is_the_one_of_the_design() -> None:
    pairs = {(source, move.target) for move in SUBLOT.moves.values() for source in move.sources}
    assert pairs == {
        ("expected", "quarantine"),
        ("quarantine", "released"),
        ("quarantine", "rejected"),
        ("released", "quarantine"),
        ("released", "rejected"),
        ("rejected", "reworked"),
        ("rejected", "returned"),
        ("rejected", "destroyed"),
    }
    assert SUBLOT.moves["release"].permit == "batch.release"
    assert (SUBLOT.moves["reject"].permit, SUBLOT.moves["reject"].reasoned) == ("lot.disposition", True)
    assert "quarantine --> released: release" in SUBLOT.diagram()


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(minutes=30), "PT30M"),
        (timedelta(days=730), "P730D"),
        (timedelta(days=1, hours=2, seconds=3), "P1DT2H3S"),
        (timedelta(seconds=90, milliseconds=500), "PT1M30.5S"),
        (timedelta(minutes=-5), "-PT5M"),
        (timedelta(microseconds=1), "PT0.000001S"),
        (timedelta(days=3660, seconds=59.25), "P3660DT59.25S"),
    ],
)
def test_lengths_of_time_are_said_in_days_at_most_and_read_back(length: timedelta, said: str) -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.dump_python(length, mode="json") == said
    assert adapter.validate_python(said) == length
