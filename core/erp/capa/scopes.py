"""Which CAPA somebody sees: those of their own sites, with their actions."""

from core.erp.capa.model import Capa, CapaAction
from core.erp.kernel.scope import Visible, linked, sites
from core.erp.kernel.tables import table

_capa, _action = table(Capa).c, table(CapaAction).c

CAPAS = sites(_capa.site_id)
ACTIONS = linked(_action.capa_id, "capa")

VISIBLE = (Visible("capa", _capa.id, CAPAS, label=_capa.number), Visible("capa_action", _action.id, ACTIONS))
