"""What libyaml scans for us means what ruamel.yaml, which reads YAML 1.2, says it means."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from core.telemetry.located import ConfigErrors, Located
from core.telemetry.yaml_nodes import YamlFault, compose

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("edge/examples/*.yaml"), *ROOT.glob("simulators/**/*.yaml")])

TRICKY = """\
switch: on
sure: yes
not: no
yes: true
clock: 12:30
padded: 010
octal: 0o17
hex: 0xff
grouped: 1_000
exponent: 1e3
infinite: .inf
nothing: ~
empty:
day: 2026-03-01
url: [nats://localhost:4222, "a: b"]
text: "5"
said: !!str 5
folded: >
  one
  two
base: &base {a: 1}
again: *base
"""


def as_ruamel_reads(text: str) -> Any:
    return keys_as_text(YAML(typ="safe", pure=True).load(text))


def keys_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key).lower(): keys_as_text(one) for key, one in value.items()}
    return [keys_as_text(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("line", TRICKY.splitlines()[:17])
def test_scalars_mean_what_yaml_1_2_says(tmp_path: Path, line: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(line)
    assert Located(file, {}).data == as_ruamel_reads(line)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_of_ours_is_read_as_ruamel_reads_it(file: Path) -> None:
    assert Located(file, {"LOTWISE": "x"} | dict.fromkeys(_names(file), "x")).data == as_ruamel_reads(_filled(file))


def _names(file: Path) -> list[str]:
    return [part.partition("}")[0] for part in file.read_text().split("${")[1:]]


def _filled(file: Path) -> str:
    text = file.read_text()
    for name in _names(file):
        text = text.replace(f"$${{{name}}}", "\0").replace(f"${{{name}}}", "x").replace("\0", f"${{{name}}}")
    return text


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000, "".join("  " * depth + "a:\n" for depth in range(300))]
)
def test_what_is_nested_without_end_is_refused_before_it_is_built(text: str) -> None:
    with pytest.raises(YamlFault, match="nested too deeply"):
        compose(text)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(TRICKY)
    lines = Located(file, {}).lines
    assert lines["switch",] == 1
    assert lines["url", 1] == TRICKY.splitlines().index('url: [nats://localhost:4222, "a: b"]') + 1
    assert lines["again", "a"] == lines["base", "a"]


def test_a_fault_says_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb: [1\nc: 2\n")
    with pytest.raises(ConfigErrors) as caught:
        Located(file, {})
    assert caught.value.errors[0].line in {2, 3}
