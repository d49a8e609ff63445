"""Replays a recorded file (a Fridge-tag or Q-tag report, or a table of times and values) through a real protocol.

The recorded times travel as device time; no clock is moved. Modbus has no device time: there the value of the moment
is shown, and the recording's pace becomes the pace of the registers.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from core.telemetry.address import check_zone
from core.telemetry.readers.csv_file import CsvMapping
from simulators.describe_mqtt import JSON_DECODER
from simulators.dialects import DIALECTS, Identity
from simulators.guard import InstanceSettings, require_test_instance
from simulators.opcua import NAMESPACE
from simulators.players import LINGER, PLAYERS, VARIABLES, Device, Player, Protocol
from simulators.recordings import Recorded, recording
from simulators.sensors import Clock, Report, real_time

OnProgress = Callable[[int, int], None]
WAIT_S = 30.0
PROGRESS_EVERY = 500


def replay_source(protocol: Protocol, device: Device) -> dict[str, Any]:
    """The gateway's source (as in its YAML) that reads a replay: judged by the recorded times where there are any."""
    base = {"name": f"replay-{device.name}", "protocol": protocol, "simulated": True}
    point = f"{device.zone}/{device.name}"
    if protocol == "mqtt":
        subscription = {
            "topic": DIALECTS["json"].topic_of(Identity(device.name, device.zone)),
            "decoder": JSON_DECODER,
            "points": [
                {"field": "temperature", "point": f"{point}/temperature", "unit": "Cel"},
                {"field": "sequence", "point": f"{point}/sequence"},
            ],
        }
        where = {"host": device.broker.host, "port": device.broker.port, "version": device.broker.protocol}
        return {**base, "clock": "device", **where, "subscriptions": [subscription]}
    if protocol == "opcua":
        nodes = [
            {
                "node": f"nsu={NAMESPACE};s={device.name}.{name}",
                "point": f"{point}/{variable.quantity}",
                "unit": variable.unit,
                "report": "timestamp",
                "queue": 1000,
            }
            for name, variable in VARIABLES.items()
        ]
        endpoint = f"opc.tcp://{device.host}:{device.port}/lotwise/"
        return {**base, "clock": "device", "endpoint": endpoint, "nodes": nodes}
    probe = {"table": "input", "address": 0, "type": "int16", "scale": "0.1", "sentinels": [-32768], "unit": "Cel"}
    unit = {"id": 1, "every": 1.0, "points": [{"point": f"{point}/temperature", **probe}]}
    return {**base, "transport": {"kind": "tcp", "host": device.host, "port": device.port}, "units": [unit]}


async def replay(
    path: Path | str,
    protocol: Protocol,
    device: Device,
    *,
    speed: float | None = None,
    mapping: CsvMapping | None = None,
    zone: tzinfo = UTC,
    limit: int | None = None,
    wait: float = WAIT_S,
    linger: float | None = None,
    on_progress: OnProgress | None = None,
    settings: InstanceSettings | None = None,
    clock: Clock = real_time,
) -> Report:
    """Replays a file to its end (or `limit` lines) and tells what was sent; sequence numbers count lines from 1.

    `speed` is recorded seconds for each real one; without it lines follow each other as fast as they are taken (not on
    Modbus, which is polled). A server waits up to `wait` seconds for somebody to read it before the first line, and
    stays up `linger` seconds after the last (2 unless given). A line without a value is told as none:
    null, BadNoData, the controller's error code. Raises BadFile, LiveInstance, BrokerUnreachable, OSError,
    ValueError.
    """
    check_zone(device.zone)
    if protocol == "modbus" and speed is None:
        raise ValueError("Modbus is polled: a replay needs a speed (recorded seconds for each real one)")
    if speed is not None and speed <= 0:
        raise ValueError(f"speed must be above zero, not {speed}")
    await asyncio.to_thread(require_test_instance, settings)
    lines = recording(Path(path), mapping=mapping, zone=zone)[:limit]
    if protocol != "mqtt" and any(line.unit != "Cel" for line in lines):
        raise ValueError(f"{path}: {protocol} replays °C only; convert with the mapping's to_unit")
    report = Report(device.name, protocol)
    player = PLAYERS[protocol](device, report, clock)
    await player.open()
    try:
        await _awaited(player, wait)
        await _play(lines, player, report, speed, on_progress)
        await asyncio.sleep(LINGER[protocol] if linger is None else linger)
    finally:
        await player.close()
    return report


async def _awaited(player: Player, wait: float) -> None:
    """Returns when the player is read, or after so many seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while not player.read and loop.time() < end:  # noqa: ASYNC110 - neither server tells when it is read
        await asyncio.sleep(0.02)


async def _play(
    lines: list[Recorded], player: Player, report: Report, speed: float | None, on_progress: OnProgress | None
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number, line in enumerate(lines, start=1):
        if speed is not None:
            due = begun + (line.at - lines[0].at).total_seconds() / speed
            await asyncio.sleep(max(0.0, due - loop.time()))
        await player.play(number, line)
        report.readings += 1
        report.messages += 1
        report.sequences.append(number)
        if on_progress is not None and (number % PROGRESS_EVERY == 0 or number == len(lines)):
            on_progress(number, len(lines))
