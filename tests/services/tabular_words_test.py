"""What is told of the lines of a table that are refused: in the reader's words, and never a password."""

import pytest
from sqlalchemy import Engine, text

from tests.services.tabular_routes_test import Desk, desks
from tests.services.tabular_world import csv_of

__all__ = ["desks"]
SECRET = "Tr0ub4dor-und-Kaffee"


@pytest.fixture
def ada(desks: dict[str, Desk]) -> Desk:
    return desks["ada"]


@pytest.mark.parametrize(
    "cell",
    [f"{SECRET}\u200b", f"{SECRET}\u202e", SECRET + "x" * 5000, f"short{SECRET[:2]}", f"{SECRET}\x07"],
    ids=["hidden", "turned", "long", "short", "control"],
)
@pytest.mark.parametrize("mode", ["good", "all"])
def test_no_password_of_a_refused_line_is_told_or_kept(ada: Desk, engine: Engine, cell: str, mode: str) -> None:
    head = ["Login", "Name", "Password", "Roles"]
    lines = (["wes", "Wes", cell, "warehouse"], ["will", "Will", SECRET, "warehouse"])
    report = ada.hand_in(csv_of(head, *lines), 201 if mode == "good" else 422, of="users", mode=mode)
    assert {one["line"] for one in report["faults"]} == {2}
    kept = [str(report), ada.get("/import-runs").text]
    with engine.connect() as conn:
        kept += [str(row) for row in conn.execute(text("SELECT * FROM import_run")).all()]
        kept += [str(row) for row in conn.execute(text("SELECT before, after, reason FROM audit")).all()]
    assert not any(cell[:6] in one for one in kept)


def test_a_password_beside_its_column_is_not_told_either(ada: Desk) -> None:
    data = csv_of(["Login", "Name", "Password", "Roles"], ["wes", "Wes", "x" * 12, "warehouse", SECRET])
    report = ada.hand_in(data, 422, of="users")
    assert "tabular.cell_without_heading" in {one["id"] for one in report["faults"]}
    assert SECRET not in str(report)


def test_what_is_wrong_with_a_line_is_said_in_chinese_and_all_of_it(ada: Desk) -> None:
    data = csv_of(["Login", "Name", "Password", "Roles"], ["bad login!", "Wes", "x", "warehouse;" * 101])
    problem = ada.hand_in(data, 422, of="users", headers={"Accept-Language": "zh-CN"})
    told = {one["column"]: one["detail"] for one in problem["faults"]}
    assert set(told) == {"Login", "Roles"}
    assert not any("should" in one or "String" in one or "error" in one for one in told.values()), told


def test_a_day_that_cannot_be_meant_is_said_in_chinese(ada: Desk) -> None:
    data = csv_of(["Kind", "Title", "Due (UTC)"], ["other", "x", "1970-01-01 00:00:00"])
    problem = ada.hand_in(data, 422, of="tasks", headers={"Accept-Language": "zh-CN"})
    details = [one["detail"] for one in problem["faults"]]
    assert not any("error" in one or "before" in one for one in details), details
