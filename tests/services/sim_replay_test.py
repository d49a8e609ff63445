"""Recordings replayed through each protocol, read by the gateway as `lotwise replay --describe` says."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asyncua import Client, ua
from rich.console import Console

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.csv_file import Column, CsvMapping
from edge.tasks import end
from lotwise.embedded.nats import EmbeddedNats
from simulators.guard import LiveInstance
from simulators.link import Broker
from simulators.players import Device, Protocol
from simulators.recordings import recording, temperatures
from simulators.replay import replay
from simulators.run import replay_file, show_replay
from tests.servers import free_port, shared_data
from tests.services.sim_support import ROOM, Kept, collecting, until

BEGUN = datetime(2025, 5, 1, 8, tzinfo=UTC)
TOLD = [None if n == 5 else round(4 + n / 10, 1) for n in range(30)]
POINT = f"{ROOM}/old/temperature"


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")
    monkeypatch.delenv("LOTWISE_API_URL", raising=False)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Half an hour, each minute 0.1 °C warmer; the sixth line has no value."""
    path = tmp_path / "recorded.csv"
    rows = [(BEGUN + timedelta(minutes=n), value) for n, value in enumerate(TOLD)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "value"))
        writer.writerows((at.strftime("%Y-%m-%d %H:%M:%S"), "" if value is None else value) for at, value in rows)
    return path


def through_the_gateway(
    protocol: Protocol, device: Device, folder: Path, act: Callable[[Kept], Awaitable[Any]], rewrite: Any = str
) -> Kept:
    """What a gateway keeps of a replay that `act` plays."""
    text = io.StringIO()
    assert show_replay(protocol, device, console=Console(file=text, width=40)) == 0
    file = folder / "gateway.yaml"
    file.write_text(rewrite(text.getvalue()))
    kept = Kept()

    async def main() -> None:
        async with collecting(file, kept):
            await act(kept)

    asyncio.run(main())
    assert all(reading.simulated for reading in kept.readings)
    return kept


def test_mqtt_tells_every_line_with_its_own_time(recorded: Path, mqtt_broker: EmbeddedNats, tmp_path: Path) -> None:
    device = Device("old", ROOM, broker=Broker(port=mqtt_broker.mqtt_port or 0))

    async def play(kept: Kept) -> None:
        await asyncio.sleep(0.3)  # a broker keeps nothing for a session that never was
        report = await replay(recorded, "mqtt", device)
        assert report.unacknowledged == []
        assert report.sequences == list(range(1, 31))
        await kept.until(POINT, 30)

    kept = through_the_gateway("mqtt", device, tmp_path, play)
    found = kept.of(POINT)
    assert [(r.at, r.value) for r in found] == [(BEGUN + timedelta(minutes=n), value) for n, value in enumerate(TOLD)]
    assert [r.quality for r in found if r.value is None] == [Quality.BAD]
    assert kept.numbers(f"{ROOM}/old/sequence") == list(range(1, 31))


def test_opc_ua_tells_lines_with_their_own_times_and_remembers_them(recorded: Path, tmp_path: Path) -> None:
    device = Device("old", ROOM, port=free_port())
    history: list[ua.DataValue] = []

    async def play(kept: Kept) -> None:
        playing = asyncio.create_task(replay(recorded, "opcua", device, speed=1800, linger=60))
        await until(lambda: 30 in kept.numbers(f"{ROOM}/old/sequence"), "the last line")
        async with Client(f"opc.tcp://127.0.0.1:{device.port}/lotwise/") as client:
            node = client.get_node("ns=2;s=old.Temperature")
            history.extend(await node.read_raw_history(BEGUN, BEGUN + timedelta(hours=1)))
        await end([playing])

    kept = through_the_gateway("opcua", device, tmp_path, play)
    assert sorted(set(kept.numbers(f"{ROOM}/old/sequence"))) == list(range(1, 31))
    found = {r.at: r.value for r in kept.of(POINT)}
    assert [found[BEGUN + timedelta(minutes=n)] for n in range(30)] == TOLD
    assert {r.value for r in kept.of(POINT) if r.quality is Quality.GOOD} == set(TOLD) - {None}
    assert [v.SourceTimestamp for v in history] == [BEGUN + timedelta(minutes=n) for n in range(30)]
    assert history[4].Value.Value == 4.4
    assert history[5].StatusCode.value == ua.StatusCodes.BadNoData


def test_modbus_shows_the_recording_at_its_pace(recorded: Path, tmp_path: Path) -> None:
    device = Device("old", ROOM, port=free_port())

    async def play(kept: Kept) -> None:
        await replay(recorded, "modbus", device, speed=1200, linger=0.3)
        assert kept.of(POINT)

    kept = through_the_gateway("modbus", device, tmp_path, play, lambda text: text.replace("every: 1.0", "every: 0.02"))
    values = [r.value for r in kept.of(POINT) if r.quality is Quality.GOOD and isinstance(r.value, float)]
    assert values == sorted(values)
    assert values[0] == TOLD[0], "before the first line there is no value, and it waits to be read"
    assert values[-1] == TOLD[-1]
    assert len(set(values)) > 10
    assert Reason.SENTINEL in {r.reason for r in kept.of(POINT)}
    with pytest.raises(ValueError, match="needs a speed"):
        asyncio.run(replay(recorded, "modbus", device))


def test_a_replay_refuses_a_live_instance_and_units_it_cannot_tell(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = CsvMapping(values=(Column("value", POINT, "[degF]"),), time=("timestamp",))
    with pytest.raises(ValueError, match="°C only"):
        asyncio.run(replay(recorded, "opcua", Device("old", ROOM, port=free_port()), mapping=mapping))
    monkeypatch.setenv("LOTWISE_INSTANCE", "live")
    with pytest.raises(LiveInstance):
        asyncio.run(replay(recorded, "mqtt", Device("old", ROOM)))


def test_the_command_replays_a_file_and_names_a_wrong_one(
    recorded: Path, mqtt_broker: EmbeddedNats, tmp_path: Path
) -> None:
    text = io.StringIO()
    console = Console(file=text, width=200)
    device = Device("old", ROOM, broker=Broker(port=mqtt_broker.mqtt_port or 0))
    assert replay_file(recorded, "mqtt", device, console=console) == 0
    assert "30 of 30 lines" in text.getvalue()
    assert "0 not acknowledged" in text.getvalue()
    assert replay_file(tmp_path / "nothing.csv", "mqtt", device, console=console) == 1
    assert "nothing.csv" in text.getvalue()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOTWISE_INSTANCE", "live")
        assert replay_file(recorded, "mqtt", device, console=console) == 2


def test_any_column_unit_and_clock_is_read(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("room;when;f\nA;2025-07-01 10:00;41\nA;2025-07-01 10:10;50\nA;2025-07-01 10:20;\n")
    mapping = temperatures("when", "3", "[degF]", "Europe/Zurich")
    at = datetime(2025, 7, 1, 10, tzinfo=ZoneInfo("Europe/Zurich"))
    assert [(line.at, line.value, line.unit) for line in recording(path, mapping=mapping)] == [
        (at, 5.0, "Cel"),
        (at + timedelta(minutes=10), 10.0, "Cel"),
        (at + timedelta(minutes=20), None, "Cel"),
    ]


def test_a_real_logger_report_is_a_recording() -> None:
    lines = recording(shared_data("fridgetag-2l_130500109088.txt"))
    assert len(lines) == 10_653
    values = [line.value for line in lines if line.value is not None]
    assert (min(values), max(values)) == (-8.4, 30.2)
    assert {line.unit for line in lines} == {"Cel"}
