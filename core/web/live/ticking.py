"""Which zones have a new value: asked once a second for everybody together, since readings tell nobody."""

from typing import Any

from sqlalchemy import Engine, text

TICK_EVERY = 1.0
Values = dict[int, tuple[Any, ...]]

_VALUES = text("SELECT zone_id, last_value, last_good_at, silent_since FROM zone_judged")


def zone_values(engine: Engine) -> Values:
    """What pages show of every zone that was ever judged, by its id."""
    with engine.connect() as conn:
        return {row[0]: tuple(row[1:]) for row in conn.execute(_VALUES)}


def changed_zones(before: Values, now: Values) -> list[str]:
    """The topics of zones whose values are not what they were."""
    return [f"zone:{zone}" for zone, values in now.items() if before.get(zone) != values]
