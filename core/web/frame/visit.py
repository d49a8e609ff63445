"""One request for a page: who asks, in which language and zone, and what is done for them in one transaction."""

import hmac
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import UploadFile

from core.erp.kernel.database_errors import translate
from core.erp.kernel.door import Wants, post_slot
from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.kernel.http import DoorKeeper
from core.erp.kernel.named import named_in
from core.erp.kernel.problems import error_body
from core.erp.kernel.shapes import SignIn
from core.erp.kernel.signatures import Act, Proof, Signing
from core.erp.kernel.unit import Actor, Unit
from core.web.frame.navigation import SIMULATORS, Place, navigation
from core.web.frame.signed_out import form_of
from core.web.frame.sites import Sites
from core.web.frame.templating import Words, environment

T = TypeVar("T")
Work = Callable[[Unit], BaseModel | Sequence[BaseModel]]
KEY, RESUME = "_key", "_resume"
"""Fields of every form: its idempotency key; that it is only to be shown again, with what was written in it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a form that was sent: done with an answer, or refused with a problem document."""

    status: int
    body: Any

    @property
    def refused(self) -> bool:
        """Whether nothing was done."""
        return self.status >= HTTPStatus.BAD_REQUEST

    @property
    def stale(self) -> bool:
        """Whether it was refused because somebody else was first: who did what, its answer says as `since`."""
        return self.refused and self.body.get("id") == "kernel.changed_meanwhile"

    @property
    def detail(self) -> str:
        """The refusal in the reader's language."""
        return str(self.body["detail"])


@dataclass(frozen=True)
class Visit:
    """One person's request."""

    request: Request
    door: DoorKeeper
    sites: Sites
    form: Mapping[str, list[str]] = field(default_factory=dict)
    """What a form sent, by field; empty where none was."""
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """Who asks."""
        return self.door.actor

    @property
    def language(self) -> str:
        """The language they read."""
        return self.actor.language

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone their times are in."""
        return self.sites.zone_of(self.actor)

    @cached_property
    def words(self) -> Words:
        """What texts are made with, outside templates."""
        return Words(self.language, self.zone)

    def may(self, *permits: str) -> bool:
        """Whether they hold one of these permits."""
        return any(map(self.actor.may, permits))

    def read(self, work: Callable[[Unit], T]) -> T:
        """What `work` finds, which only reads."""
        return self.door.read(work)

    def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A page made of a template, which is given `visit`, the navigation and `context`."""
        made = environment(self.language, self.zone.key).get_template(template)
        text = made.render(
            visit=self,
            groups=navigation(self.actor, self.request.url.path, self._absent),
            here=self.request.url.path,
            form_key=uuid.uuid4().hex,
            **context,
        )
        return HTMLResponse(text, status)

    @property
    def _absent(self) -> frozenset[Place]:
        return frozenset() if self.request.app.state.simulators is not None else frozenset({SIMULATORS})

    def fragment(self, template: str, **context: Any) -> HTMLResponse:
        """A part of a page, for a live region."""
        made = environment(self.language, self.zone.key).get_template(template)
        return HTMLResponse(made.render(visit=self, **context), headers={"Cache-Control": "no-store"})

    # --- forms

    @property
    def resumed(self) -> bool:
        """Whether the form is to be shown again with what was written in it, and not to be acted on."""
        return RESUME in self.form

    def given(self, name: str) -> str:
        """One field of the form; empty where it was not sent."""
        return self.form.get(name, [""])[-1]

    async def post(self, work: Work, *bodies: BaseModel, key: str | None = None) -> Outcome:
        """Does `work` in one transaction, once for the form's key or for this one. What the bodies name is looked for
        before.
        """
        return await self._outcome(self._keyed(*bodies, key=key).post_async(work))

    async def prove_each(self, acts: Sequence[Act], by: SignIn) -> list[Proof] | Outcome:
        """A proof for each act, by the one password that was entered; or why there is none."""
        try:
            return await self.door.checks.prove_each(self.actor, acts, by.password.get_secret_value(), by.login)
        except Unauthenticated:
            raise
        except LotwiseError as error:
            return Outcome(error.status, error_body(error, self.language))

    async def sign(
        self, signing: Signing[T], by: SignIn, answer: Callable[[Unit, T], BaseModel | Sequence[BaseModel]]
    ) -> Outcome:
        """Does what is signed, after the password was checked; once for the form's key."""
        return await self._outcome(self._keyed(by).sign(signing, by, answer))

    def _keyed(self, *bodies: BaseModel, key: str | None = None) -> DoorKeeper:
        named = tuple(one for body in bodies for one in named_in("", (), body)) if self.actor.scoped else ()
        return replace(self.door, key=key or self.given(KEY) or None, named=named)

    async def _outcome(self, doing: Any) -> Outcome:
        try:
            answer: JSONResponse = await doing
        except Unauthenticated:
            raise
        except LotwiseError as error:
            return Outcome(error.status, error_body(error, self.language))
        except DBAPIError as error:
            known = translate(error)  # a guard's refusal, a lock that was not had: what was typed is shown again
            if known is None:
                raise
            return Outcome(known.status, error_body(known, self.language))
        return Outcome(answer.status_code, json.loads(bytes(answer.body)))


async def _visiting(request: Request) -> Visit:
    state, actor = request.app.state, request.state.actor
    wants: Wants = request.state.wants
    form, files = await _form(request)
    content = json.dumps([request.method, request.url.path, form], sort_keys=True).encode()
    asked = hmac.digest(state.signing_key.encode(), content, "sha256")
    turn = partial(post_slot, request)
    door = DoorKeeper(state.engine, state.readers, state.events, state.checks, actor, turn, None, asked, wants.permits)
    return Visit(request, door, state.sites, form, files)


async def _form(request: Request) -> tuple[dict[str, list[str]], dict[str, UploadFile]]:
    if request.method in {"GET", "HEAD"}:
        return {}, {}
    sent = await form_of(request)
    texts: dict[str, list[str]] = {}
    files: dict[str, UploadFile] = {}
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            files[name] = value
        else:
            texts.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return texts, files


Visiting = Annotated[Visit, Depends(_visiting)]
"""The parameter of every page: `def page(visit: Visiting) -> Response: return visit.page("…")`."""
