"""Links inside README and docs lead somewhere, and commands that they name exist with the options they give."""

import re
import shlex
from typing import Any

import pytest
import typer

from lotwise.cli import app
from tests.documents import PAGES, ROOT, anchors, blocks, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_lead_somewhere(page: Any) -> None:
    lost = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert not lost, f"{page.relative_to(ROOT)}: {lost}"


def test_every_page_of_the_docs_is_reached_from_their_index() -> None:
    index = ROOT / "docs" / "README.md"
    seen, ahead = set(), [index]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = (target.partition("#")[0] for target in LINK.findall(prose(page)) if ":" not in target)
        ahead += [(page.parent / path).resolve() for path in links if path]
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= seen


def _wrong(words: list[str]) -> str | None:
    """What is wrong with a call of `lotwise`, by its own table of commands; None if nothing is."""
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="lotwise")
    rest = list(words)
    while hasattr(command, "list_commands"):
        name = next((word for word in rest if not word.startswith("-")), None)
        found = command.get_command(context, name) if name is not None else None
        if found is None:
            found = command.get_command(context, "run")  # `lotwise edge FILE`
        else:
            rest.remove(str(name))
        if found is None:
            return None if not rest or hasattr(command, "invoke_without_command") else f"no command {name}"
        command = found
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known | {"--help", "-"}]
    return f"no option {', '.join(unknown)}" if unknown else None


def _calls() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for block in blocks(page):
            if block.language not in {"sh", "bash", "console"}:
                continue
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                for part in re.split(r"\s*(?:&&|\|\||;|\||&)\s*", line):
                    words = shlex.split(part.removeprefix("$ "), comments=True)
                    while words and re.fullmatch(r"\w+=.*", words[0]):
                        words = words[1:]
                    if words and words[0].rpartition("/")[2] == "lotwise":
                        found.append((block.name, words[1:]))
    return found


def test_commands_that_the_docs_name_exist_with_their_options() -> None:
    calls = _calls()
    assert calls
    wrong = [f"{where}: lotwise {shlex.join(words)}: {why}" for where, words in calls if (why := _wrong(words))]
    assert not wrong, "\n".join(wrong)
