"""How long a large gateway's configuration is checked: MQTT, OPC UA and Modbus points mixed."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lotwise.bench.figures import figure

COMMAND = "from lotwise.cli import main; main()"
HEAD = """\
gateway: gw-bench
site: plant
instance: test
data_dir: {folder}/gw-bench
stream:
  urls: nats://localhost:4222
sources:
"""
MQTT = "  - name: broker\n    protocol: mqtt\n    host: localhost\n    subscriptions:\n"
MQTT_DEVICE = """\
      - topic: plant/device-{n}/state
        decoder: {{name: json, values: {{temperature: $.t, humidity: $.h}}}}
        points:
          - {{field: temperature, point: plant/store/room-{zone}/m-{n}/temperature, unit: Cel}}
          - {{field: humidity, point: plant/store/room-{zone}/m-{n}/humidity, unit: "%"}}
"""
OPCUA = "  - name: line\n    protocol: opcua\n    endpoint: opc.tcp://localhost:4840\n    nodes:\n"
OPCUA_NODE = (
    '      - {{node: "nsu=urn:maker:line;s=V{n}", point: plant/line/cell-{zone}/v-{n}/temperature,'
    " unit: Cel, sampling: 1 s}}\n"
)
MODBUS = (
    "  - name: controllers-{n}\n    protocol: modbus\n"
    "    transport: {{kind: tcp, host: 10.0.0.{n}, port: 502}}\n    units:\n"
)
MODBUS_UNIT = "      - id: {n}\n        every: 10 s\n        points:\n"
MODBUS_POINT = (
    "          - {{point: plant/cold/room-{zone}/c-{n}/temperature, table: input, address: {address},"
    " type: int16, scale: 0.1, unit: Cel}}\n"
)
ZONE, UNIT, HOST = 20, 30, 600
"""Points in a zone, in a Modbus unit, and behind a Modbus host (20 units)."""
METHOD = (
    "`lotwise edge check` of one file ({kib:.0f} KiB): {mqtt} points in {topics} MQTT subscriptions, {opcua} OPC UA"
    " nodes, {modbus} Modbus points; from the start of its process to its end"
)


def shares(points: int) -> tuple[int, int, int]:
    """How many of the points are read by MQTT (an even number), OPC UA and Modbus: about a third each."""
    mqtt = points // 6 * 2
    opcua = (points - mqtt) // 2
    return mqtt, opcua, points - mqtt - opcua


def gateway_file(points: int, folder: Path) -> str:
    """The YAML of a gateway with so many points, which keeps its spool under `folder`."""
    mqtt, opcua, modbus = shares(points)
    parts = [HEAD.format(folder=folder), MQTT if mqtt else ""]
    parts += [MQTT_DEVICE.format(n=n, zone=n * 2 // ZONE) for n in range(mqtt // 2)]
    parts += [OPCUA, *(OPCUA_NODE.format(n=n, zone=n // ZONE) for n in range(opcua))]
    for n in range(modbus):
        if n % HOST == 0:
            parts.append(MODBUS.format(n=n // HOST + 1))
        if n % UNIT == 0:
            parts.append(MODBUS_UNIT.format(n=n % HOST // UNIT + 1))
        parts.append(MODBUS_POINT.format(n=n, zone=n // ZONE, address=n % UNIT))
    return "".join(parts)


def run(points: int) -> None:
    """Prints `seconds` and `points`. Raises CalledProcessError where the check finds a fault."""
    mqtt, opcua, modbus = shares(points)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name:
        file = Path(name) / "gateway.yaml"
        file.write_text(gateway_file(points, Path(name)))
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMAND, "edge", "check", str(file)], check=True, stdout=sys.stderr)
        seconds = time.perf_counter() - begun
        method = METHOD.format(kib=file.stat().st_size / 1024, mqtt=mqtt, topics=mqtt // 2, opcua=opcua, modbus=modbus)
    figure("check-config", "seconds", seconds, "s", points, method)
    figure("check-config", "points", points, "1", points, method)
