"""The shipped configuration of Prometheus and the boards' questions to it, on a real one where there is one."""

import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from ruamel.yaml import YAML
from sqlalchemy import Engine

from core import metrics
from core.ingest import metrics as ingest_metrics
from core.ingest.transaction import IngestCounts
from dashboards.queries import Span, all_queries
from dashboards.sources import METRICS, Store
from lotwise.embedded.process import ServerProcess, free_port
from tests.rules.edge_metrics_test import health
from tests.servers import accepts, need_prometheus
from tests.services.boards_plant import CHOSEN

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "docker" / "prometheus"


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def test_prometheus_takes_the_shipped_configuration_and_rules() -> None:
    promtool = Path(need_prometheus()).with_name("promtool")
    for words in (["rules", str(SHIPPED / "rules.yml")], ["config", "--syntax-only", str(SHIPPED / "prometheus.yml")]):
        done = subprocess.run([promtool, "check", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_ports_that_are_looked_at_are_those_of_the_compose_file() -> None:
    jobs = {job["job_name"]: job for job in load(SHIPPED / "prometheus.yml")["scrape_configs"]}
    services = load(ROOT / "docker-compose.yml")["services"]
    core, ingest = (services[name]["environment"] for name in ("core", "ingest"))
    assert jobs["lotwise-core"]["static_configs"][0]["targets"] == [f"core:{core['LOTWISE_METRICS_PORT']}"]
    assert jobs["lotwise-ingest"]["dns_sd_configs"][0]["port"] == int(ingest["LOTWISE_INGEST_METRICS_PORT"])
    for name in ("core", "ingest"):
        assert not any("918" in port for port in services[name].get("ports", [])), "not on a port that is published"


@pytest.fixture
def prometheus(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A real one, which looks at the core's, an ingest worker's and a gateway's figures every second."""
    program = need_prometheus()
    registry = CollectorRegistry()
    registry.register(metrics.FromDatabase(engine.url.render_as_string(hide_password=False)))
    registry.register(_Gateway())
    ports = [free_port() for _ in range(4)]
    targets = [{"targets": [f"127.0.0.1:{port}" for port in ports[:3]]}]
    config = tmp_path / "prometheus.yml"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(SHIPPED / "rules.yml")],
                "scrape_configs": [{"job_name": "lotwise-core", "static_configs": targets}],
            }
        )
    )
    words = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    server = ServerProcess(
        "prometheus", [program, *words, f"--web.listen-address=127.0.0.1:{ports[3]}"], tmp_path / "prometheus.log"
    )
    with (
        metrics.told("127.0.0.1", ports[0], registry),
        metrics.told("127.0.0.1", ports[1], metrics.OUT_OF),
        metrics.told("127.0.0.1", ports[2], ingest_metrics.OUT_OF),
    ):
        server.start(lambda: accepts(ports[3]))
        try:
            yield f"http://127.0.0.1:{ports[3]}"
        finally:
            server.stop()


class _Gateway(Collector):
    def collect(self) -> Iterator[Any]:
        from edge.health import _Figures

        return _Figures(health("a")).collect()


def test_every_question_of_the_boards_is_answered(prometheus: str) -> None:
    asked = [query for query in all_queries(Store.POSTGRES, _now(), CHOSEN) if query.datasource == METRICS]
    assert len(asked) >= 7
    left = {query.query: query for query in asked}
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        metrics.REQUESTS.labels("api", "2xx").inc()
        metrics.SECONDS.labels("api").observe(0.02)
        ingest_metrics.count(IngestCounts(batches=1, new=5), 0.1)
        for query in list(left):
            span = _now()
            params: dict[str, Any] = {
                "query": query,
                "start": span.start.timestamp(),
                "end": span.stop.timestamp(),
                "step": 5,
            }
            answer = httpx.get(f"{prometheus}/api/v1/query_range", params=params).json()
            assert answer["status"] == "success", (query, answer)
            values = [float(value) for one in answer["data"]["result"] for _, value in one["values"]]
            if any(value == value for value in values):  # noqa: PLR0124 - NaN is not itself
                del left[query]
        time.sleep(0.5)
    assert list(left) == []
    rules = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} <= {"ok", "unknown"}


def _now() -> Span:
    now = datetime.now(UTC)
    return Span(now - timedelta(minutes=2), now, timedelta(seconds=5))
