"""Taking the next number of a series, in the transaction that stores it."""

from datetime import date

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel.numbering.model import NumberCounter
from core.erp.kernel.numbering.rules import Series
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit


def take(u: Unit, series: Series, *, site: str = "", day: date | None = None) -> str:
    """The next number of the series: CAPA-2026-0007. Store it in this transaction, in a unique column.

    `site` is the site's code, `day` the day it is there (UTC's today): it gives the year. A gapless number is had by
    this transaction alone until it ends; undone, it is the next one's. Take it last: nobody else gets a number of that
    series meanwhile. Raises ValueError where the pattern wants a site and none is given.
    """
    year = (day or u.now.date()).year
    if not series.gapless:
        n = u.conn.execute(text("SELECT nextval(CAST(:name AS regclass))"), {"name": f"number_{series.name}"}).scalar()
        return series.render(int(n or 0), site=site, year=year)
    at, of = series.scope(site, year)
    counter = table(NumberCounter)
    first = upsert(NumberCounter).values(series=series.name, site=at, year=of, last=1)
    following = first.on_conflict_do_update(
        index_elements=["series", "site", "year"], set_={"last": counter.c.last + 1}
    ).returning(counter.c.last)
    ((last,),) = u.lock(following)
    return series.render(last, site=site, year=year)
