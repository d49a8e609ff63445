"""What the database itself guards in production."""

from core.erp.kernel.ddl import append_only, no_removal

DDL: tuple[str, ...] = (
    *append_only("work_centre_state"),
    *append_only("work_order_output"),
    *append_only("bom_line"),
    *no_removal("work_order"),
)
