"""How the rows of custody may change."""

from core.erp.custody.model import CustodyFact, HandlingUnit, HandlingUnitContent
from core.erp.kernel.guarded import Guarded

TABLES = (
    Guarded(CustodyFact, append_only=True),
    Guarded(HandlingUnit, kept=True),
    Guarded(HandlingUnitContent, kept=True, dated=True),
)
