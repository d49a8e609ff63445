"""`lotwise simulate`: what it prints, what it says of what is wrong, and that a signal leaves nothing behind."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from lotwise.embedded.nats import EmbeddedNats
from simulators.link import Broker
from simulators.run import SCENARIOS, simulate
from tests.servers import accepts, free_port


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")
    monkeypatch.delenv("LOTWISE_API_URL", raising=False)


@pytest.fixture
def broker(mqtt_broker: EmbeddedNats) -> Broker:
    assert mqtt_broker.mqtt_port is not None
    return Broker(port=mqtt_broker.mqtt_port)


def test_the_command_shows_what_happened_and_what_was_sent(broker: Broker) -> None:
    text = io.StringIO()
    overrides = {"broker": broker.model_dump(), "duration": 1, "timeline": []}
    assert simulate("truck_door", overrides=overrides, console=Console(file=text, width=120)) == 0
    assert "1 rooms and 2 devices are up" in text.getvalue()
    assert "truck-probe-1" in text.getvalue()


def test_the_command_says_what_it_cannot_reach_and_what_is_wrong(tmp_path: Path) -> None:
    text = io.StringIO()
    nowhere = {"broker": {"port": free_port()}}
    assert simulate("truck_door", overrides=nowhere, console=Console(file=text, width=120)) == 1
    assert f"127.0.0.1:{nowhere['broker']['port']}" in text.getvalue()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: x\nduration: soon\n")
    assert simulate(wrong, console=Console(file=text, width=500)) == 1
    assert f"{wrong}:2: duration" in text.getvalue()


@pytest.mark.parametrize(("deadly", "name"), [(signal.SIGINT, "filling_line"), (signal.SIGTERM, "serial_bus")])
def test_a_signal_stops_every_server_and_takes_away_every_line(deadly: int, name: str, tmp_path: Path) -> None:
    ports = {"filler-1": free_port(), "controller-1": free_port()}
    line = tmp_path / "line"
    text = (SCENARIOS / f"{name}.yaml").read_text().replace("/tmp/lotwise-bus-1", str(line))
    for device, usual in (("filler-1", 14840), ("controller-1", 15020)):
        text = text.replace(f"port: {usual}", f"port: {ports[device]}")
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("lotwise")), "simulate", str(file)],
        env=os.environ | {"LOTWISE_INSTANCE": "test"},
        stdout=subprocess.PIPE,
        text=True,
    )

    def up() -> bool:
        return line.is_symlink() or all(accepts(port) for port in ports.values())

    end = time.monotonic() + 90
    while not up():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(deadly)
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "every simulated device is down" in out
    assert not line.is_symlink()
    assert not any(accepts(port) for port in ports.values())
