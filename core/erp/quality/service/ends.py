"""Until when an excursion's run is known to have gone: its end or, for one signed before that, the signature."""

from sqlalchemy import ColumnElement, func, select

from core.erp.kernel.tables import table
from core.erp.quality.model import Disposition, Excursion

_e, _d = table(Excursion), table(Disposition)


def known_end() -> ColumnElement[object]:
    """For a statement on excursions. None while one goes on that nobody has signed."""
    signed = select(func.max(_d.c.at)).where(_d.c.excursion_id == _e.c.id).correlate(_e).scalar_subquery()
    return func.coalesce(_e.c.ended_at, signed)
