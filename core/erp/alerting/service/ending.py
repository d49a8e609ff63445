"""The end of alerts: whoever was told of one is told that it is over, once."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text

from core.erp.alerting.model import Alert
from core.erp.alerting.rules.events import LASTING
from core.erp.alerting.service.messages import ALL_CLEAR, Receiver, Tellings
from core.erp.alerting.service.people import People
from core.erp.alerting.workflow import ALERT
from core.erp.kernel.unit import Unit


def end(u: Unit, people: People, over: Sequence[Alert], tellings: Tellings) -> None:
    """They are over, and `tellings` gains whom that is told to."""
    if not over:
        return
    told = _told_of(u, [one.id for one in over])
    for alert in over:
        ALERT.apply(u, alert, "end", also={"entity": alert.entity, "entity_id": alert.entity_id})
    u.session.flush()
    places = (ids for rows in told.values() for login, _, _, ids in rows if login is None)
    sounding = _sounding(u, {one for ids in places for one in ids if one is not None})
    for alert in over:
        if alert.event not in LASTING:
            continue
        for login, called, language, way_ids in told.get(alert.id, ()):
            receiver = _still(people, login, called, language, [one for one in way_ids if one not in sounding])
            if receiver.login is not None or receiver.ways:
                tellings.add(receiver, alert, ALL_CLEAR)


def _still(people: People, login: str | None, called: str, language: str, way_ids: Sequence[int]) -> Receiver:
    """Whom it was told to, by the ways that there are now."""
    if login is None:
        places = [place.way for one in way_ids if one is not None and (place := people.place(one)) is not None]
        return Receiver(None, called, language, tuple(places))
    return Receiver(login, called, language, tuple(people.ways(login)))


_TOLD_OF = text("""
    SELECT a.id, m.login, m.called, min(m.language) AS language, array_agg(DISTINCT m.way_id) AS ways
    FROM unnest(CAST(:ids AS bigint[])) AS a(id) JOIN alert_message m ON m.alert_ids @> ARRAY[a.id]
    WHERE m.kind <> 'all_clear' GROUP BY a.id, m.login, m.called ORDER BY a.id, m.login, m.called
""")


def _told_of(u: Unit, ids: Sequence[int]) -> dict[int, list[tuple[str | None, str, str, list[int]]]]:
    found: dict[int, list[tuple[str | None, str, str, list[int]]]] = defaultdict(list)
    for alert, *receiver in u.conn.execute(_TOLD_OF, {"ids": list(ids)}):
        found[alert].append((receiver[0], receiver[1], receiver[2], receiver[3]))
    return found


_SOUNDING = text("""
    SELECT w.id FROM unnest(CAST(:ids AS bigint[])) AS w(id) WHERE EXISTS (
        SELECT FROM alert_message m JOIN alert a ON a.id = ANY (m.alert_ids)
        WHERE m.way_id = w.id AND m.channel = 'mqtt' AND m.kind <> 'all_clear' AND a.state <> 'over')
""")


def _sounding(u: Unit, ways: set[int]) -> set[int]:
    """Of these, sirens and lamps that something else keeps on: the end of one alarm does not switch them off."""
    return set(u.conn.scalars(_SOUNDING, {"ids": sorted(ways)}))
