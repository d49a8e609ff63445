"""The process that `capa_numbers_test` kills: it has opened a CAPA, says its number, and never commits.

`capa_victim.py URL SITE`.
"""

import sys
import time
from datetime import UTC, datetime

from core.erp.capa.service import open_capa
from core.erp.kernel.unit import Unit, system, unit
from core.wiring import build_events
from tests.keys import opened

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def open_one(u: Unit, site: int) -> str:
    """Opens one at the site; its number."""
    of: dict[str, None] = {"deviation_id": None, "incident_id": None}
    made = open_capa(
        u, site_id=site, kind="corrective", source="other", reference="drill", title="title", problem="problem", **of
    )
    return made.number


def main(url: str, site: int) -> None:
    with unit(opened(url), system("victim"), build_events(), NOW) as u:
        number = open_one(u, site)
        u.flush()
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
