"""The life cycles of master data and of calibration plans."""

from core.erp.catalog.withdrawal import ACTIVE, WITHDRAWN, life_cycle
from core.erp.kernel.workflow import Move, Workflow

MANAGE, POINTS, PROFILES = "catalog.manage", "catalog.points", "catalog.profiles"
MAKES_SITES, MANAGES_ITEMS = "catalog.sites", "catalog.items"

SITE, ZONE, ITEM = life_cycle("site", MANAGE), life_cycle("zone", MANAGE), life_cycle("item", MANAGES_ITEMS)
POINT, SENSOR = life_cycle("point", POINTS), life_cycle("sensor", POINTS)
PROFILE = life_cycle("storage_profile", PROFILES)

PLAN = Workflow(
    "calibration_plan",
    (Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit="calibration.plan", reasoned=True),),
    begins=(ACTIVE,),
)
