"""Records out as tables and in again, of every declared kind that can be imported."""

import pytest

from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.record_import import importable_of
from tests.contracts.office import Office
from tests.contracts.record_desk import Desk

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
