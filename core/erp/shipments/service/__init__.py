"""What shipments do, inside a transaction somebody else opened."""

from core.erp.shipments.service.facts import arrived, departed, returned
from core.erp.shipments.service.field import close_field_action, open_field_actions, told
from core.erp.shipments.service.journey import accept, cancel, dispatch, open_tasks, pick, put_back, refuse
from core.erp.shipments.service.loggers import confirm_read, logger_read, veto, waive_logger, waiving
from core.erp.shipments.service.planning import (
    Leg,
    Logger,
    add_line,
    create,
    get_line,
    get_shipment,
    legs_of,
    lines_of,
    pack,
    require_logger,
)
from core.erp.shipments.service.stopping import stop, stop_these
from core.erp.shipments.workflow import outstanding

__all__ = [
    "Leg",
    "Logger",
    "accept",
    "add_line",
    "arrived",
    "cancel",
    "close_field_action",
    "confirm_read",
    "create",
    "departed",
    "dispatch",
    "get_line",
    "get_shipment",
    "legs_of",
    "lines_of",
    "logger_read",
    "open_field_actions",
    "open_tasks",
    "outstanding",
    "pack",
    "pick",
    "put_back",
    "refuse",
    "require_logger",
    "returned",
    "stop",
    "stop_these",
    "told",
    "veto",
    "waive_logger",
    "waiving",
]
