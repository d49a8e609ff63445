"""A list of ten thousand items with some that cannot be: what is made, what is told, and by how few statements."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from core.erp.catalog import service
from core.erp.catalog.model import ProfileVersion, StorageProfile
from core.erp.kernel.permits import Role
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.tabular.report import Mode, NothingImported
from core.erp.kernel.unit import Actor, Unit, system, transact
from core.wiring import build_events
from tests.services.tabular_world import NOW, Office, csv_of

ADA = Actor("ada", frozenset({Role.ADMIN}), user_id=7)
LINES, EACH = 10_000, 200
MOST_STATEMENTS = 1200
"""A dozen for each hundred lines; one a line would be ten thousand."""


def items() -> Importable:
    found = importable_of(entities()["item"])
    assert found is not None
    return found


def run(engine: Engine, work: Any) -> Any:
    return transact(engine, system("test"), build_events(), work, NOW)


@pytest.fixture
def office(engine: Engine) -> Office:
    def begin(u: Unit) -> None:
        profile = StorageProfile(code="cold", name="Cold")
        u.session.add(profile)
        u.session.flush()
        gap = timedelta(minutes=30)
        u.session.add(ProfileVersion(profile_id=profile.id, version=1, allowed_gap=gap, created_at=NOW))

    run(engine, begin)
    return Office(engine)


def lines(count: int) -> Sequence[Sequence[str]]:
    """Of each EACH lines one has no code, and one a code that is taken."""

    def code(number: int) -> str:
        return {7: "", 107: f"TAKEN-{number}"}.get(number % EACH, f"IT-{number:05}")

    return [[code(n), f"Item {n}", "cold" if n % 2 else ""] for n in range(count)]


def test_ten_thousand_items_with_one_in_a_hundred_bad_are_made_by_few_statements(
    office: Office, engine: Engine
) -> None:
    taken = [f"TAKEN-{n}" for n in range(LINES) if n % EACH == 107]
    run(engine, lambda u: service.create_items(u, [{"code": one, "name": "there"} for one in taken]))
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    file = csv_of(["Code", "Name", "Storage profile"], *lines(LINES))
    report = office.hand_in(file, mode=Mode.GOOD, importable=items(), actor=ADA)
    assert (len(report.made), report.faults.count) == (LINES - 2 * LINES // EACH, 2 * LINES // EACH)
    assert [fault.line for fault in report.faults.listed()[:4]] == [9, 109, 209, 309]
    assert len(statements) < MOST_STATEMENTS
    with engine.connect() as conn:
        judged, audited = (
            conn.scalar(text("SELECT count(*) FROM item_profile p JOIN item i ON i.id = p.item_id AND i.code ~ '^IT'")),
            conn.scalar(text("SELECT count(*) FROM audit WHERE action = 'item.create' AND actor = 'ada'")),
        )
    assert (judged, audited) == (4950 - 50, len(report.made))


def test_who_wants_all_or_none_is_told_of_every_bad_line_and_gets_none(office: Office, engine: Engine) -> None:
    run(engine, lambda u: service.create_item(u, "TAKEN-107", "there"))
    file = csv_of(
        ["Code", "Name", "Storage profile"], *lines(EACH), ["IT-00001", "twice", ""], ["IT-X", "X", "nowhere"]
    )
    with pytest.raises(NothingImported) as told:
        office.hand_in(file, importable=items(), actor=ADA)
    found = [(one.line, one.message.id) for one in told.value.report.faults.listed()]
    assert sorted(found) == [
        (9, "tabular.empty"),
        (109, "kernel.record_there"),
        (202, "tabular.line_twice"),
        (203, "tabular.no_such_record"),
    ]
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM item")) == 1


def test_many_at_once_are_what_one_by_one_makes(engine: Engine, office: Office) -> None:
    profile = run(engine, lambda u: u.conn.scalar(text("SELECT id FROM storage_profile")))
    del office
    run(engine, lambda u: service.create_item(u, "ONE", "One", profile_id=profile, kind="material"))
    given = [{"code": "TWO", "name": "One", "profile_id": profile, "kind": "material"}]
    run(engine, lambda u: service.create_items(u, given))
    with engine.connect() as conn:
        rows = [
            {name: value for name, value in row.items() if name not in {"id", "code"}}
            for row in conn.execute(text("SELECT * FROM item ORDER BY id")).mappings()
        ]
        assert rows[0] == rows[1]
        audited = conn.execute(text("SELECT id, action FROM audit WHERE entity ^@ 'item' ORDER BY id"))
        assert [row[1] for row in audited] == ["item.create", "item_profile.create"] * 2
