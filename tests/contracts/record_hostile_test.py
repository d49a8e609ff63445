"""What people type that is no plain word, into every form and out again; and records of others, named in a table."""

from typing import Any

import pytest

from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.formulas import escaped
from core.erp.kernel.tabular.record_import import importable_of
from tests.contracts.office import Office
from tests.contracts.record_desk import FREE_TEXTS, Desk

CREATED = sorted(name for name, entity in entities().items() if entity.create is not None)
LINKED = sorted(
    name
    for name, entity in entities().items()
    if (found := importable_of(entity)) is not None
    and any(Desk.links(entity).get(field.name) is not None for field in found.fields)
)

# Written by hand: what is text like any other, wherever people write as they like.
KEPT = (
    '=HYPERLINK("http://example.com","click")',
    "غرفة التبريد 1 חדר 📦🧊👩‍🔬",
    "a \"b\" ; c, 'd'\n<script>alert(1)</script>",
)
HIDDEN, LONG = "\u202egnp.exe", "x" * 10_000
"""What nobody may write anywhere: it would be shown as something else, and what nobody reads."""


@pytest.mark.parametrize("name", CREATED)
def test_what_people_write_is_kept_and_exported_as_it_stands(office: Office, name: str) -> None:
    desk, fields = Desk(office, entities()[name], "hostile"), FREE_TEXTS[name]
    for number, text in enumerate(KEPT if fields else ()):
        record_id = desk.make(**dict.fromkeys(fields, text), **desk.another(number))
        record = office.shown(desk.reader, desk.entity, record_id)
        assert {field: record[field] for field in fields if field in record} == dict.fromkeys(fields, text)
        line = desk.exported(record_id)
        assert {line[field] for field in fields if field in line} == {escaped(text)}


@pytest.mark.parametrize("name", CREATED)
def test_what_nobody_can_read_is_refused_in_words(office: Office, name: str) -> None:
    desk = Desk(office, entities()[name], "unread")
    for field in FREE_TEXTS[name]:
        for text in (HIDDEN, LONG):
            answer = desk.try_to_make(**{field: text})
            assert answer.status_code == 422, (field, answer.text[:300])
            assert text not in answer.text


@pytest.mark.parametrize("name", LINKED)
def test_records_of_others_are_named_in_a_table_as_records_that_are_not_there(office: Office, name: str) -> None:
    desk = Desk(office, entities()[name], "others")
    before, (heads, names) = desk.exported(desk.make()), desk.template()
    own = desk.line_like(before, names)
    elsewhere = Desk(office, entities()[name], "elsewhere")
    told: list[tuple[str, Any]] = []
    for place, field in enumerate(names):
        kind = Desk.links(desk.entity).get(field)
        if kind is None or kind in desk.sees_all_of:
            continue
        foreign = str(office.rows.linked(kind, elsewhere.place))
        if entities()[kind].label != "id":
            foreign = str(office.shown(elsewhere.reader, entities()[kind], int(foreign))[entities()[kind].label])
        faults = []
        for called in (foreign, "987654321"):
            line = [called if index == place else cell for index, cell in enumerate(own)]
            report = desk.report(heads, line, dry_run=True)
            faults.append([(one["line"], one["id"], one["detail"].replace(called, "#")) for one in report["faults"]])
        if not faults[0] or faults[0] != faults[1]:
            told.append((field, faults))
    assert told == []
