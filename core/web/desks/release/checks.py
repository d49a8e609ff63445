"""What is missing of goods before they can be released: seven answers each, in shape and word, read for all at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, func, select

from core.erp.exposure.bulk.exposures import exposures
from core.erp.exposure.service import Exposure
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Genealogy
from core.erp.lots.rules import ObstacleKind, Purpose
from core.erp.partners.model import SupplierCertificate
from core.erp.partners.rules import covers
from core.erp.quality.model import Deviation, Excursion
from core.erp.quality.queries import UNDECIDED
from core.erp.shipments import service as shipments
from core.web.frame.states import Tone
from core.web.frame.visit import Visit

SOON = timedelta(days=30)
"""What ends within is said with a warning."""
HEADINGS = {
    "coverage": "web.missing_coverage",
    "budget": "web.missing_budget",
    "holds": "web.missing_holds",
    "reviews": "web.missing_reviews",
    "loggers": "web.missing_loggers",
    "certificates": "web.missing_certificates",
    "expiry": "web.missing_expiry",
}
"""The answers, in the order in which they are shown, and the ids of their headings."""
_e, _d, _c, _g = table(Excursion).c, table(Deviation).c, table(SupplierCertificate).c, table(Genealogy).c
_WHOLE = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One answer: shape and word, where it is done away with, and whether it bars the release."""

    look: Tone
    text: str
    address: str = ""
    bars: bool = False
    more: str = ""
    """All of it, for whoever points at it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """All answers of one sublot, by name."""

    checks: Mapping[str, Check]

    @property
    def barred(self) -> bool:
        """Whether something must be done before it can be signed."""
        return any(one.bars for one in self.checks.values())


def missing(u: Unit, visit: Visit, rows: Sequence[Row[Any]]) -> dict[int, Missing]:
    """By sublot, of rows as `waiting` gives them: one statement for each kind of answer, whatever their number."""
    ids = [row.id for row in rows]
    if not ids:
        return {}
    standing = lots.obstacles(u, ids, Purpose.USE)
    exposed = dict(zip(ids, _exposed(u, visit, ids), strict=True))
    loggers, excursions = shipments.unread_loggers(u, ids), _of(u, _e, _e.state.in_(UNDECIDED), ids)
    deviations = _of(u, _d, _d.state == "open", ids)
    certificates, made_here = _certificates(u, visit, rows), _made_here(u, ids)
    made = _Maker(visit, u)
    return {
        row.id: Missing(
            {
                "coverage": made.coverage(exposed[row.id], standing[row.id]),
                "budget": made.budget(row.id, exposed[row.id]),
                "holds": made.holds(row, standing[row.id]),
                "reviews": made.reviews(row.id, excursions[row.id], deviations[row.id]),
                "loggers": made.loggers(loggers[row.id]),
                "certificates": made.certificates(row, certificates.get(row.maker_id, ()), row.id in made_here),
                "expiry": made.expiry(row, standing[row.id]),
            }
        )
        for row in rows
    }


def _exposed(u: Unit, visit: Visit, ids: Sequence[int]) -> list[Exposure | None]:
    if not visit.may("exposure.read"):
        return [None] * len(ids)
    return exposures(u.conn, [(one, None, None) for one in ids], u.now)


def _of(u: Unit, columns: Any, which: Any, ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    wanted = select(columns.sublot_id, columns.id, columns.state).where(columns.sublot_id.in_(ids), which)
    for row in u.conn.execute(wanted.order_by(columns.id)):
        found[row.sublot_id].append(row)
    return found


def _certificates(u: Unit, visit: Visit, rows: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    """By maker: its certificates that count."""
    makers = {row.maker_id for row in rows} - {None}
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    if makers and visit.may("partner.read"):
        for row in u.conn.execute(
            select(table(SupplierCertificate)).where(_c.partner_id.in_(makers), _c.state == "valid")
        ):
            found[row.partner_id].append(row)
    return found


def _made_here(u: Unit, ids: Sequence[int]) -> set[int]:
    wanted = select(_g.child_id).where(_g.child_id.in_(ids), _g.transformation.like("work\\_order:%"))
    return set(u.conn.scalars(wanted.group_by(_g.child_id).having(func.count() > 0)))


class _Maker:
    """Says each answer in the reader's language."""

    def __init__(self, visit: Visit, u: Unit) -> None:
        self._words, self._now = visit.words, u.now
        self._today = u.now.astimezone(visit.zone).date()

    def coverage(self, found: Exposure | None, standing: Sequence[lots.Obstacle]) -> Check:
        unjudged = next((one for one in standing if one.kind == ObstacleKind.UNJUDGED), None)
        why = self._words.say(unjudged.message) if unjudged is not None else ""
        if found is None:
            return Check("unknown", self._words.t("web.no_exposure"), more=why)
        share = self._words.num(int(found.covered * 1000) / 10, "%")
        if unjudged is not None:
            return Check("unknown", self._words.t("web.covered_silent", share=share), more=why)
        return Check("ok" if found.covered >= _WHOLE else "warn", share)

    def budget(self, sublot_id: int, found: Exposure | None) -> Check:
        left = [one.budget for one in found.limits if one.budget is not None] if found is not None else []
        if not left:
            return Check("ok", self._words.t("web.no_budget"))
        least = min(left)
        if least > timedelta(0):
            return Check("ok", self._words.lasting(least))
        return Check("warn", self._words.t("web.chart_budget_spent"), f"/sublots/{sublot_id}")

    def holds(self, row: Row[Any], standing: Sequence[lots.Obstacle]) -> Check:
        held = [one for one in standing if one.kind in {ObstacleKind.HELD, ObstacleKind.RESTORED}]
        if not held:
            return Check("ok", self._words.t("web.none_of_them"))
        known = [one.hold_id for one in held if one.hold_id is not None]
        address = f"/holds/{known[0]}" if len(known) == 1 else f"/holds?sublot_id={row.id}"
        more = self._words.listed([self._words.say(one.message) for one in held])
        return Check("hold", self._words.t("web.some_holds", count=len(held)), address, bars=True, more=more)

    def reviews(self, sublot_id: int, excursions: Sequence[Row[Any]], deviations: Sequence[Row[Any]]) -> Check:
        if excursions:
            going_on = any(one.state == "open" for one in excursions)
            alone = f"/excursions/{excursions[0].id}"
            address = alone if len(excursions) == 1 else f"/excursions?sublot_id={sublot_id}"
            text = self._words.t("web.some_undecided", count=len(excursions))
            return Check("harm" if going_on else "wait", text, address, bars=True)
        if deviations:
            address = f"/deviations?sublot_id={sublot_id}&state=open"
            return Check("warn", self._words.t("web.some_deviations", count=len(deviations)), address)
        return Check("ok", self._words.t("web.none_open"))

    def loggers(self, unread: Sequence[Row[Any]]) -> Check:
        if not unread:
            return Check("ok", self._words.t("web.none_of_them"))
        more = self._words.listed([f"{one.serial} ({one.code})" for one in unread])
        text = self._words.t("web.some_unread", count=len(unread))
        return Check("wait", text, f"/shipments/{unread[0].shipment_id}", bars=True, more=more)

    def certificates(self, row: Row[Any], known: Sequence[Row[Any]], made_here: bool) -> Check:
        if made_here:
            return Check("ok", self._words.t("web.made_here"))
        if row.maker_id is None:
            return Check("unknown", self._words.t("web.maker_unnamed"), f"/lots/{row.lot_id}")
        ends = [one.valid_until for one in known if covers(one, self._today, item_id=row.item_id)]
        address = f"/supplier-certificates?partner_id={row.maker_id}"
        if not ends:
            return Check("warn", self._words.t("web.no_certificate"), address)
        return self._until(max(ends), address)

    def expiry(self, row: Row[Any], standing: Sequence[lots.Obstacle]) -> Check:
        if row.expiry is None:
            return Check("ok", self._words.t("web.none_of_them"))
        if any(one.kind == ObstacleKind.EXPIRED for one in standing):
            return Check("no", self._words.t("web.expired_on", day=self._words.day(row.expiry)), bars=True)
        return self._until(row.expiry)

    def _until(self, day: date, address: str = "") -> Check:
        soon = day - self._today < SOON
        return Check("warn" if soon else "ok", self._words.day(day), address)
