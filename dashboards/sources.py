"""The two data sources and the queries that panels send them: InfluxQL for telemetry, SQL for the ERP's views."""

from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

TELEMETRY = "lotwise-telemetry"
"""The InfluxDB data source's uid, as provisioning/datasources has it."""
ERP = "lotwise-erp"
"""The PostgreSQL data source's uid."""
_TYPES = {TELEMETRY: "influxdb", ERP: "postgres"}


def reference(uid: str) -> Any:
    """The data source of that uid, as panels name it."""
    return DataSourceRef(type_val=_TYPES[uid], uid=uid)


class InfluxQl(Dataquery, Builder):  # type: ignore[misc] # the SDK's classes are untyped for us (pyproject)
    """A raw InfluxQL query; `alias` names its series (`$tag_point`)."""

    def __init__(self, query: str, *, alias: str = "", ref: str = "A", table: bool = False) -> None:
        self.query, self.alias, self.ref, self.table = query, alias, ref, table

    def build(self) -> Any:
        """Itself: it is query and builder in one."""
        return self

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


class Sql(Dataquery, Builder):  # type: ignore[misc] # see above
    """A raw SQL query on the ERP's views; `series` for a graph over time, else a table."""

    def __init__(self, query: str, *, series: bool = False, ref: str = "A") -> None:
        self.query, self.series, self.ref = query, series, ref

    def build(self) -> Any:
        """Itself: it is query and builder in one."""
        return self

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
