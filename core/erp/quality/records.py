"""The records of quality: deviations."""

from core.erp.kernel.records import Column, Entity, Files, Verb
from core.erp.quality import service
from core.erp.quality.model import Deviation
from core.erp.quality.scopes import DEVIATIONS
from core.erp.quality.shapes import ConclusionIn, DeviationOut
from core.erp.quality.workflow import DEVIATION, OPEN

DEVIATION_RECORDS = Entity(
    name="deviation",
    path="deviations",
    table=Deviation,
    read="quality.read",
    scope=DEVIATIONS,
    cycle=DEVIATION,
    answer=DeviationOut,
    columns=(
        Column("state", filter="in"),
        Column("sublot_id", filter="eq", link="sublot"),
        Column("shipment_id", filter="eq", link="shipment"),
        Column("happened_at", filter="range"),
    ),
    files=Files("excursion.disposition", states=frozenset({OPEN})),
    verbs=(Verb("close", ConclusionIn, service.close_deviation),),
)

ENTITIES = (DEVIATION_RECORDS,)
