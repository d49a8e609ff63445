"""What README and docs say, taken apart: links, and blocks of commands with the reason why one is not run here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "simulators" / "README.md"])

_FENCE = re.compile(r"^(\s*)(```+)(\S*)\s*$")
_EXCUSE = re.compile(r"^<!-- not run: (\S.*?) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `excuse` is what `<!-- not run: … -->` on the line before it says."""

    page: Path
    line: int
    language: str
    text: str
    excuse: str | None

    @property
    def name(self) -> str:
        """docs/start.md:12"""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page. Raises ValueError for one that is not closed."""
    lines = page.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        opening = _FENCE.match(lines[index])
        if opening is None:
            index += 1
            continue
        indent, fence, language = opening.groups()
        stop = next((k for k in range(index + 1, len(lines)) if lines[k].strip() == fence), None)
        if stop is None:
            raise ValueError(f"{page}:{index + 1}: a block without an end")
        before = next((line.strip() for line in reversed(lines[:index]) if line.strip()), "")
        excuse = _EXCUSE.match(before)
        text = "\n".join(line.removeprefix(indent) for line in lines[index + 1 : stop])
        yield Block(page, index + 1, language, text, excuse.group(1) if excuse else None)
        index = stop + 1


def prose(page: Path) -> str:
    """The page without its fenced blocks and code spans."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        text = text.replace(block.text, "")
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """Where a link may point to within a page, as its headings make them."""
    found = set()
    for line in prose_lines(page):
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title.replace("`", "")).replace(" ", "-"))
    return found


def prose_lines(page: Path) -> list[str]:
    """Lines outside fenced blocks, code spans included."""
    inside, out = False, []
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            out.append(line)
    return out
