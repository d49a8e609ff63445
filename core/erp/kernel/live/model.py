"""The queue of what open pages are to be told."""

from sqlmodel import SQLModel

from core.erp.kernel.model import identity, ref


class LiveChange(SQLModel, table=True):
    """An outbox row, or the topic of a change that the outbox does not tell, until it was told to open pages.

    Unlogged: writing it costs the posting next to nothing, and what a crash of the server loses is made up for, since
    every listener has lost its connection too and has its pages read anew.
    """

    __tablename__ = "live_change"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    id: int = identity()
    outbox_id: int | None = ref(nullable=True)
    topic: str | None = None
