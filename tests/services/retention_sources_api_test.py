"""The routes by which an administrator sees sources and retires one."""

import httpx
from sqlalchemy import Engine

from core.erp.exposure.judge.judge import Judge
from core.ingest.transaction import IngestTransaction
from tests.services import ingest_api_test
from tests.services.ingest_support import ZONE, Gateway, add_points, fold, mark

http = ingest_api_test.http


def test_a_source_is_seen_and_retired(engine: Engine, http: httpx.Client) -> None:
    add_points(engine)
    fold(engine, IngestTransaction(judge=Judge(), live=False), Gateway().cut([], [mark(10), mark(5, source="gone")]))
    admin, quality = ingest_api_test.Client(http, "admin"), ingest_api_test.Client(http, "quality")
    assert [(each["source"], each["zones"], each["retired_at"]) for each in quality.get("/ingest/sources")] == [
        ("gone", 1, None),
        ("probes", 1, None),
    ]
    why = {"reason": "freezer 3 was taken out of service"}
    quality.post("/ingest/sources/gw-1/gone/retire", why, 403)
    assert admin.post("/ingest/sources/gw-1/gone/retire", why, 201)["zones"] == [ZONE]
    assert [each["retired_at"] is None for each in quality.get("/ingest/sources", gateway="gw-1")] == [False, True]
    admin.post("/ingest/sources/gw-1/gone/retire", why, 409)
    admin.post("/ingest/sources/gw-1/nobody/retire", why, 404)
    admin.post("/ingest/sources/gw-1/probes/retire", {"reason": ""}, 422)
