"""The wire shapes of tasks."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.erp.kernel.shapes import Answer, Body, Login, Moment, Ref, Sentence, Text, Who


class TaskIn(Body):
    """A task by hand: for whoever holds a permit, or for a person."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "Label pallet 7 anew", "permit": "stock.move", "site_id": 1}]}
    )
    title: Annotated[Text, Field(max_length=300)]
    permit: Annotated[str, Field(max_length=64)] | None = None
    assignee: Login | None = None
    site_id: Ref | None = None
    due_at: Moment | None = Field(None, description="default: the end of the next working day")
    remind_at: Moment | None = None


class PassOnIn(Body):
    """Who does it from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "wanda", "reason": "on leave from tomorrow"}]})
    to: Login
    reason: Text | None = None


class DoneIn(Body):
    """How it was done."""

    conclusion: Text


class TaskOut(Answer):
    """Something to do."""

    id: int
    kind: str = Field(examples=["by_hand"])
    title: str
    title_message: Sentence
    entity: str | None = Field(description="what it is about, with entity_id", examples=["deviation"])
    entity_id: int | None
    site_id: int | None
    permit: str | None = Field(description="of those who may do it", examples=["stock.move"])
    assignee: Who | None = Field(description="whose it is", examples=["wanda"])
    due_at: AwareDatetime
    remind_at: AwareDatetime | None
    state: Literal["open", "taken", "done", "withdrawn"]
    created_at: AwareDatetime
    created_by: str
    closed_at: AwareDatetime | None
    closed_by: str | None
    conclusion: str | None
