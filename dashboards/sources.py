"""The data sources, and what panels ask them: InfluxQL of telemetry, SQL of the ERP, PromQL of services."""

from enum import StrEnum
from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

TELEMETRY = "lotwise-telemetry"
"""The InfluxDB data source's uid, as provisioning/datasources has it."""
ERP = "lotwise-erp"
"""The PostgreSQL data source's uid."""
METRICS = "lotwise-metrics"
"""The Prometheus data source's uid."""
MIXED = "-- Mixed --"
"""Grafana's own: each query of the panel names its source."""
GRAFANA = "-- Grafana --"
"""Grafana's own store, where annotations are."""
TYPES = {TELEMETRY: "influxdb", ERP: "postgres", METRICS: "prometheus", MIXED: "datasource", GRAFANA: "grafana"}


class Store(StrEnum):
    """Where the boards' readings come from."""

    INFLUX = "influx"
    POSTGRES = "postgres"


def reference(uid: str) -> Any:
    """The data source of that uid, as panels name it."""
    return DataSourceRef(type_val=TYPES[uid], uid=uid)


class Asked(Dataquery, Builder):  # type: ignore[misc] # the SDK's classes are untyped for us (pyproject)
    """A query: builder and what is built in one."""

    source: str
    ref: str

    def build(self) -> Any:
        """Itself."""
        return self


class InfluxQl(Asked):
    """A raw InfluxQL query; `alias` names its series (`$tag_point`)."""

    def __init__(self, query: str, *, alias: str = "", ref: str = "A", table: bool = False) -> None:
        self.source, self.query, self.alias, self.ref, self.table = TELEMETRY, query, alias, ref, table

    def to_json(self) -> dict[str, object]:
        """As Grafana's InfluxDB data source stores it."""
        return {
            "alias": self.alias,
            "datasource": {"type": "influxdb", "uid": TELEMETRY},
            "query": self.query,
            "rawQuery": True,
            "refId": self.ref,
            "resultFormat": "table" if self.table else "time_series",
        }


class Sql(Asked):
    """A raw SQL query on the ERP's views; `series` for a graph over time, else a table."""

    def __init__(self, query: str, *, series: bool = False, ref: str = "A") -> None:
        self.source, self.query, self.series, self.ref = ERP, query, series, ref

    def to_json(self) -> dict[str, object]:
        """As Grafana's PostgreSQL data source stores it."""
        return {
            "datasource": {"type": "postgres", "uid": ERP},
            "editorMode": "code",
            "format": "time_series" if self.series else "table",
            "rawQuery": True,
            "rawSql": self.query,
            "refId": self.ref,
        }


class PromQl(Asked):
    """A PromQL expression over the board's range; `legend` names its series."""

    def __init__(self, query: str, *, legend: str = "", ref: str = "A") -> None:
        self.source, self.query, self.legend, self.ref = METRICS, query, legend, ref

    def to_json(self) -> dict[str, object]:
        """As Grafana's Prometheus data source stores it."""
        return {
            "datasource": {"type": "prometheus", "uid": METRICS},
            "editorMode": "code",
            "expr": self.query,
            "legendFormat": self.legend or "__auto",
            "range": True,
            "refId": self.ref,
        }
