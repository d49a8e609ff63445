"""The records of the catalog: sites."""

from core.erp.catalog import service
from core.erp.catalog.model import Site
from core.erp.catalog.scopes import SITES
from core.erp.catalog.shapes import SiteChange, SiteIn, SiteOut
from core.erp.kernel.records import Change, Column, Create, Entity, Search
from core.erp.kernel.tables import table

_S = table(Site).c

SITE_RECORDS = Entity(
    name="site",
    path="sites",
    table=Site,
    read="catalog.read",
    scope=SITES,
    answer=SiteOut,
    label="code",
    columns=(Column("code", filter="eq", sort=True, search=True),),
    search=(Search(_S.name, within=True),),
    create=Create("catalog.manage", SiteIn, act=service.create_site),
    change=Change("catalog.manage", SiteChange),
    order="id",
)

ENTITIES = (SITE_RECORDS,)
