"""Modules are named once; what they declare of their tables must fit, or nothing starts."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Field, SQLModel

from core.erp import MODULES
from core.erp.kernel import guarded, modules
from core.erp.kernel.guarded import Guarded, Unguarded
from core.erp.kernel.model import AuditRow, User
from core.erp.kernel.workflow import Move, Workflow, workflows

PROJECT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def contract(name: str) -> dict[str, Any]:
    return next(one for one in CONTRACTS if one["name"] == name)


def test_the_modules_are_those_of_the_import_rules_in_their_order() -> None:
    layers = [layer.split(" | ") for layer in contract("Lower rooms never import upper ones")["layers"]]
    rank = {name: len(layers) - number for number, layer in enumerate(layers) for name in layer}
    named = [name for name in modules.NAMES if name.count(".") <= 2]
    beside = {"core.app", "core.wiring"}
    assert set(named) == {name for name in rank if name.startswith("core.")} - beside
    ranks = [rank[name] for name in named]
    assert ranks == sorted(ranks), "a module is named before one that it may import"


def test_every_modules_rules_are_pure() -> None:
    pure = set(contract("Rules are pure")["source_modules"])
    assert pure == {module.__name__ for module in modules.found("rules")}


def test_every_folder_of_the_erp_is_named() -> None:
    there = {folder.parent.name for folder in (PROJECT / "core/erp").glob("*/__init__.py")} - {"migrations"}
    assert there == {name for name in MODULES if "." not in name}


def test_what_declares_records_stays_small() -> None:
    """What a module's records cost is paid once, here: it must stay readable in an hour."""
    lines = [
        len(path.read_text(encoding="utf-8").splitlines())
        for path in (PROJECT / "core/erp/kernel/records").glob("*.py")
    ]
    assert sum(lines) <= 1500


def test_a_file_that_modules_do_not_have_is_no_file_of_theirs() -> None:
    with pytest.raises(ValueError, match="worfklow"):
        modules.found("worfklow")


class Thing(SQLModel):
    id: int = Field(primary_key=True)


@pytest.mark.parametrize(
    ("declaration", "match"),
    [
        ({"kept": True, "identity": ("logn",)}, "no column logn"),
        ({"kept": True, "dated": True}, "no column to_at"),
        ({"kept": True, "changes": ("name", "nmae")}, "no column nmae"),
        ({"append_only": True, "changes": ("name",)}, "does not change"),
        ({"append_only": True, "kept": True}, "does not change"),
        ({"kept": True, "removable": True}, "not removed"),
        ({"changes": ("name",)}, "says not why"),
        ({}, "says not why"),
    ],
)
def test_a_declaration_that_cannot_be_meant(declaration: dict[str, Any], match: str) -> None:
    with pytest.raises(Unguarded, match=match):
        Guarded(User, **declaration)


def test_what_is_no_table_cannot_be_declared() -> None:
    with pytest.raises(AttributeError):
        Guarded(Thing, kept=True)


def test_a_table_that_is_declared_twice_or_by_nobody_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.erp.kernel import ddl

    own = ddl.TABLES
    monkeypatch.setattr(ddl, "TABLES", (*own, Guarded(AuditRow, append_only=True)))
    with pytest.raises(Unguarded, match="audit is declared twice"):
        guarded.declared()
    monkeypatch.setattr(ddl, "TABLES", own[1:])
    with pytest.raises(Unguarded, match=f"of {own[0].name}$"):
        guarded.declared()


STATES = frozenset({"draft"})


@pytest.mark.parametrize(
    ("moves", "match"),
    [
        ((Move("sign", STATES, "signed"),), "sign: a move has a permit, or is the system's"),
        ((Move("sign", STATES, "signed", permit="x", system=True),), "has a permit, or is the system's"),
        ((Move("sign", STATES, "signed", meaning="meaning.x", system=True),), "signs nothing"),
        ((Move("sign", STATES, "a", permit="x"), Move("sign", STATES, "b", permit="x")), "share a name"),
        ((Move("sign", frozenset({"drfat"}), "signed", permit="x"),), "nothing leads to drfat"),
    ],
)
def test_a_life_cycle_that_cannot_be_meant(moves: tuple[Move, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Workflow("thing", moves, begins=("draft",))


def test_every_life_cycle_is_of_a_table_with_a_state() -> None:
    tables = SQLModel.metadata.tables
    guarded.declared()
    for name, cycle in workflows().items():
        assert "state" in tables[name].c, f"{cycle.noun} says it is kept in {name}"
