"""Sets one document, in a process of its own (`bounded_process`): data on standard input, PDF on standard output.

It imports little, to be up soon. Ends with FAULT where the template itself is wrong, which is ours to mend.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec

from core.erp.kernel import bounded_process

MEMORY, PROCESSOR = 1024 * 1024 * 1024, 60
FAULT = 3
_FONTS = "justmytype_intl_cjk"
"""The wheel that carries Noto Sans SC (OFL): Latin, Greek, Cyrillic and simplified Chinese."""


class Ask(msgspec.Struct, frozen=True):
    """Which template, what it may read from, and the document's time (seconds since 1970, UTC)."""

    template: str
    root: str
    at: int
    memory: int = MEMORY
    form: str = "pdf"


def font_folder() -> Path:
    """Where the documents' font is. Raises FileNotFoundError where its wheel is not installed."""
    spec = find_spec(_FONTS)
    for place in spec.submodule_search_locations or () if spec is not None else ():
        folder = Path(place) / "fonts" / "ofl" / "notosanssc"
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the wheel {_FONTS} with the documents' font is not installed")


def main() -> None:
    """Sets the document that is asked for."""
    ask = msgspec.json.decode(bounded_process.asked(), type=Ask)
    bounded_process.bound(ask.memory, PROCESSOR)
    sys.exit(_set(ask, sys.stdin.buffer.read().decode()))


def _set(ask: Ask, data: str) -> int:
    from typst import Compiler, Fonts, TypstError  # only this process needs it

    fonts = Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[font_folder()])
    nowhere = Path(ask.root) / "no packages"  # templates use none: nothing is looked for, here or on the net
    try:
        compiler = Compiler(
            Path(ask.template),
            root=Path(ask.root),
            font_paths=fonts,
            ignore_system_fonts=True,
            sys_inputs={"data": data},
            package_path=nowhere,
            package_cache_path=nowhere,
        )
        made = compiler.compile(format=ask.form, timestamp=ask.at, ppi=300)  # type: ignore[arg-type]  # pdf, or png for tests
    except TypstError as error:
        sys.stdout.buffer.write(f"{error.message}\n{error.diagnostic}".encode())
        return FAULT
    sys.stdout.buffer.write(made if isinstance(made, bytes) else made[0] if made else b"")
    return 0


if __name__ == "__main__":
    main()
