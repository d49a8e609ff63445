"""How the rows of the catalog may change: what was ever judged by them stays as it was."""

from core.erp.catalog.model import (
    Calibration,
    CalibrationPlan,
    CalibrationReview,
    Installation,
    Item,
    ItemProfile,
    Point,
    ProfileLimit,
    ProfileVersion,
    Sensor,
    Site,
    StorageProfile,
    Zone,
    ZoneNesting,
)
from core.erp.kernel.guarded import Guarded

TABLES = (
    Guarded(Site, kept=True, identity=("code",)),
    # a zone's address is its identity (design, 2.5)
    Guarded(Zone, kept=True, identity=("address", "site_id")),
    Guarded(ZoneNesting, kept=True, dated=True),
    Guarded(Point, kept=True, identity=("address", "zone_id")),
    Guarded(Sensor, kept=True, identity=("serial",)),
    Guarded(Installation, kept=True, dated=True),
    Guarded(Calibration, append_only=True),
    Guarded(CalibrationReview, append_only=True),
    Guarded(CalibrationPlan, kept=True, identity=("sensor_id",)),
    Guarded(StorageProfile, kept=True),
    Guarded(ProfileVersion, append_only=True),
    Guarded(ProfileLimit, append_only=True),
    Guarded(Item, kept=True, identity=("code",)),
    Guarded(ItemProfile, append_only=True),
)
