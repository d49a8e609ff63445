"""Which channels work, as the deliveries of the last hour say."""

from datetime import timedelta

from sqlalchemy import text

from core.erp.kernel.unit import Unit

LOOKED_AT = timedelta(hours=1)
FAILS = 2
"""So many attempts in a row that came to nothing: the channel is down."""
_DOWN = text("""
    SELECT channel FROM (
        SELECT channel, outcome, row_number() OVER (PARTITION BY channel ORDER BY began_at DESC, id DESC) AS n
        FROM alert_delivery WHERE began_at > :since AND outcome IN ('sent', 'later')
    ) d WHERE n <= :fails GROUP BY channel HAVING count(*) = :fails AND bool_and(outcome = 'later')
""")


def channels_down(u: Unit) -> frozenset[str]:
    """Kinds of ways whose last attempts all came to nothing."""
    return frozenset(u.conn.scalars(_DOWN, {"since": u.now - LOOKED_AT, "fails": FAILS}))
