"""The texts of all modules, read from their `words/<language>.po` and kept in memory."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from core.erp.kernel import modules
from core.telemetry.catalogue import Template, read


def folders() -> list[Path]:
    """Where the modules keep their words (`words/` of each that has any), lower modules first."""
    return [words for folder in modules.folders().values() if (words := folder / "words" / "en.po").is_file()]


@cache
def catalogue(language: str) -> Mapping[str, Template]:
    """Every message of every module in the language, by id. Raises ValueError for an id that two modules have."""
    found: dict[str, Template] = {}
    for english in folders():
        for name, template in read(english.with_name(f"{language}.po"), language):
            if name in found:
                raise ValueError(f"{english.parent}: {name} is written down twice")
            found[name] = template
    return found
