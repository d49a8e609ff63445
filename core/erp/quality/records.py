"""The records of quality: deviations."""

from core.erp.kernel.records import Column, Entity, Verb
from core.erp.kernel.scope import everything
from core.erp.quality import service
from core.erp.quality.model import Deviation
from core.erp.quality.shapes import ConclusionIn, DeviationOut
from core.erp.quality.workflow import DEVIATION

DEVIATIONS = Entity(
    name="deviation",
    path="deviations",
    table=Deviation,
    read="quality.read",
    scope=everything,
    cycle=DEVIATION,
    answer=DeviationOut,
    columns=(
        Column("state", filter="in"),
        Column("sublot_id", filter="eq"),
        Column("shipment_id", filter="eq"),
        Column("happened_at", filter="range"),
    ),
    verbs=(Verb("close", ConclusionIn, service.close_deviation),),
)

ENTITIES = (DEVIATIONS,)
