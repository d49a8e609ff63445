"""Imports by API: a program sends the file, and what it is refused for would be read by nobody."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.http import DoorKeeper
from core.erp.kernel.unit import Unit, transact

BAD = 400


@asynccontextmanager
async def told(door: DoorKeeper, file: str, *, dry_run: bool) -> AsyncIterator[None]:
    """A refusal within is told, in a transaction of its own, unless it is of a trial; and it goes on."""
    try:
        yield
    except LotwiseError as error:
        if not dry_run:
            await run_in_threadpool(_tell, door, file, str(error))
        raise


async def post_import(
    door: DoorKeeper, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], file: str, *, status: int, dry_run: bool
) -> JSONResponse:
    """As the door's `post_async`, and a refusal is told: one that is kept under an idempotency key too."""
    async with told(door, file, dry_run=dry_run):
        answer = await door.post_async(work, status=status)
    if answer.status_code >= BAD and not dry_run:
        await run_in_threadpool(_tell, door, file, str(answer.status_code))
    return answer


def _tell(door: DoorKeeper, file: str, why: str) -> None:
    told = {"detail": why, "by": door.actor.login}
    transact(door.engine, door.actor, door.events, lambda u: u.outbox("import.refused", file, told), now_utc)
