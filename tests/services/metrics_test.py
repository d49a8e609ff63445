"""What core and ingest tell Prometheus: on a port of their own, also while the database is away."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel.outbox import Outbox
from core.ingest import metrics as ingest_metrics
from core.ingest.transaction import IngestCounts
from core.metrics import FIGURES, FromDatabase, kind_of, told
from core.settings import Settings
from lotwise.embedded.process import free_port
from lotwise.reference import metrics_page
from tests.serving import serving

SECRET = "s" * 32


def families(said: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(said)}


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(instance="test", data_dir=folder, secret_key=SECRET, **more)


def test_the_database_is_asked_at_each_look_and_its_absence_is_told(engine: Engine) -> None:
    registry = CollectorRegistry()
    registry.register(FromDatabase(engine.url.render_as_string(hide_password=False)))
    found = families(generate_latest(registry).decode())
    assert found["lotwise_core_up"].samples[0].value == 1
    for name, meaning in FIGURES.values():
        assert found[name].documentation == meaning
        assert found[name].samples[0].value >= 0
    away = CollectorRegistry()
    away.register(FromDatabase(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"))
    found = families(generate_latest(away).decode())
    assert {name: family.samples[0].value for name, family in found.items()} == {"lotwise_core_up": 0}


def test_requests_are_counted_by_kind_and_class_where_a_port_is_set(engine: Engine, tmp_path: Path) -> None:
    from core.metrics import OUT_OF

    def counted() -> dict[tuple[str, str], float]:
        told_now = families(generate_latest(OUT_OF).decode())["lotwise_core_requests"]
        return {(s.labels["kind"], s.labels["status"]): s.value for s in told_now.samples if s.name.endswith("_total")}

    before = counted()
    for port, more in ((None, 0), (0, 1)):
        app = create_app(settings(tmp_path, metrics_port=port), engine, outbox=Outbox(), run_background=False)
        with serving(app) as client:
            assert client.get("/api/v1/instance").status_code == 200
            assert client.get("/api/v1/holds").status_code == 401
            assert client.get("/metrics").status_code == 404, "never on the port of the pages"
        after = counted()
        assert after.get(("api", "2xx"), 0) - before.get(("api", "2xx"), 0) == more
        assert after.get(("api", "4xx"), 0) - before.get(("api", "4xx"), 0) == more


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/holds", "api"), ("/static/1/style.css", "static"), ("/plant", "page"), ("/", "page")]
)
def test_kinds(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_a_taken_port_ends_the_start_with_its_number() -> None:
    port = free_port()
    with told("127.0.0.1", port, CollectorRegistry()):
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        with pytest.raises(SystemExit, match=str(port)), told("127.0.0.1", port, CollectorRegistry()):
            pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_transaction_is_counted_by_what_became_of_its_readings() -> None:
    def counted() -> dict[str, float]:
        found = families(generate_latest(ingest_metrics.OUT_OF).decode())["lotwise_ingest_readings"]
        return {s.labels["outcome"]: s.value for s in found.samples if s.name.endswith("_total")}

    before = counted()
    ingest_metrics.count(IngestCounts(batches=2, readings=9, new=5, duplicates=3, conflicts=1, dead=4), 0.1)
    after = counted()
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown == {"new": 5, "duplicate": 3, "conflict": 1, "dead": 4}


@pytest.fixture(scope="module")
def page() -> str:
    return metrics_page()


def test_every_name_is_explained_and_follows_prometheus_conventions(page: str) -> None:
    names = re.findall(r"^\| `(lotwise_(?:core|ingest)_\w+)` \| (\w+)", page, re.MULTILINE)
    assert len(names) >= 18
    for name, kind in names:
        assert kind in {"gauge", "counter", "histogram"}
        assert not any(part in name.split("_") for part in ("ms", "millis", "minutes", "kb", "mb"))
