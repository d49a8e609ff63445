"""`lotwise schedule` on files as a planner uses it: solve, check, explain, compare, and what is wrong with a file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.erp.scheduling import formats
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
    broken.write_bytes(formats.plan_json(plan.placed[1:], plan.cost, plan.how))
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
