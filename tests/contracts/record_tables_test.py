"""Records out as tables and in again, of every declared kind that can be imported."""

import pytest

from core.erp.kernel.permits import declared
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.record_import import importable_of
from tests.contracts.office import ABSENT, Office
from tests.contracts.record_desk import Desk
from tests.contracts.record_rows import FOREIGN, SEEN_BY_ALL_INSIDE

IMPORTED = sorted(name for name, entity in entities().items() if importable_of(entity) is not None)

# Written by hand: what is done with the first, since there may be one only.
FIRST: dict[str, str] = {"calibration_plan": "withdraw"}


@pytest.mark.parametrize("name", IMPORTED)
def test_what_is_exported_is_imported_the_same(office: Office, name: str) -> None:
    desk = Desk(office, entities()[name], "again")
    first = desk.make()
    before = desk.exported(first)
    if name in FIRST:
        assert desk.ask("POST", f"/{first}/{FIRST[name]}", json={"reason": "another"}).status_code == 200
    heads, names = desk.template()
    line = desk.line_like(before, names)
    tried = desk.hand_in(heads, line, dry_run=True)
    assert tried["run_id"] is None
    done = desk.hand_in(heads, line, dry_run=False)
    (made,) = desk.records_of(done["run_id"])
    after = desk.exported(made)
    told = [one for one in names if one in before]
    assert told
    assert [desk.called(one, after[one]) for one in told] == [line[names.index(one)] for one in told]
    desk.undo(done["run_id"], made)


def naming(name: str) -> dict[str, str]:
    """The fields of an import that call records which not everybody sees, and their kinds."""
    importable = importable_of(entities()[name])
    fields = {field.name for field in importable.fields} if importable is not None else set()
    links = Desk.links(entities()[name]).items()
    return {field: kind for field, kind in links if kind is not None and field in fields} if fields else {}


@pytest.mark.parametrize("name", [name for name in IMPORTED if set(naming(name).values()) - SEEN_BY_ALL_INSIDE])
def test_an_import_names_nothing_that_its_maker_may_not_know_of(office: Office, name: str) -> None:
    """What a line calls by a foreign record's name is told as what nothing is called."""
    desk = Desk(office, entities()[name], "stranger")
    before = desk.exported(desk.make())
    heads, names = desk.template()
    line = desk.line_like(before, names)
    for field, kind in naming(name).items():
        if kind in desk.sees_all_of:
            continue
        linked = entities()[kind]
        foreign = office.rows.linked(kind, FOREIGN)
        theirs = office.person(f"theirs-{name}-{field}", *declared(), place=FOREIGN)
        called = str(office.shown(theirs, linked, foreign)[linked.label])
        for value in (called, str(ABSENT)):
            given = [value if one == field else cell for one, cell in zip(names, line, strict=True)]
            report = desk.report(heads, given, dry_run=True)
            assert (report["made"], report["faults"][0]["id"]) == (0, "tabular.no_such_record"), (field, report)
