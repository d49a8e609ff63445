"""The forms of QA's acts, on one excursion or on all of an incident: assess, and dispose with a signature."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from core.erp.kernel.errors import Invalid
from core.erp.kernel.signatures import Signing
from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.web.old_frame import Visit, heading, refusal, signing

DECISIONS = {
    "accept": "accept: the goods are fit for use; lifts this excursion's hold",
    "restrict": "restrict: fit under a condition; lifts this excursion's hold",
    "reject": "reject: the sublot is rejected, the hold stays",
    "rework": "rework: the sublot is rejected, to be reworked",
    "return": "return: the sublot is rejected, to go back to its maker",
    "destroy": "destroy: the sublot is rejected, to be destroyed",
}
RESTRICTIONS = {
    "purpose": "only for these purposes (comma separated)",
    "market": "only for these markets (comma separated)",
    "customer": "only for these customers (comma separated)",
    "use_by": "use by this day (2027-07-31)",
    "remaining_life": "days of shelf life that must be left",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """What somebody signs."""

    decision: str
    reason: str
    restrictions: list[quality.NewRestriction]


def assessment_form(of: Visit, verb: str, assess: Callable[[Unit, str], object]) -> None:
    """The form of an assessment; the page is loaded anew when it is recorded."""
    with ui.card().classes("w-full max-w-2xl mt-4"):
        heading("Assess")
        ui.label("What it means for the goods. Assessing releases nothing.").classes("text-sm text-grey-8")
        words = ui.textarea("Assessment").classes("w-full")
        label = refusal()

        async def press() -> None:
            meaning = (words.value or "").strip()
            if await of.act(lambda u: assess(u, meaning), "excursion.assess", label):
                ui.navigate.reload()

        ui.button(verb, on_click=press)


def disposition_form(of: Visit, verb: str, dispose: Callable[[Decided], Signing[Any]], *, first: bool) -> None:
    """The form of a signed disposition; the page is loaded anew when it is signed."""
    with ui.card().classes("w-full max-w-2xl mt-4"):
        heading("Dispose")
        ui.label("Lifts each excursion's own hold and nothing else. Batch release is another act.").classes(
            "text-sm text-grey-8"
        )
        decision = ui.select(DECISIONS, label="Decision").classes("w-full")
        kind = ui.select(RESTRICTIONS, label="Restriction").classes("w-full")
        value = ui.input("Restricted to").classes("w-full")
        for field in (kind, value):
            field.bind_visibility_from(decision, "value", value="restrict")
        reason = ui.textarea("Reason").classes("w-full")
        label = refusal()

        async def sign(login: str | None, password: str) -> None:
            chosen, why = decision.value or "", reason.value or ""
            try:
                wanted = [restriction(kind.value, value.value or "")] if chosen == "restrict" else []
            except Invalid as error:
                label.set_text(f"{error.title}: {error.detail}")
                return
            if await of.sign(dispose(Decided(chosen, why, wanted)), login, password, label):
                ui.navigate.reload()

        signing(verb, sign, first=first)


def restriction(kind: str | None, value: str) -> quality.NewRestriction:
    """The restriction that a form says. Raises Invalid."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    if kind is None or not names:
        raise Invalid("web.restriction_unsaid")
    if kind == "use_by":
        return quality.NewRestriction(kind, {"date": names[0]})
    if kind == "remaining_life":
        if not names[0].isascii() or not names[0].isdigit():
            raise Invalid("web.no_days", given=names[0])
        return quality.NewRestriction(kind, {"days": int(names[0])})
    return quality.NewRestriction(kind, {"only": names})
