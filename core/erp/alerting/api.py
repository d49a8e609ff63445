"""The door for answers: an SMS gateway or a chat robot hands in what somebody has answered to a message."""

import hmac
from typing import Annotated

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from core.erp.alerting.service.replying import Reply, take_reply
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import open_to_all, routes
from core.erp.kernel.errors import Unauthenticated
from core.erp.kernel.http import Answer
from core.erp.kernel.shapes import BIGGEST_ID

router = routes(tags=["alerts"])


class ReplyIn(BaseModel):
    """Who has answered, and what. Gateways call them so differently that several names are known."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from": "+86 138 0013 8000", "text": "door closed"}]})
    sender: Annotated[str, Field(min_length=1, max_length=300, validation_alias=AliasChoices("from", "From", "sender"))]
    text: Annotated[str, Field(max_length=10_000, validation_alias=AliasChoices("text", "Body", "content"))]
    message: Annotated[int | None, Field(ge=1, le=BIGGEST_ID)] = None


class ReplyOut(Answer):
    """The alerts that are taken by it."""

    alert_ids: list[int]


@router.post(
    "/alert-replies",
    response_model=ReplyOut,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": ReplyIn.model_json_schema()}}}
    },
)
@open_to_all()
async def post_reply(request: Request) -> ReplyOut:
    """What somebody has answered to a message: it takes the alert, and says what is done.

    For a gateway, which names itself by `LOTWISE_REPLY_TOKEN` as a bearer token. JSON or a form. Without `message` (the
    number in the message's link, or `#123` before the text) it is the newest that waits for somebody.
    """
    state = request.app.state
    token = state.settings.reply_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = "" if token is None else token.get_secret_value()
    if scheme.lower() != "bearer" or not right or not hmac.compare_digest(given.encode(), right.encode()):
        raise Unauthenticated("alerting.reply_token")
    said = await _said(request)
    reply = Reply(said.sender, said.text, said.message)
    taken = await run_in_threadpool(take_reply, state.engine, state.events, reply, now_utc)
    return ReplyOut(alert_ids=taken)


async def _said(request: Request) -> ReplyIn:
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            return ReplyIn.model_validate_json(await request.body())
        return ReplyIn.model_validate(dict(await request.form()))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from error
