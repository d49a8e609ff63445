"""What contracts are tried on: a test instance and real brokers for simulated devices, an office for records."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess
from simulators.link import Broker
from tests.contracts.office import Office, opened_office
from tests.servers import accepts, free_port, need_mosquitto


@pytest.fixture
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulators run on a test instance only."""
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


@pytest.fixture(scope="session")
def office(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One for all tests of records: each makes people of its own, and what it changes at a place of its own."""
    yield from opened_office(postgres, template, tmp_path_factory.mktemp("records_contract"))


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, of each make."""
    yield from (_nats if request.param == "nats" else _mosquitto)(tmp_path)


def _nats(folder: Path) -> Iterator[Broker]:
    server = EmbeddedNats(folder, mqtt=True)
    server.start()
    assert server.mqtt_port is not None
    yield Broker(port=server.mqtt_port)
    server.stop()


def _mosquitto(folder: Path) -> Iterator[Broker]:
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = ServerProcess("mosquitto", [need_mosquitto(), "-c", str(config)], folder / "mosquitto.log")
    process.start(lambda: accepts(port))
    yield Broker(port=port)
    process.stop()
