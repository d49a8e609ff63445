"""Life cycles of quality: excursions, deviations and zone alarms (design §5)."""

from core.erp.kernel.workflow import Move, Workflow

OPEN, ENDED, ASSESSED, DISPOSITIONED, CLOSED = "open", "ended", "assessed", "dispositioned", "closed"
SUPERSEDED = "superseded"

EXCURSION = Workflow(
    "excursion",
    (
        Move("end", frozenset({OPEN}), ENDED, system=True),
        # Late data may show that the limit was still out, whatever was thought of it: the assessment is void then.
        Move("reopen", frozenset({ENDED, ASSESSED}), OPEN, system=True),
        Move("assess", frozenset({ENDED}), ASSESSED, permit="excursion.assess", reasoned=True),
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
        Move("acknowledge", frozenset({UNACKNOWLEDGED}), ACKNOWLEDGED, permit="alarm.acknowledge"),
        Move("acknowledge_returned", frozenset({RETURNED}), NORMAL, permit="alarm.acknowledge"),
        Move("return", frozenset({UNACKNOWLEDGED}), RETURNED, system=True),
        Move("clear", frozenset({ACKNOWLEDGED}), NORMAL, system=True),
    ),
    begins=(UNACKNOWLEDGED,),
    table="zone_alarm",
)
