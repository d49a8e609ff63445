"""Every ignore of a checker says why: what nobody can read the reason of, nobody can take away again."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("core", "dashboards", "edge", "lotwise", "simulators", "tests")
GENERATED = ("core/erp/migrations/versions/", "core/telemetry/sparkplug/sparkplug_b_pb2.py")

IGNORE = re.compile(
    r"#\s*(?:type:\s*ignore(?:\[[\w, -]*\])?|(?:ruff:\s*)?noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?)(?P<reason>.*)"
)
REASON = re.compile(r"\s*(?:#|-|–)\s*\S.{2}")


def without_reason(code: str) -> list[int]:
    """Lines whose ignore of a checker has no reason behind it."""
    found: list[int] = []
    if IGNORE.search(code) is None:  # cutting a file into tokens takes longer than all else
        return found
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            match = IGNORE.search(token.string)
            if match is not None and not REASON.match(match["reason"]):
                found.append(token.start[0])
    return found


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("x = 1  # noqa: S104 - it says where it listens", True),
        ("x = 1  # type: ignore[attr-defined]  # SQLModel has it at run time", True),
        ("x = 1  # type: ignore[misc, arg-type]  # the loop's value", True),
        ("# ruff: noqa: S608 - constants of this file", True),
        ("x = 1  # noqa: S104, PLR2004", False),
        ("x = 1  # noqa", False),
        ("x = 1  # type: ignore", False),
        ("x = 1  # type: ignore[attr-defined]", False),
        ("x = 1  # type: ignore[attr-defined]  #", False),
        ("x = '# noqa'", True),
    ],
)
def test_the_test_itself(line: str, *, fine: bool) -> None:
    assert (without_reason(line + "\n") == []) is fine


def test_every_ignore_says_why() -> None:
    lacking = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(GENERATED)
        for line in without_reason(path.read_text(encoding="utf-8"))
    ]
    assert not lacking, f"ignores without a reason behind them: {', '.join(lacking)}"
