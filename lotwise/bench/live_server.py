"""The core for `lotwise bench live`: `python -m lotwise.bench.live_server PORT`.

As `lotwise serve` runs it, with one region more: every zone with its value, drawn once a second for all who see the
same.
"""

import sys
from html import escape

import uvicorn
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import text

from core.app import create_app
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.door import needs
from core.erp.kernel.unit import Unit
from core.ingest.file_import import FileImporter
from core.settings import Settings
from core.web import live
from core.web.desks.plant.queries import ZoneNow
from core.web.desks.plant.queries import zones as zones_of
from core.web.frame.installing import install
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visiting
from lotwise.bench.plant import BENCH_KEYS
from lotwise.served import configured
from lotwise.serving import listening

router = page_routes()
_HOLDS = text("SELECT count(*) FROM hold WHERE lifted_at IS NULL")


@router.get("/bench/zones")
@needs("catalog.read")
def zones(visit: Visiting, request: Request) -> Response:
    """The region."""
    return live.shared(request, visit.actor, lambda: HTMLResponse(visit.read(_drawn)))


def _drawn(u: Unit) -> str:
    tiles = "".join(map(_tile, zones_of(u)))
    return f'<div data-holds="{u.conn.scalar(_HOLDS)}">{tiles}</div>'


def _tile(zone: ZoneNow) -> str:
    return (
        f'<a class="tile" href="/zones/{zone.id}"><h3>{escape(zone.name)}</h3><b>{zone.value:.1f} °C</b>'
        f"<span>{zone.read_at}</span><span>{zone.goods} / {zone.held}</span></a>"
    )


def main(port: int) -> None:
    """Serves until it is told to end."""
    settings = Settings()
    assert settings.database_url is not None
    app = create_app(settings, open_engine(settings.database_url, BENCH_KEYS, pool_size=20))
    app.include_router(router)
    install(app, FileImporter(live=True))
    with listening("127.0.0.1", port) as socket:
        uvicorn.Server(configured(app, settings)).run(sockets=[socket])


if __name__ == "__main__":
    main(int(sys.argv[1]))
