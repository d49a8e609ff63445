"""Browsing real peers: a Mosquitto, the embedded broker, pymodbus's server; gentle, bounded, ended on request."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.browse import modbus
from edge.browse.found import CannotBrowse, Names, ZoneRules
from edge.browse.mqtt_listen import listen
from edge.collectors.port import SourceLost, SourceMisconfigured
from edge.config import load
from lotwise.embedded.nats import EmbeddedNats
from tests.faults.modbus_peer import device, plc, registers
from tests.servers import free_port
from tests.services.cli_commands_test import lotwise
from tests.services.mqtt_support import mosquitto, publish

TASMOTA = json.dumps(
    {"Time": "2026-03-02T12:00:00", "DS18B20": {"Id": "0316A279B7FF", "Temperature": 4.5}, "TempUnit": "C"}
)


@contextmanager
def speaking(port: int) -> Iterator[None]:
    """A device that says the same again and again."""
    stop = threading.Event()

    def speak() -> None:
        while not stop.is_set():
            publish(port, [("tele/tank/SENSOR", TASMOTA)])
            stop.wait(0.1)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_what_is_printed_is_a_gateway_file(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker, speaking(broker.port):
        done = lotwise(
            "edge",
            "browse",
            f"mqtt://127.0.0.1:{broker.port}",
            "--seconds",
            "1",
            "--zone",
            "plant/store/cold-1",
            LOTWISE_DATA_DIR=str(tmp_path / "data"),
            LOTWISE_INSTANCE="test",
        )
    assert done.exit_code == 0, done.output
    file = tmp_path / "gateway.yaml"
    file.write_text(done.stdout)
    config = load(file)
    assert (config.site, config.instance, config.sources[0].name) == ("plant", "test", "mqtt-127-0-0-1")
    assert "#   tele/tank/SENSOR  [tasmota]  DS18B20.Temperature = 4.5 Cel  (no device time)" in done.stdout
    checked = lotwise("edge", "--check", str(file))
    assert checked.exit_code == 0, checked.output


def test_a_password_is_not_written(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker, speaking(broker.port):
        file = tmp_path / "gateway.yaml"
        done = lotwise(
            "edge",
            "browse",
            f"mqtt://anna:hush@127.0.0.1:{broker.port}",
            "--seconds",
            "0.5",
            "--topic",
            "tele/#",
            "--write",
            str(file),
            LOTWISE_DATA_DIR=str(tmp_path / "data"),
        )
    assert done.exit_code == 0, done.output
    text = file.read_text()
    assert "hush" not in text + done.output
    assert "password: ${LOTWISE_MQTT_PASSWORD}" in text
    assert lotwise("edge", "--check", str(file)).exit_code == 1, "the password is not set"
    assert lotwise("edge", "--check", str(file), LOTWISE_MQTT_PASSWORD="hush").exit_code == 0


def test_a_broker_of_the_older_protocol_is_met_in_it(mqtt_broker: EmbeddedNats) -> None:
    assert mqtt_broker.mqtt_port is not None
    broker = {"host": "127.0.0.1", "port": mqtt_broker.mqtt_port}
    with speaking(mqtt_broker.mqtt_port):
        heard = asyncio.run(listen(broker, ["#"], 1.5, asyncio.Event()))
    assert heard.version == "3.1.1"
    assert list(heard.topics) == ["tele/tank/SENSOR"]


def test_listening_ends_on_request_and_says_why_it_cannot_begin(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:

        async def main() -> float:
            stop = asyncio.Event()
            begun = time.monotonic()
            asyncio.get_running_loop().call_later(0.3, stop.set)
            await listen({"host": "127.0.0.1", "port": broker.port}, ["#"], 600, stop)
            return time.monotonic() - begun

        assert asyncio.run(main()) < 20
    nowhere = {"host": "127.0.0.1", "port": free_port()}
    with pytest.raises(SourceLost):
        asyncio.run(listen(nowhere, ["#"], 1, asyncio.Event()))
    with pytest.raises(CannotBrowse, match="overlap"):
        asyncio.run(listen(nowhere, ["#", "a/#"], 1, asyncio.Event()))
    silent = lotwise("edge", "browse", f"mqtt://127.0.0.1:{nowhere['port']}", LOTWISE_DATA_DIR=str(tmp_path))
    assert silent.exit_code == 1
    assert "cannot browse" in silent.output
    for wrong in ("ftp://x", "mqtt://", "modbus://h:99999"):
        assert lotwise("edge", "browse", wrong, LOTWISE_DATA_DIR=str(tmp_path)).exit_code == 1


def test_a_broker_that_refuses_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "acl").write_text("topic read none/#\n")
    (folder / "passwords").write_text("")
    with (
        mosquitto(folder, [f"password_file {folder}/passwords"]) as broker,
        pytest.raises(SourceMisconfigured, match="refuses"),
    ):
        asyncio.run(listen({"host": "127.0.0.1", "port": broker.port}, ["#"], 5, asyncio.Event()))


def test_a_device_is_scanned_gently_and_what_it_lacks_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus, "PAUSE", 0.001)
    monkeypatch.setattr(modbus, "BETWEEN", 0.01)
    port = free_port()
    box = device(1, registers(0, 50, 15), inputs=[registers(0, 48, 52), registers(40, 0x40A9, 0x999A)])

    async def scanned(units: list[int], wanted: list[str], stop: asyncio.Event) -> list[modbus.UnitScan]:
        where = {"kind": "tcp", "host": "127.0.0.1", "port": port}
        async with plc(port, box, device(7), dead=frozenset({7})):
            return await modbus.scan(where, units, modbus.ranges(wanted), stop, timeout=0.15)

    begun = time.monotonic()
    scans = asyncio.run(scanned([1, 7], ["input:0-47", "holding:0-15"], asyncio.Event()))
    assert time.monotonic() - begun < 20
    found = modbus.found(scans, {"kind": "tcp", "host": "127.0.0.1", "port": port}, "box", Names(ZoneRules(["p/a/z"])))
    values = {point.address: (point.value, point.role) for point in found.points}
    assert values["p/a/z/box/temperature-input-0"] == ("4.8 Cel, did not move", "required")
    assert values["p/a/z/box/temperature-input-40"] == ("5.3 Cel, did not move", "required")
    assert values["p/a/z/box/temperature-holding-0"] == ("5 Cel, did not move", "machine")
    assert any("unit 7  no answer" in line for line in found.lines)
    assert all(point.guesses for point in found.points)
    assert any("GUESS" in note for note in found.notes)
    assert found.source is not None
    (unit,) = found.source["units"]
    assert {"table": "input", "address": 40, "type": "float32", "order": "ABCD"}.items() <= unit["points"][
        -1
    ].items() or any(
        {"table": "input", "address": 40, "type": "float32", "order": "ABCD"}.items() <= point.items()
        for point in unit["points"]
    )
    stopped = asyncio.Event()
    stopped.set()
    assert asyncio.run(scanned([1], ["input:0-47"], stopped))[0].passes == []
    with pytest.raises(CannotBrowse, match="at most"):
        asyncio.run(scanned(list(range(1, 200)), ["input:0-47"], asyncio.Event()))


def test_two_sources_go_into_one_file_and_again_adds_nothing(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"

    async def main(broker: int) -> list[str]:
        async with plc(port, device(1, inputs=[registers(0, 48)])):
            words = (
                "edge",
                "browse",
                f"mqtt://127.0.0.1:{broker}",
                f"modbus://127.0.0.1:{port}",
                "--seconds",
                "0.7",
                "--zone",
                "plant/store/cold-1",
                "--registers",
                "input:0-3",
                "--write",
                str(file),
            )
            out = []
            for _ in range(2):
                done = await asyncio.to_thread(lotwise, *words, LOTWISE_DATA_DIR=str(tmp_path / "data"))
                assert done.exit_code == 0, done.output
                out.append(done.output)
            return out

    with mosquitto(tmp_path / "broker") as broker, speaking(broker.port):
        first, again = asyncio.run(main(broker.port))
    assert "written, with 1 points" in first
    assert "1 points added" in first
    assert again.count("0 points added") == 2
    assert [source.name for source in load(file).sources] == ["mqtt-127-0-0-1", "modbus-127-0-0-1"]
    assert "# 4.8 Cel, did not move; GUESS: int16 × 0.1, Cel" in file.read_text()
