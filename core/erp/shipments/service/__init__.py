"""What shipments do, inside a transaction somebody else opened."""

from core.erp.shipments.service.consignees import name_consignee
from core.erp.shipments.service.facts import arrived, departed, returned
from core.erp.shipments.service.field_actions import close_field_action, notify_consignee, open_field_actions
from core.erp.shipments.service.hand_over import hand_over, hand_over_obstacles, hand_over_signing
from core.erp.shipments.service.hold_shipments import hold_those_with_held_goods, on_hold_placed
from core.erp.shipments.service.journey import accept, cancel, dispatch, open_tasks, pick, put_back, refuse
from core.erp.shipments.service.loggers import (
    confirm_logger_read,
    mark_logger_read,
    unread_loggers,
    veto_release,
    waive_logger,
    waiver_signing,
)
from core.erp.shipments.service.planning import (
    PlannedLeg,
    RequiredLogger,
    add_line,
    create,
    get_line,
    get_shipment,
    legs_of,
    lines_of,
    pack,
    require_logger,
)
from core.erp.shipments.workflow import outstanding

__all__ = [
    "PlannedLeg",
    "RequiredLogger",
    "accept",
    "add_line",
    "arrived",
    "cancel",
    "close_field_action",
    "confirm_logger_read",
    "create",
    "departed",
    "dispatch",
    "get_line",
    "get_shipment",
    "hand_over",
    "hand_over_obstacles",
    "hand_over_signing",
    "hold_those_with_held_goods",
    "legs_of",
    "lines_of",
    "mark_logger_read",
    "name_consignee",
    "notify_consignee",
    "on_hold_placed",
    "open_field_actions",
    "open_tasks",
    "outstanding",
    "pack",
    "pick",
    "put_back",
    "refuse",
    "require_logger",
    "returned",
    "unread_loggers",
    "veto_release",
    "waive_logger",
    "waiver_signing",
]
