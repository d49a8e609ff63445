"""How rows of alerting may change: what was told, to whom and when, stays."""

from core.erp.alerting.model import (
    Absence,
    Alert,
    AlertDelivery,
    AlertMessage,
    AlertPart,
    AlertRoute,
    AlertStep,
    ContactWay,
    OnCallRota,
    OnCallSwap,
)
from core.erp.kernel.guarded import Guarded

TABLES = (
    Guarded(AlertRoute, kept=True),
    Guarded(OnCallRota, kept=True, identity=("site_id",)),
    Guarded(OnCallSwap, kept=True, identity=("rota_id",), changes=("from_at", "to_at", "login", "note", "state")),
    Guarded(Absence, kept=True, identity=("login",), changes=("from_at", "to_at", "deputy", "state")),
    Guarded(ContactWay, kept=True, identity=("login", "kind")),
    Guarded(Alert, kept=True, identity=("event", "cause", "raised_at", "drill")),
    Guarded(AlertPart, append_only=True),
    Guarded(AlertStep, kept=True, changes=("at", "done_at", "outcome", "people")),
    Guarded(
        AlertMessage,
        kept=True,
        # a summary that is kept back gains what comes meanwhile
        changes=("alert_ids", "subject", "body", "short", "not_before", "state", "sent_at", "seen_at", "failure"),
    ),
    Guarded(AlertDelivery, kept=True, changes=("ended_at", "outcome", "detail")),
)
