"""What the ingest's tables need beyond their columns."""

from core.erp.kernel.ddl import append_only, no_removal

DDL: tuple[str, ...] = (*append_only("epoch_closed"), *no_removal("dead_letter"), *no_removal("ingest_alarm"))
