"""Life cycles of quality: excursions, deviations and zone alarms (design §5)."""

from typing import Any

from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Move, Workflow
from core.erp.lots import service as lots

OPEN, ENDED, ASSESSED, DISPOSITIONED, CLOSED = "open", "ended", "assessed", "dispositioned", "closed"
SUPERSEDED = "superseded"


def over_or_unwatched(u: Unit, excursion: Any) -> None:
    """Refused while an excursion goes on whose goods are measured: it is assessed when it has ended.

    Where nothing good was read of them for longer than their profile allows, nothing can end it: QA need not wait.
    """
    if excursion.state == OPEN and not lots.unjudged(u, [excursion.sublot_id]):
        raise Refused("quality.still_going_on", excursion_id=excursion.id)


EXCURSION = Workflow(
    "excursion",
    (
        Move("end", frozenset({OPEN}), ENDED, system=True),
        # Late data may show that the limit was still out, whatever was thought of it: the assessment is void then.
        Move("reopen", frozenset({ENDED, ASSESSED}), OPEN, system=True),
        Move(
            "assess",
            frozenset({OPEN, ENDED}),
            ASSESSED,
            permit="excursion.assess",
            guard=over_or_unwatched,
            reasoned=True,
        ),
        Move(
            "dispose",
            frozenset({ASSESSED}),
            DISPOSITIONED,
            permit="excursion.disposition",
            reasoned=True,
            meaning="meaning.disposition",
        ),
        Move("close", frozenset({DISPOSITIONED}), CLOSED, permit="excursion.disposition"),
        Move("supersede", frozenset({OPEN, ENDED, ASSESSED}), SUPERSEDED, system=True),
    ),
    begins=(OPEN, ENDED),
)

DEVIATION = Workflow(
    "deviation",
    (Move("close", frozenset({OPEN}), CLOSED, permit="excursion.disposition", reasoned=True),),
    begins=(OPEN,),
)

UNACKNOWLEDGED, ACKNOWLEDGED, RETURNED, NORMAL = "unacknowledged", "acknowledged", "returned_unacknowledged", "normal"

ALARM = Workflow(
    "alarm",
    (
        # whoever acknowledges says what is done: by every door
        Move("acknowledge", frozenset({UNACKNOWLEDGED}), ACKNOWLEDGED, permit="alarm.acknowledge", reasoned=True),
        Move("acknowledge_returned", frozenset({RETURNED}), NORMAL, permit="alarm.acknowledge", reasoned=True),
        Move("return", frozenset({UNACKNOWLEDGED}), RETURNED, system=True),
        Move("clear", frozenset({ACKNOWLEDGED}), NORMAL, system=True),
    ),
    begins=(UNACKNOWLEDGED,),
    table="zone_alarm",
)
