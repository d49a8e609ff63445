"""The embedded PostgreSQL as a data source of Grafana's."""

import json
from collections.abc import Mapping
from pathlib import Path

from dashboards.sources import ERP, TYPES
from lotwise.embedded.roles import GRAFANA, password_of
from lotwise.embedded.supervisor import POSTGRES, postgres_folder


def data_source(data_dir: Path, ports: Mapping[str, int]) -> str:
    """A provisioning file; JSON is YAML too. The login's password is in it."""
    source = {
        "name": "Lotwise ERP",
        "uid": ERP,
        "type": TYPES[ERP],
        "access": "proxy",
        "url": f"127.0.0.1:{ports[POSTGRES]}",
        "user": GRAFANA,
        "jsonData": {"database": "lotwise", "sslmode": "disable", "postgresVersion": 1500, "maxOpenConns": 5},
        # in such a file a `$` begins a variable of the environment, and `$$` is one
        "secureJsonData": {"password": password_of(postgres_folder(data_dir), GRAFANA).replace("$", "$$")},
        "editable": False,
    }
    return json.dumps({"apiVersion": 1, "datasources": [source]}, indent=2) + "\n"
