"""What hangs on a record, as its page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.erp.kernel.attachments import service
from core.erp.kernel.attachments.shapes import AttachmentOut, shown
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.unit import Unit
from core.web.frame.visit import Visit


@dataclass(frozen=True, slots=True)
class Files:
    """What hangs on a record, and whether its reader may add to it now."""

    documents: list[AttachmentOut]
    address: str
    may_attach: bool


def files_of(u: Unit, entity: Entity, visit: Visit, row: Mapping[str, Any]) -> Files | None:
    """None for a kind of record that files do not hang on."""
    if entity.files is None:
        return None
    open_now = entity.files.states is None or row.get("state") in entity.files.states
    documents = [shown(one) for one in service.of(u, entity.name, row["id"])]
    return Files(documents, f"/{entity.path}/{row['id']}/files", open_now and visit.may(entity.files.permit))
