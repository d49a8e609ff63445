"""The release's page: what is signed, what is missing of it, and the signature, for one sublot or several at once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import Response
from sqlalchemy import Row
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.errors import Conflict, absent
from core.erp.kernel.records.registry import entities
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.quality import service as quality
from core.erp.quality.model import BatchRelease
from core.erp.quality.service.release_review import Trail
from core.erp.quality.shapes import ReleaseOut, SublotReleaseIn
from core.web.desks.faults import faults
from core.web.desks.release.checks import HEADINGS, Missing, missing
from core.web.desks.release.waiting import named
from core.web.frame.visit import Visit
from core.web.records.parsing import read_form

T = TypeVar("T")
FIELDS = {"amount": "field.amount", "reason": "field.reason", "password": "web.password", "login": "web.login"}
"""The form's fields and the ids of their labels."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One sublot as its signer sees it: what is missing, what nobody knows of it, its audit trail."""

    row: Row[Any]
    missing: Missing
    gaps: Sequence[Mapping[str, Any]]
    trail: Trail

    @property
    def ready(self) -> bool:
        """Whether nothing bars its release."""
        return not self.missing.barred and self.row.state == "quarantine"


def review(u: Unit, visit: Visit, ids: Sequence[int]) -> list[Reviewed]:
    """The sublots as they stand. Raises NotFound where one is not there, or is not the reader's to see."""
    rows = named(u, ids)
    for one in ids:
        if one not in {row.id for row in rows}:
            raise absent("sublot", one)
    found, trails = missing(u, visit, rows), quality.trails(u, ids)
    return [Reviewed(row, found[row.id], quality.unfilled_gaps(u, row.id), trails[row.id]) for row in rows]


def fingerprint(trails: Mapping[int, Trail]) -> str:
    """What was seen: the audit trails of what is signed, in order of their sublots."""
    return hashlib.sha256(b"".join(trails[one].digest for one in sorted(trails))).hexdigest()


def as_seen(signing: Signing[T], ids: Sequence[int], seen: str) -> Signing[T]:
    """The act, unless the audit trail has grown since its signer saw it: told as a conflict, and nothing is signed."""

    def work(u: Unit, proof: Proof) -> T:
        if fingerprint(quality.trails(u, ids)) != seen:
            raise Conflict("web.changed_since_seen")
        return signing.work(u, proof)

    return replace(signing, work=work)


def signing_page(
    u: Unit,
    visit: Visit,
    ids: Sequence[int],
    address: str,
    status: int = 200,
    *,
    errors: Mapping[str, Message] | None = None,
    refused: str = "",
) -> Response:
    """The page, with what was written in its form."""
    found = review(u, visit, ids)
    ready = [one for one in found if one.ready]
    wrong = {name: visit.words.say(what) for name, what in (errors or {}).items()}
    context: dict[str, Any] = {
        "found": found,
        "headings": HEADINGS,
        "ready": ready,
        "address": address,
        "seen": fingerprint({one.row.id: one.trail for one in ready}),
        "errors": wrong,
        "faults": faults(visit.words, FIELDS, errors or {}),
        "refused": refused,
        # what is signed is what is on the page: said beforehand, to be put in other words
        "reason": visit.given("reason") if visit.form else visit.words.t("web.release_reason"),
        "meaning": visit.words.t("meaning.batch_release"),
        "now": u.now,
    }
    return visit.page("desks/release_sign.html", status, **context)


async def sign(visit: Visit, ids: Sequence[int], address: str) -> tuple[Response | None, list[int]]:
    """Signs what the form says. (The page again where it is refused, or None; the sublots that are released then)."""

    def again(status: int, **more: Any) -> Response:
        return visit.read(lambda u: signing_page(u, visit, ids, address, status, **more))

    if visit.resumed:
        return await run_in_threadpool(again, 200), []
    body, errors = await run_in_threadpool(visit.read, lambda u: _parsed(u, visit))
    if body is None:
        return await run_in_threadpool(again, 422, errors=errors), []
    act: Signing[Any] = quality.releases_signing(ids, body.reason)
    if len(ids) == 1 and body.amount is not None:
        act = quality.part_release_signing(ids[0], body.amount, body.reason)
    outcome = await visit.sign(as_seen(act, ids, visit.given("_seen")), body, _answer)
    if outcome.refused:
        return await run_in_threadpool(again, outcome.status, refused=outcome.detail), []
    return None, [one["sublot_id"] for one in outcome.body]


def _parsed(u: Unit, visit: Visit) -> tuple[SublotReleaseIn | None, dict[str, Message]]:
    body, errors = read_form(u, entities()["sublot"], SublotReleaseIn, visit.form, visit.zone)
    if not visit.given("reason").strip():  # the default is for programs: people say what they have reviewed
        errors = {**errors, "reason": Message("web.fill_in")}
    if not visit.given("password"):
        errors = {**errors, "password": Message("web.fill_in")}
    return (None if errors else body), errors


def _answer(u: Unit, made: BatchRelease | Sequence[BatchRelease]) -> list[ReleaseOut]:
    del u
    return [ReleaseOut.model_validate(one) for one in ([made] if isinstance(made, BatchRelease) else made)]
