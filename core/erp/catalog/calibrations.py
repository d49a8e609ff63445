"""The acts of calibration: plans, what was found and left, and a second person's word on it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text

from core.erp.catalog.deadlines import CALIBRATION
from core.erp.catalog.events import JudgingChanged
from core.erp.catalog.instruments import require_at_own_site, site_of
from core.erp.catalog.model import (
    Calibration,
    CalibrationPlan,
    CalibrationReview,
    Installation,
    Point,
    Sensor,
)
from core.erp.catalog.rules import calibration_passed, left_good
from core.erp.catalog.service import add_row, get
from core.erp.catalog.withdrawal import ACTIVE
from core.erp.catalog.workflow import PLAN
from core.erp.kernel.attachments import service as attachments
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import due, working_days
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.errors import Conflict, Forbidden, Invalid, Refused
from core.erp.kernel.signatures import Act, Proof, Signing, begin_signing
from core.erp.kernel.tables import table
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

IN_FORCE = """
    SELECT c.id, c.sensor_id, c.done_at, c.as_found_ok, abs(c.as_found_error) AS found_error,
        CASE WHEN c.as_left_ok AND (NOT c.to_sign OR r.accepted) THEN c.due_at ELSE c.done_at END AS due_at,
        CASE WHEN NOT c.as_left_ok THEN abs(c.as_left_error)
             WHEN c.to_sign AND r.id IS NULL THEN abs(c.as_found_error) ELSE 0 END AS left_error
    FROM calibration c LEFT JOIN calibration_review r ON r.calibration_id = c.id
    WHERE r.accepted IS NOT FALSE AND NOT (c.to_sign AND r.id IS NULL AND c.as_found_ok)
"""
"""The calibrations that count, by what they say: one that is not signed yet takes trust away and gives none, so a good
one waits and a failed one is due again at once, as one is that was left beyond its tolerance. A refused one counts for
nothing.
"""
_DUE = text(f"SELECT due_at FROM ({IN_FORCE}) f WHERE sensor_id = :sensor ORDER BY done_at DESC, id DESC LIMIT 1")  # noqa: S608 - a constant
_LAST_GOOD = text(
    f"SELECT max(done_at) FROM ({IN_FORCE}) f WHERE sensor_id = :sensor AND as_found_ok AND done_at < :before"  # noqa: S608 - a constant
)
_SIGN_OFF, _WITHIN = "calibration.sign_off", working_days(5)


# --- plans


def create_plan(
    u: Unit, *, sensor_id: int, interval: timedelta, tolerance: float, guarded: bool, sign_off: bool
) -> CalibrationPlan:
    """The sensor is calibrated so often from now on. Raises Conflict where it has a plan."""
    sensor = u.get_one(Sensor, sensor_id, lock=True)
    require_at_own_site(u, sensor_id)
    if plan_of(u, sensor_id) is not None:
        raise Conflict("catalog.planned_already", serial=sensor.serial)
    made = CalibrationPlan(
        sensor_id=sensor_id,
        interval=interval,
        tolerance=tolerance,
        guarded=guarded,
        sign_off=sign_off,
        due_at=_due(u, sensor_id) or u.now,
    )
    add_row(u, made, "calibration_plan")
    _begin_deadline(u, made, sensor)
    return made


def withdraw_plan(u: Unit, plan_id: int, *, reason: str) -> CalibrationPlan:
    """The sensor is not calibrated any more: nobody is told of it again."""
    plan = u.get_one(CalibrationPlan, plan_id, lock=True)
    require_at_own_site(u, plan.sensor_id)
    PLAN.apply(u, plan, "withdraw", reason=reason)
    deadlines.cancel(u, CALIBRATION, "sensor", plan.sensor_id)
    return plan


def plan_of(u: Unit, sensor_id: int) -> CalibrationPlan | None:
    """The sensor's plan."""
    c = table(CalibrationPlan).c
    return u.session.scalars(select(CalibrationPlan).where(c.sensor_id == sensor_id, c.state == ACTIVE)).first()


def _due(u: Unit, sensor_id: int) -> datetime | None:
    """When the sensor's next calibration is due, by the last one that counts."""
    found: datetime | None = u.conn.execute(_DUE, {"sensor": sensor_id}).scalar()
    return found


def _begin_deadline(u: Unit, plan: CalibrationPlan, sensor: Sensor) -> None:
    site_id = site_of(u, sensor.id, u.now)
    deadlines.begin(u, CALIBRATION, "sensor", sensor.id, sensor.serial, site_id=site_id, due_at=plan.due_at)


# --- calibrations


def record_calibration(
    u: Unit,
    sensor_id: int,
    done_at: datetime,
    due_at: datetime | None = None,
    *,
    as_found_ok: bool | None = None,
    as_found_error: float = 0.0,
    as_found_tolerance: float | None = None,
    as_left_error: float | None = None,
    uncertainty: float | None = None,
    certificate: str = "",
) -> Calibration:
    """A calibration; a failed as-found check re-judges everything since the last good one.

    Whether it passed follows from error and tolerance, where it is not said; tolerance and next due time are the
    plan's, where they are not. Raises Invalid (said otherwise than these say, a failure without an error, no due time),
    NotFound, Forbidden (it stood at another site).
    """
    sensor, plan = get(u, Sensor, sensor_id), plan_of(u, sensor_id)
    require_at_own_site(u, sensor_id, done_at)
    due_at = due_at or (done_at + plan.interval if plan is not None else None)
    if due_at is None:
        raise Invalid("catalog.when_due", serial=sensor.serial)
    if due_at <= done_at:
        raise Invalid("catalog.due_before_done")
    if done_at > u.now:
        raise Invalid("catalog.not_happened", at=done_at)
    tolerance = as_found_tolerance if as_found_tolerance is not None or plan is None else plan.tolerance
    guarded = plan is not None and plan.guarded
    if guarded and uncertainty is None:
        raise Invalid("catalog.uncertainty_missing", serial=sensor.serial)
    made = Calibration(
        sensor_id=sensor_id,
        done_at=done_at,
        due_at=due_at,
        as_found_ok=calibration_passed(as_found_ok, as_found_error, tolerance, uncertainty, guarded=guarded),
        as_found_error=as_found_error,
        as_found_tolerance=tolerance,
        as_left_error=as_left_error,
        as_left_ok=left_good(as_left_error, tolerance, uncertainty, guarded=guarded),
        uncertainty=uncertainty,
        guarded=guarded,
        certificate=certificate,
        to_sign=plan is not None and plan.sign_off,
        recorded_by=u.actor.login,
        known_at=u.now,
    )
    add_row(u, made, "calibration")
    if made.to_sign:
        _ask_second_person(u, made, sensor)
    _judge_again(u, sensor_id, done_at if made.as_found_ok else _last_good(u, sensor_id, done_at))
    _move_due(u, sensor)
    return made


def sign_off_signing(calibration_id: int, *, reason: str) -> Signing[Calibration]:
    """A second person signs that the calibration counts, by its certificate."""
    act = Act(Message("meaning.calibration_sign_off"), "calibration", (str(calibration_id),), reason)
    return Signing("calibration.approve", act, lambda u, proof: _sign_off(u, calibration_id, act, proof))


def _sign_off(u: Unit, calibration_id: int, act: Act, proof: Proof) -> Calibration:
    found, sensor = _to_review(u, calibration_id)
    files = attachments.fingerprint(u, "calibration", calibration_id)
    if not files:
        raise Refused("catalog.no_certificate_file", serial=sensor.serial)
    record = {**found.model_dump(), "files": files}
    signature = begin_signing(u, proof, act).sign(calibration_id, record)
    _review(u, found, accepted=True, reason=act.reason, signature_id=signature.id)
    _judge_again(u, found.sensor_id, found.done_at)
    _move_due(u, sensor)
    return found


def refuse_calibration(u: Unit, calibration_id: int, *, reason: str) -> Calibration:
    """A second person says that it was not done so: it counts for nothing, and what it changed is judged again."""
    found, sensor = _to_review(u, calibration_id)
    since = found.done_at if found.as_found_ok else _last_good(u, found.sensor_id, found.done_at)
    _review(u, found, accepted=False, reason=reason)
    _judge_again(u, found.sensor_id, since)
    _move_due(u, sensor)
    return found


def _to_review(u: Unit, calibration_id: int) -> tuple[Calibration, Sensor]:
    """Raises Refused (nobody asks for it, decided already), Forbidden (whoever has recorded it)."""
    found = u.get_one(Calibration, calibration_id)
    sensor = u.get_one(Sensor, found.sensor_id, lock=True)
    require_at_own_site(u, found.sensor_id, found.done_at)
    if not found.to_sign:
        raise Refused("catalog.not_to_be_signed", serial=sensor.serial)
    c = table(CalibrationReview).c
    by = u.conn.execute(select(c.reviewed_by).where(c.calibration_id == calibration_id)).scalar()
    if by is not None:
        raise Refused("catalog.reviewed_already", login=by)
    if found.recorded_by == u.actor.login:
        move, record = Message("move.calibration.sign_off"), Message("record.calibration")
        raise Forbidden("workflow.second_person", move=move, record=record, login=u.actor.login)
    return found, sensor


def _review(u: Unit, found: Calibration, *, accepted: bool, reason: str, signature_id: int | None = None) -> None:
    review = CalibrationReview(
        calibration_id=found.id,
        sensor_id=found.sensor_id,
        accepted=accepted,
        reason=reason,
        signature_id=signature_id,
        reviewed_by=u.actor.login,
        reviewed_at=u.now,
    )
    u.session.add(review)
    u.session.flush()
    name = "sign_off" if accepted else "refuse"
    u.audit(f"calibration.{name}", "calibration", found.id, reason=reason, after={"accepted": accepted})
    u.outbox(f"calibration.{name}", found.id, {"sensor_id": found.sensor_id, "accepted": accepted})
    tasks.finish(u, "calibration", found.id, _SIGN_OFF, conclusion=reason)


def _ask_second_person(u: Unit, made: Calibration, sensor: Sensor) -> None:
    site_id = site_of(u, sensor.id, u.now)
    tasks.open_task(
        u,
        _SIGN_OFF,
        Message("catalog.sign_off_calibration", serial=sensor.serial, done=made.done_at),
        due_at=due(calendars.of(u, site_id), u.now, _WITHIN),
        permit="calibration.approve",
        entity="calibration",
        entity_id=made.id,
        site_id=site_id,
    )


def _move_due(u: Unit, sensor: Sensor) -> None:
    """Where the sensor has a plan, its deadline follows the last calibration that counts."""
    plan = plan_of(u, sensor.id)
    due_at = _due(u, sensor.id)
    if plan is None or due_at is None or due_at == plan.due_at:
        return
    before, plan.due_at = plan.due_at, due_at
    u.session.add(plan)
    u.session.flush()
    u.audit("calibration_plan.due", "calibration_plan", plan.id, before={"due_at": before}, after={"due_at": due_at})
    if due_at > before:
        deadlines.meet(u, CALIBRATION, "sensor", sensor.id)
    else:
        deadlines.cancel(u, CALIBRATION, "sensor", sensor.id)
    _begin_deadline(u, plan, sensor)


def _judge_again(u: Unit, sensor_id: int, since: datetime) -> None:
    """Everything where the sensor has spoken since then."""
    i, p = table(Installation), table(Point)
    zones: Sequence[Any] = u.conn.scalars(
        select(p.c.zone_id)
        .distinct()
        .join(i, i.c.point_id == p.c.id)
        .where(i.c.sensor_id == sensor_id, or_(i.c.to_at.is_(None), i.c.to_at > since))
        .order_by(p.c.zone_id)
    ).all()
    u.emit(JudgingChanged(tuple(zones), (), since, "calibration"))


def _last_good(u: Unit, sensor_id: int, before: datetime) -> datetime:
    """When the sensor was last found good before then, or else first installed."""
    i = table(Installation).c
    good = u.conn.execute(_LAST_GOOD, {"sensor": sensor_id, "before": before}).scalar()
    first = select(func.min(i.from_at)).where(i.sensor_id == sensor_id)
    return good or u.conn.execute(first).scalar() or before
