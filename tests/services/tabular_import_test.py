"""Imports on a real PostgreSQL: tried and done, all or the good lines, once, remembered, and undone."""

import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from xlsxwriter import Workbook

from core.erp.kernel.errors import Conflict, LotwiseError, NotFound, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.tabular import reading
from core.erp.kernel.tabular.faults import SHOWN
from core.erp.kernel.tabular.importable import Importable, audited_since
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.report import Mode, NothingImported, Report
from core.erp.kernel.unit import Actor, transact
from core.telemetry.readers.date_formats import DateOrder
from tests.services.tabular_world import (
    FIELDS,
    NOW,
    PAT,
    RECEIVED,
    Office,
    create,
    csv_of,
    large,
    make_table,
    moved,
    said_of,
    suppliers,
    withdraw,
    xlsx_of,
)

HEAD = ["Code", "Name", "Amount", "Supplier"]
GOOD = csv_of(HEAD, ["A-1", "Saline", "5", "ALP"], ["A-2", "Glucose", "7", ""])
MIXED = csv_of(
    HEAD,
    ["A-1", "Saline", "5", "ALP"],
    ["A-2", "", "x", ""],  # two faults on one line
    ["A-1", "Again", "5", ""],  # the code of line 2
    ["A-4", "forbidden", "5", ""],  # refused by the entity
    ["A-5", "Nobody's", "5", "ZZZ"],  # a supplier that nobody has
    ["A-6", "Nothing", "-1", ""],  # refused by the database
    ["A-7", "Glucose", "7", ""],
)
MIXED_FAULTS = [
    (3, "Name", "empty"),
    (3, "Amount", "no_number"),
    (4, "", "line_twice"),
    (5, "Name", "kernel.cursor_invalid"),
    (6, "Supplier", "no_such_choice"),
    (7, "", "kernel.value_rule_broken"),
]


@pytest.fixture
def office(engine: Engine, owner: Engine) -> Office:
    make_table(owner)
    return Office(engine)


def refused(office: Office, *args: object, **more: object) -> Any:
    with pytest.raises(LotwiseError) as caught:
        office.hand_in(*args, **more)  # type: ignore[arg-type]  # handed on as they came
    return caught.value


def id_of(error: LotwiseError) -> str:
    assert error.message is not None
    return error.message.id.removeprefix("tabular.")


def count(engine: Engine, what: str) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())


# --- all, or the good lines


def test_a_good_file_makes_its_records_and_is_one_record_itself(office: Office) -> None:
    report = office.hand_in(GOOD)
    assert office.rows("code, name, supplier_id") == [("A-1", "Saline", 5), ("A-2", "Glucose", None)]
    with office.engine.connect() as conn:
        run = conn.execute(text("SELECT * FROM import_run")).one()
        lines = conn.execute(text("SELECT line, record_id FROM import_line ORDER BY line")).all()
        audit = conn.execute(text("SELECT actor, after FROM audit WHERE action = 'import.run'")).one()
    assert (run.id, run.by, run.file, run.mode, run.lines, run.made, run.bad) == (
        report.run_id,
        "pat",
        "goods.csv",
        "all",
        2,
        2,
        0,
    )
    assert run.sha256.hex() == report.table.found.sha256
    assert run.mapping["columns"] == {"Code": "code", "Name": "name", "Amount": "amount", "Supplier": "supplier"}
    assert [tuple(line) for line in lines] == [(made.line, made.id) for made in report.made] == [(2, 1), (3, 2)]
    assert (audit.actor, audit.after["made"]) == ("pat", 2)


def test_all_or_nothing_makes_nothing_of_a_file_with_faults_and_names_each(office: Office) -> None:
    error = refused(office, MIXED)
    assert isinstance(error, NothingImported)
    assert (id_of(error), error.extra["count"]) == ("nothing_imported", 6)
    assert said_of(error.report) == MIXED_FAULTS
    assert office.rows() == []
    assert (count(office.engine, "import_run"), count(office.engine, "audit")) == (0, 0)


def test_good_rows_only_makes_those_and_keeps_what_was_wrong_with_the_others(office: Office) -> None:
    report = office.hand_in(MIXED, mode=Mode.GOOD)
    assert [row[0] for row in office.rows()] == ["A-1", "A-7"]
    assert (report.lines, len(report.made), report.bad) == (7, 2, 5)
    assert said_of(report) == MIXED_FAULTS
    with office.engine.connect() as conn:
        faults = conn.execute(text("SELECT faults FROM import_run")).scalar_one()
        audited = conn.execute(text("SELECT count(*) FROM audit WHERE entity = 'received'")).scalar()
    assert [(one["line"], one["column"]) for one in faults] == [(line, column) for line, column, _ in MIXED_FAULTS]
    assert faults[0]["id"] == "tabular.empty"
    assert audited == 2  # none of lines that were undone


def test_a_file_without_one_good_line_makes_no_record_of_itself(office: Office) -> None:
    error = refused(office, csv_of(HEAD, ["A-1", "", "", ""]), mode=Mode.GOOD)
    assert id_of(error) == "nothing_imported"
    assert count(office.engine, "import_run") == 0


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("data", [GOOD, MIXED])
def test_a_trial_says_what_a_real_run_does_and_keeps_nothing(office: Office, data: str, mode: Mode) -> None:
    def outcome(report: Report) -> tuple[object, ...]:
        lines = [made.line for made in report.made]
        return report.refused, report.lines, lines, said_of(report), report.mapping, report.settled.notes

    tried = office.hand_in(data, mode=mode, dry_run=True)
    assert office.rows() == []
    assert (count(office.engine, "import_run"), count(office.engine, "audit")) == (0, 0)
    try:
        done = office.hand_in(data, mode=mode)
    except NothingImported as error:
        done = error.report
    assert outcome(tried) == outcome(done)
    assert bool(office.rows()) is not tried.refused


def test_a_record_that_was_there_before_is_told_on_its_line(office: Office) -> None:
    office.hand_in(GOOD)
    report = office.hand_in(csv_of(HEAD[:2], ["A-9", "New"], ["A-2", "There"]), mode=Mode.GOOD)
    assert said_of(report) == [(3, "", "kernel.there_already")]
    assert [row[0] for row in office.rows()] == ["A-1", "A-2", "A-9"]


def test_a_file_whose_columns_are_not_known_makes_nothing_in_either_mode(office: Office) -> None:
    data = csv_of(["Code", "Name", "Colour"], ["A-1", "Saline", "red"])
    for mode in Mode:
        error = refused(office, data, mode=mode)
        assert said_of(error.report) == [(1, "Colour", "unknown_heading")]
    assert said_of(office.hand_in(csv_of(["Code", "Name"]), dry_run=True)) == [(1, "", "no_lines")]
    twice = csv_of(["Code", "Name"], ["A-1", "Saline", "", "spill"])
    assert said_of(office.hand_in(twice, dry_run=True)) == [(2, "", "cell_without_heading")]


def test_a_fault_of_the_database_that_is_nobodys_line_undoes_all(office: Office) -> None:
    def dies(u: object, line: object) -> int:
        made = create(u, line)  # type: ignore[arg-type]  # handed on as they came
        if made == 2:
            u.conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))  # type: ignore[attr-defined]  # a unit
        return made

    entity = Importable("received", FIELDS, dies, ("code",), suppliers)
    with pytest.raises(DBAPIError):
        office.hand_in(GOOD, mode=Mode.GOOD, importable=entity)
    assert office.rows() == []


# --- mapping and remembering


def test_a_mapping_is_remembered_for_the_same_headings_whatever_their_order(office: Office) -> None:
    said = Mapping(columns={"Artikel": "code", "Bezeichnung": "name", "Farbe": None}, date_order=DateOrder.DMY)
    first = csv_of(["Artikel", "Bezeichnung", "Farbe", "Expiry"], ["A-1", "Saline", "red", "03/04/2027"])
    second = csv_of(["Farbe", "BEZEICHNUNG", "artikel", "Expiry"], ["blue", "Glucose", "A-2", "05/06/2027"])
    assert said_of(office.hand_in(second, dry_run=True))
    office.hand_in(first, said)
    report = office.hand_in(second, actor=Actor("quinn", frozenset(), user_id=8))
    assert report.remembered is not None
    assert (report.remembered.by, report.remembered.mapping) == ("pat", said)
    assert [(str(day), code) for code, day in office.rows("code, expiry")] == [
        ("2027-04-03", "A-1"),
        ("2027-06-05", "A-2"),
    ]
    # what is said now goes before what was said then, and is remembered in its place
    third = second.replace("A-2", "A-3")
    office.hand_in(third, Mapping(date_order=DateOrder.MDY))
    assert str(office.rows("expiry")[2][0]) == "2027-05-06"
    assert office.hand_in(second.replace("A-2", "A-4")).mapping.date_order is DateOrder.MDY


def test_a_trial_remembers_nothing(office: Office) -> None:
    data = csv_of(["Artikel", "Name"], ["A-1", "Saline"])
    assert not office.hand_in(data, Mapping(columns={"Artikel": "code"}), dry_run=True).refused
    assert office.hand_in(data, dry_run=True).refused


def test_fields_without_a_column_are_told(office: Office) -> None:
    report = office.hand_in(GOOD, dry_run=True)
    assert report.missing(RECEIVED) == ["count", "expiry", "at", "cold", "state"]


def test_a_workbook_is_imported_with_its_types(office: Office) -> None:
    data = xlsx_of(["编码", "名称", "数量", "件数"], [1001, "生理盐水", 5.25, 3], ["A-2", "葡萄糖", "7", None])
    report = office.hand_in(data, name="货物.xlsx")
    assert office.rows("code, name, amount::float, count") == [
        ("1001", "生理盐水", 5.25, 3),
        ("A-2", "葡萄糖", 7.0, None),
    ]
    assert [note.id for note in report.settled.notes] == ["tabular.numbers_as_text"]


def test_merged_cells_are_refused(office: Office) -> None:
    out = io.BytesIO()
    with Workbook(out) as book:
        page = book.add_worksheet()
        page.merge_range("A1:B1", "Suppliers")  # a title above is none of the table
        page.write_row(1, 0, ["Code", "Name"])
        page.merge_range("A3:A4", "A-1")
        page.write(2, 1, "Saline")
        page.write(3, 1, "Glucose")
    report = office.hand_in(out.getvalue(), dry_run=True)
    assert (3, "", "merged_cells") in said_of(report)
    assert report.head.line == 2


# --- once


def test_the_same_file_is_imported_once_also_when_it_is_only_tried(office: Office) -> None:
    report = office.hand_in(GOOD)
    for dry_run in (False, True):
        error = refused(office, GOOD, name="again.csv", dry_run=dry_run)
        assert isinstance(error, Conflict)
        assert (id_of(error), error.extra["run_id"], error.extra["by"], error.extra["file"]) == (
            "already_imported",
            report.run_id,
            "pat",
            "goods.csv",
        )
    assert len(office.rows()) == 2
    # read otherwise it is another import, whose lines tell for themselves that they were there
    other = refused(office, GOOD, Mapping(columns={"Supplier": None}))
    assert said_of(other.report) == [(2, "", "kernel.there_already"), (3, "", "kernel.there_already")]


def test_two_who_hand_in_the_same_file_at_once_import_it_once(office: Office) -> None:
    outcomes: list[str] = []

    def hand_in() -> None:
        try:
            office.hand_in(large(300, 0), Mapping(decimal="."))
            outcomes.append("done")
        except Conflict as error:
            outcomes.append(id_of(error))

    threads = [threading.Thread(target=hand_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_imported"] * 3 + ["done"]
    assert len(office.rows()) == 300


# --- undone


def test_an_import_is_undone_as_a_whole_and_may_be_done_again(office: Office) -> None:
    run_id = office.hand_in(GOOD).run_id
    assert run_id is not None
    office.undo(run_id)
    assert office.rows("code, withdrawn") == [("A-1", "wrong supplier"), ("A-2", "wrong supplier")]
    with office.engine.connect() as conn:
        run = conn.execute(text("SELECT undone_by, undo_reason FROM import_run")).one()
        audit = conn.execute(text("SELECT reason, after FROM audit WHERE action = 'import.undo'")).one()
    assert tuple(run) == ("pat", "wrong supplier")
    assert (audit.reason, audit.after) == ("wrong supplier", {"undone": 2})
    with pytest.raises(Conflict, match="undone before"):
        office.undo(run_id)
    error = refused(office, GOOD)  # it is no longer the same import; but its records are still there
    assert [why for _, _, why in said_of(error.report)] == ["kernel.there_already"] * 2


def test_nothing_is_undone_once_something_has_moved(office: Office) -> None:
    run_id = office.hand_in(GOOD).run_id
    assert run_id is not None
    with office.engine.begin() as conn:
        conn.execute(text("UPDATE received SET state = 'released' WHERE code = 'A-2'"))
    with pytest.raises(Refused, match="1 records have gone on since they were imported, nothing was undone: A-2"):
        office.undo(run_id)
    assert office.rows("withdrawn") == [(None,), (None,)]


def test_what_cannot_be_taken_back_or_is_not_there_is_not_undone(office: Office) -> None:
    run_id = office.hand_in(GOOD).run_id
    assert run_id is not None
    fixed = Importable("received", FIELDS, create, ("code",), suppliers)
    with pytest.raises(Refused, match="not taken back"):
        office.undo(run_id, fixed)
    with pytest.raises(NotFound):
        office.undo(run_id + 1)
    other = Importable("other", FIELDS, create, ("code",), suppliers, withdraw, moved)
    with pytest.raises(NotFound):
        office.undo(run_id, other)


def test_what_was_done_since_is_seen_in_the_audit_trail(office: Office) -> None:
    def by_trail(u: object, ids: object, since: object) -> dict[int, str]:
        return audited_since(u, "received", ids, since)  # type: ignore[arg-type]  # handed on as they came

    entity = Importable("received", FIELDS, create, ("code",), suppliers, withdraw, by_trail)
    run_id = office.hand_in(GOOD, importable=entity).run_id
    assert run_id is not None
    transact(office.engine, PAT, Events(), lambda u: u.audit("received.change", "received", 2), NOW.replace(hour=18))
    with pytest.raises(Refused, match="undone: 2"):
        office.undo(run_id, entity)


def test_the_database_lets_a_run_be_undone_once_and_its_lines_never_change(office: Office, owner: Engine) -> None:
    run_id = office.hand_in(GOOD).run_id
    assert run_id is not None
    office.undo(run_id)
    with owner.begin() as conn:
        conn.execute(text("INSERT INTO import_mapping VALUES ('x', '\\x00', '{}', now(), 'x')"))
    for statement in (
        "UPDATE import_run SET undone_by = 'x'",
        "UPDATE import_line SET record_id = 1",
        "DELETE FROM import_run",
        "DELETE FROM import_line",
        "DELETE FROM import_mapping",
    ):
        with pytest.raises(DBAPIError, match="forbidden"):
            run(owner, statement)


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as conn:
        conn.execute(text(statement))


# --- large, and hostile


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_ten_thousand_lines_of_which_one_in_a_hundred_is_bad(office: Office) -> None:
    data, said = large(10_000, 100), Mapping(decimal=".")
    office.hand_in(large(200, 2), said, dry_run=True)
    before, begun = memory(), time.monotonic()
    report = office.hand_in(data, said, mode=Mode.GOOD)
    took = time.monotonic() - begun
    assert (report.lines, len(report.made), report.faults.count) == (10_000, 9_900, 100)
    assert sorted({why for _, _, why in said_of(report)}) == [
        "empty",
        "kernel.cursor_invalid",
        "kernel.value_rule_broken",
        "no_date",
        "no_number",
    ]
    assert len(office.rows()) == 9_900
    assert memory() - before < 64 * 1024 * 1024
    assert took < 60, f"{took:.1f} s"  # about 3 s on a machine that does nothing else


def test_no_more_faults_are_told_than_anybody_reads(office: Office) -> None:
    report = office.hand_in(large(3_000, 2_000), Mapping(decimal="."), mode=Mode.GOOD, dry_run=True)
    assert (report.faults.count, len(report.faults.listed()), len(report.made)) == (2_000, SHOWN, 1_000)


def test_a_file_that_takes_too_long_or_too_much_memory_is_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.01)
    assert id_of(refused(office, GOOD)) == "takes_too_long"
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MEMORY", 64 * 1024 * 1024)
    assert id_of(refused(office, "Code,Name\n" + "x,y\n" * 5_000_000)) == "takes_too_much"
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    assert id_of(refused(office, GOOD)) == "too_large"


def test_text_that_would_be_sql_or_a_formula_is_text(office: Office) -> None:
    hostile = ["'); DROP TABLE received; --", "=cmd|' /C calc'!A0", "{name}", "%s %(x)s :name"]
    office.hand_in(csv_of(["Code", "Name"], *([f"H-{n}", name] for n, name in enumerate(hostile))))
    assert [row[0] for row in office.rows("name")] == hostile
