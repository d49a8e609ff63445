"""The records of custody: every fact ever learned about where goods were."""

from core.erp.custody import service
from core.erp.custody.model import CustodyFact
from core.erp.custody.scopes import FACTS
from core.erp.custody.shapes import FactOut
from core.erp.kernel.records import Column, Entity, Verb
from core.erp.kernel.shapes import ReasonIn

CUSTODY_FACTS = Entity(
    name="custody_fact",
    path="custody-facts",
    table=CustodyFact,
    read="custody.read",
    scope=FACTS,
    answer=FactOut,
    columns=(
        Column("sublot_id", filter="eq", link="sublot"),
        Column("zone_id", filter="eq", link="zone"),
        Column("at", filter="range"),
    ),
    verbs=(Verb("retract", ReasonIn, service.retract, permit="custody.post", answer=FactOut, status=201),),
    order="id",
)

ENTITIES = (CUSTODY_FACTS,)
