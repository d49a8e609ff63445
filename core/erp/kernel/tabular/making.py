"""Records made of the lines of a file, some at a time: one bad line costs no other, and is told why."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from core.erp.kernel.database_errors import translate
from core.erp.kernel.errors import Busy, LotwiseError, Unauthenticated
from core.erp.kernel.masking import masked_error
from core.erp.kernel.rehearsal import attempted
from core.erp.kernel.tabular.importable import Importable, Line, LineFault
from core.erp.kernel.unit import Unit

AT_ONCE = 100
"""Lines of one savepoint."""
_NOT_OF_A_LINE = (Busy, Unauthenticated)


@dataclass(frozen=True, slots=True)
class Made:
    """A line, and the record it made."""

    line: int
    id: int


class _Stopped(Exception):
    """One of the lines was refused: the one at `place`, if that is `exact`."""

    def __init__(self, place: int, error: LotwiseError, *, exact: bool) -> None:
        super().__init__(place, error)
        self.place, self.error, self.exact = place, error, exact


class _Unfit(Exception):
    """Of lines that were made at once, one was refused: nobody knows which."""


def make(u: Unit, importable: Importable, lines: Sequence[Line], report: Callable[[LineFault], None]) -> Iterator[Made]:
    """Makes a record of every line that is not refused; `report` is given each that is.

    Many lines share a savepoint, and are made at once where the entity can; if one of them is refused, one by one. One
    that is refused then splits them: those before it are made again without it, then those behind it. Where it is not
    known which one it was (the database is told of rows some at a time), halves are tried.
    """
    for begin in range(0, len(lines), AT_ONCE):
        some = list(lines[begin : begin + AT_ONCE])
        try:
            yield from _at_once(u, importable, some)
        except _Unfit:
            yield from _one_by_one(u, importable, some, report)


def _at_once(u: Unit, importable: Importable, lines: list[Line]) -> list[Made]:
    """All of the lines by what makes many. Raises _Unfit, with nothing of them left."""
    if importable.create_many is None:
        raise _Unfit
    try:
        with attempted(u):
            ids = importable.create_many(u, lines)
    except (DBAPIError, LotwiseError) as error:
        _known(error)
        raise _Unfit from error
    return [Made(line.number, made) for line, made in zip(lines, ids, strict=True)]


def _one_by_one(
    u: Unit, importable: Importable, lines: list[Line], report: Callable[[LineFault], None]
) -> Iterator[Made]:
    rest = [lines]
    while rest:
        some = rest.pop()
        try:
            yield from _attempt(u, importable, some)
        except _Stopped as stopped:
            place = stopped.place
            if len(some) == 1:
                report(_fault(u, some[0], stopped.error))
            elif place < len(some):
                alone = [] if stopped.exact else [some[place : place + 1]]
                if stopped.exact:
                    report(_fault(u, some[place], stopped.error))
                rest += [part for part in (some[place + 1 :], *alone, some[:place]) if part]
            else:
                middle = len(some) // 2
                rest += [some[middle:], some[:middle]]


def _attempt(u: Unit, importable: Importable, lines: Sequence[Line]) -> list[Made]:
    """All of the lines in one savepoint. Raises _Stopped, with nothing of them left."""
    made: list[Made] = []
    try:
        with attempted(u):
            for line in lines:
                made.append(Made(line.number, importable.create(u, line)))  # noqa: PERF401 - counted when it fails
    except (DBAPIError, LotwiseError) as error:
        # rows are sent to the database together: it may be another line's that was made before
        raise _Stopped(len(made), _known(error), exact=isinstance(error, LotwiseError)) from error
    return made


def _known(error: DBAPIError | LotwiseError) -> LotwiseError:
    """What it says of a line. Raises the error itself where it says nothing of one."""
    known = error if isinstance(error, LotwiseError) else translate(error)
    if known is None or isinstance(known, _NOT_OF_A_LINE):
        raise error
    return known


def _fault(u: Unit, line: Line, error: LotwiseError) -> LineFault:
    error = masked_error(u.conn, u.actor, error)
    field = error.extra.get("field", "")
    return LineFault(line.number, field if isinstance(field, str) else "", error.message)
