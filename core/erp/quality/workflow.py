"""Life cycles of quality: excursions, deviations and zone alarms (design §5)."""

from core.erp.kernel.workflow import Move, Workflow

OPEN, ENDED, ASSESSED, DISPOSITIONED, CLOSED = "open", "ended", "assessed", "dispositioned", "closed"
SUPERSEDED = "superseded"

EXCURSION = Workflow(
    "excursion",
    (
        Move("end", frozenset({OPEN}), ENDED),
        # Late data may show that the limit was still out, whatever was thought of it: the assessment is void then.
        Move("reopen", frozenset({ENDED, ASSESSED}), OPEN),
        Move("assess", frozenset({ENDED}), ASSESSED, needs="excursion.assess", reasoned=True),
        Move("dispose", frozenset({ASSESSED}), DISPOSITIONED, needs="excursion.disposition", reasoned=True),
        Move("close", frozenset({DISPOSITIONED}), CLOSED, needs="excursion.disposition"),
        Move("supersede", frozenset({OPEN, ENDED, ASSESSED}), SUPERSEDED),
    ),
)

DEVIATION = Workflow(
    "deviation", (Move("close", frozenset({"open"}), "closed", needs="excursion.disposition", reasoned=True),)
)

UNACKNOWLEDGED, ACKNOWLEDGED, RETURNED, NORMAL = "unacknowledged", "acknowledged", "returned_unacknowledged", "normal"

ALARM = Workflow(
    "alarm",
    (
        Move("acknowledge", frozenset({UNACKNOWLEDGED}), ACKNOWLEDGED, needs="alarm.acknowledge"),
        Move("acknowledge_returned", frozenset({RETURNED}), NORMAL, needs="alarm.acknowledge"),
        Move("return", frozenset({UNACKNOWLEDGED}), RETURNED),
        Move("clear", frozenset({ACKNOWLEDGED}), NORMAL),
    ),
)
