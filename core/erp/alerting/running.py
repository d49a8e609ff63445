"""What alerting does by itself: the steps whose time has come, repeats, all-clears, messages kept back. Timers are
rows: they outlive a restart, and what was missed is done late, once, and says so.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update

from core.erp.alerting.model import Alert
from core.erp.alerting.rules.events import Severity
from core.erp.alerting.service import messages, telling
from core.erp.alerting.service.checking import check_routes
from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, When, clock_of, system, transact

log = logging.getLogger(__name__)

_SYSTEM = system("alerts")
AT_ONCE = 500
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)


def run(engine: Engine, events: Events, when: When = None) -> int:
    """Does everything that is due; gives how many alerts were looked at. Two may do so at once."""
    done = 0
    while count := _some(engine, events, when, AT_ONCE):
        done += count
    while transact(engine, _SYSTEM, events, lambda u: messages.release(u, AT_ONCE), when):
        pass
    return done


def check(engine: Engine, events: Events, when: When = None) -> None:
    """Looks whether every route reaches somebody."""
    transact(engine, _SYSTEM, events, check_routes, when)


def _some(engine: Engine, events: Events, when: When, most: int) -> int:
    """The alerts that are due, in one transaction; where that fails, one by one, so that no fault costs another."""
    now, seen = clock_of(when)(), list[int]()

    def work(u: Unit, limit: int) -> int:
        due = _due(u, now, limit)
        seen[:] = [one.id for one in due]
        if due:
            telling.tell(u, due)
        return len(due)

    try:
        return transact(engine, _SYSTEM, events, lambda u: work(u, most), when)
    except Exception as error:  # one alert's fault costs no other: they are told one by one
        if not seen:
            raise
        log.exception("telling %d alerts at once failed", len(seen))
        if len(seen) == 1:
            _postpone(engine, seen[0], now, error)
            return 1
    return _some(engine, events, when, 1)


def _due(u: Unit, now: datetime, most: int) -> list[Alert]:
    a = table(Alert).c
    harm_first = (a.severity == Severity.HARM).desc()
    wanted = select(Alert).where(a.next_at <= now).order_by(harm_first, a.next_at, a.id).limit(most)
    return list(u.session.scalars(wanted.with_for_update(skip_locked=True)))


def _postpone(engine: Engine, alert_id: int, now: datetime, error: Exception) -> None:
    a = table(Alert)
    log.error("alert %s is told later: %s", alert_id, error)
    with engine.begin() as conn:
        failures = conn.scalar(select(a.c.failures).where(a.c.id == alert_id)) or 0
        wait = min(FIRST_WAIT * 2 ** min(failures, 10), LONGEST_WAIT)
        conn.execute(update(a).where(a.c.id == alert_id).values(failures=failures + 1, next_at=now + wait))
