"""The ERP: one folder a module; lower modules never import upper ones. Here each is named, and nowhere else."""

MODULES = (
    "kernel",
    "kernel.access",
    "kernel.sessions",
    "kernel.live",
    "kernel.calendars",
    "kernel.numbering",
    "kernel.attachments",
    "kernel.tasks",
    "kernel.deadlines",
    "kernel.tabular",
    "kernel.printing",
    "kernel.trail",
    "catalog",
    "partners",
    "lots",
    "custody",
    "exposure",
    "quality",
    "production",
    "shipments",
    "capa",
    "scheduling",
    "recall",
    "alerting",
)
"""Modules of the ERP, lower ones first: their tables are made and their handlers run in this order."""

BELOW = ("core.telemetry", "core.series")
ABOVE = ("core.ingest", "core.outbound", "core.web")
"""Rooms beside the ERP that bring tables, routes or handlers as modules do."""
