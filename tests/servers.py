"""Finding the real servers of others. A test that needs one it cannot have skips with a reason, or fails in CI."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import SecretStr

from lotwise.embedded.process import accepts, free_port
from simulators.link import Broker

__all__ = [
    "accepts",
    "find_chromium",
    "find_influxd",
    "find_mosquitto",
    "free_port",
    "given_mqtt",
    "need_chromium",
    "need_influxd",
    "need_mosquitto",
    "shared_data",
]

PORTS = {"mqtt": 1883, "mqtts": 8883}


def _find(name: str, variable: str, *places: Path) -> str | None:
    given = os.environ.get(variable)
    if given:
        return given
    found = shutil.which(name)
    return found or next((str(place) for place in places if place.exists()), None)


def find_mosquitto() -> str | None:
    """Path of a mosquitto, if there is one."""
    return _find("mosquitto", "LOTWISE_TEST_MOSQUITTO", Path("/usr/sbin/mosquitto"))


def find_influxd() -> str | None:
    """Path of an influxd 1.8, if there is one."""
    return _find("influxd", "LOTWISE_TEST_INFLUXD", Path.home() / "go" / "bin" / "influxd")


def find_chromium() -> str | None:
    """Path of a chromium, if there is one."""
    return _find("chromium", "LOTWISE_TEST_CHROMIUM", Path("/usr/bin/chromium"))


def given_mqtt() -> Broker | None:
    """The broker that LOTWISE_TEST_MQTT_URL names: `mqtt://user:password@host:1883`; `mqtts://` with a ca file.

    The file with the trusted certificates (PEM) is named by LOTWISE_TEST_MQTT_CA. Raises ValueError for another URL.
    """
    url = os.environ.get("LOTWISE_TEST_MQTT_URL")
    if not url:
        return None
    parts = urlsplit(url)
    ca_file = os.environ.get("LOTWISE_TEST_MQTT_CA")
    if parts.scheme not in PORTS or not parts.hostname or (parts.scheme == "mqtts") != bool(ca_file):
        raise ValueError(f"LOTWISE_TEST_MQTT_URL={url}: mqtt://host, or mqtts://host with LOTWISE_TEST_MQTT_CA")
    return Broker(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        ca_file=ca_file,
        username=unquote(parts.username) if parts.username else None,
        password=SecretStr(unquote(parts.password)) if parts.password else None,
    )


def _need(found: str | None, what: str) -> str:
    if found is not None:
        return found
    reason = f"no {what} on the PATH"
    if os.environ.get("LOTWISE_TEST_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{reason}, and LOTWISE_TEST_REQUIRE_SERVERS=1")
    pytest.skip(reason)


def need_mosquitto() -> str:
    """Path of a mosquitto; skips without one, fails where servers are required."""
    return _need(find_mosquitto(), "mosquitto")


def need_influxd() -> str:
    """Path of an influxd; skips without one, fails where servers are required."""
    return _need(find_influxd(), "influxd")


def need_chromium() -> str:
    """Path of a chromium; skips without one, fails where servers are required."""
    return _need(find_chromium(), "chromium")


def need_prometheus() -> str:
    """Path of a prometheus, with promtool beside it; skips without one, fails where servers are required."""
    return _need(shutil.which("prometheus"), "prometheus")


def shared_data(name: str) -> Path:
    """A recorded file from ../shared/data; skips where that folder is absent."""
    path = Path(__file__).parents[2] / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"recorded file {name} is not at ../shared/data")
    return path
