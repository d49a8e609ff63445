"""`lotwise schedule` on files as a planner uses it: solve, check, explain, compare, and what is wrong with a file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.erp.scheduling import formats
from core.erp.scheduling.problem import Machine, Mode, Need, Operation, Order, Problem, Supply
from lotwise.bench.cli import app as bench
from lotwise.schedule import app
from tests.rules.schedule_planner_test import FT06
from tests.rules.schedule_problems import problem


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.json"
    path.write_bytes(formats.to_json(problem(7, orders=12)))
    return path


def run(*arguments: object, ends: int = 0) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == ends, done.output
    return done.output


def test_a_plan_is_written_checked_explained_and_compared(plant: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert "weighted tardiness" in run("solve", plant, "--turns", 1, "--out", one)
    run("solve", plant, "--turns", 9, "--seconds", 60, "--out", other)
    assert "the plan holds" in run("check", plant, one)
    said = run("explain", plant, "--plan", one, "--free", "--most", 1)
    assert "late by" in said
    assert "earlier, all weighted tardiness" in said
    assert "tardiness" in run("compare", plant, one, other)
    broken = tmp_path / "broken.json"
    plan = formats.read_plan(one)
    broken.write_bytes(formats.plan_json(formats.PlanFile(plan.placed[1:], plan.cost, plan.how)))
    assert "missing" in run("check", plant, broken, ends=1)


def test_a_plan_is_written_as_csv(plant: Path, tmp_path: Path) -> None:
    run("solve", plant, "--turns", 1, "--out", tmp_path / "plan.csv")
    assert (tmp_path / "plan.csv").read_text().startswith("order,operation,machine,")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bad.json", '{"machines": 3}', "Expected `array`"),
        ("bad.json", '{"machines": [], "orders": [], "operations": [], "colour": 1}', "unknown field `colour`"),
        ("bad.fjs", "2 2\n1 1 1 5\n", "2 jobs are announced, 1 are there"),
        ("bad.txt", "\xff", "no line with numbers|line 1"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    said = run("solve", path, ends=2).replace("\n", " ")
    assert any(part in said for part in words.split("|"))


def test_a_known_shop_says_its_gap(tmp_path: Path) -> None:
    path = tmp_path / "ft06.txt"
    path.write_text(FT06)
    done = CliRunner().invoke(
        bench, ["jobshop", str(path), "--seconds", "30", "--seeds", "1", "--best-known", "55"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert '"metric": "gap_pct", "value": 0' in done.stdout


def test_a_plan_that_leaves_an_order_out_holds_without_it(tmp_path: Path) -> None:
    steps = tuple(Operation(f"{n}", f"o{n}", (Mode("m", 5),), needs=(Need("i", 1),)) for n in range(2))
    made = Problem((Machine("m"),), (Order("o0", 9), Order("o1", 9)), steps, supplies=(Supply("s", "i", 1),))
    path, plan = tmp_path / "short.json", tmp_path / "plan.json"
    path.write_bytes(formats.to_json(made))
    assert "takes i, of which there is not enough" in run("solve", path, "--turns", 2, "--out", plan).replace("\n", " ")
    assert "the plan holds" in run("check", path, plan)


@pytest.mark.parametrize("out", ["plan.txt", "none/plan.json", "plan.ics"])
def test_where_a_plan_cannot_go_is_said_before_it_is_made(plant: Path, tmp_path: Path, out: str) -> None:
    assert "--out" in run("solve", plant, "--turns", 1, "--out", tmp_path / out, ends=2)


def test_a_plan_of_something_else_is_refused(plant: Path, tmp_path: Path) -> None:
    other, plan = tmp_path / "other.json", tmp_path / "plan.json"
    other.write_bytes(formats.to_json(problem(8, orders=20)))
    run("solve", other, "--turns", 1, "--out", plan)
    assert "a plan of something else" in run("check", plant, plan, ends=2)


def test_a_wrong_number_names_its_field(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(formats.to_json(problem(7)).replace(b'"places": 2', b'"places": 0'))
    assert "places" in run("solve", path, ends=2)
