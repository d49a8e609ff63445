"""As a new user does it: the commands of docs/start.md, typed one after the other, from an empty folder to a live zone.

A real broker with a Tasmota and a zigbee2mqtt device, a Modbus box, everything of Lotwise in processes of its own.
"""

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest

from lotwise.embedded.nats import EmbeddedNats
from tests.conftest import in_memory
from tests.documents import ROOT, blocks
from tests.faults.modbus_peer import device, plc, registers
from tests.servers import free_port

PASSWORD = "a long enough passphrase"
PATIENCE = 90.0


_AT_A_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execvp('bash', ['bash', '-c', 'exec ' + sys.argv[1]])"
)
"""Makes the process's input its terminal: passwords are asked for there."""


class Terminal:
    """A command at a terminal of its own: what it prints can be waited for, and answered."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        master, slave = pty.openpty()
        self._master = master
        self.said = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_A_TERMINAL, command],
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def expect(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Waits for what is printed; fails with everything that was."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < deadline, f"waited in vain for {pattern!r}:\n{self.said}"
            assert self._read() or self._process.poll() is None, f"ended without {pattern!r}:\n{self.said}"
        self.said = self.said[found.end() :]
        return found[0]

    def type(self, text: str) -> None:
        """As a person, who begins after the prompt has stood for a moment: a password's drops what was typed before."""
        time.sleep(1.0)
        os.write(self._master, f"{text}\n".encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ended(self, seconds: float = PATIENCE) -> int:
        """Its exit status; reads what it says till then."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"does not end:\n{self.said}"
            self._read()
        while self._read():
            pass
        return self._process.returncode

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.1)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        self.said += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        os.close(self._master)


class Room:
    """What the devices measure."""

    temperature = 4.5


@contextmanager
def in_background(work: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sensors(port: int, room: Room) -> Callable[[threading.Event], None]:
    """A Tasmota and a zigbee2mqtt device on a broker."""

    def work(stop: threading.Event) -> None:
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.publish("zigbee2mqtt/bridge/state", '{"state":"online"}', qos=1, retain=True)
        count = 0
        while not stop.wait(0.3):
            count += 1
            now = datetime.now(UTC)
            tasmota = {
                "Time": f"{now:%Y-%m-%dT%H:%M:%S}",
                "DS18B20": {"Id": "0316A279B7FF", "Temperature": room.temperature},
            }
            zigbee = {
                "temperature": room.temperature,
                "humidity": 45.0,
                "battery": 91,
                "linkquality": 90 + count % 30,
                "last_seen": now.isoformat(),
            }
            client.publish("tele/tank/SENSOR", json.dumps(tasmota | {"TempUnit": "C"}), qos=1)
            client.publish("zigbee2mqtt/door-probe", json.dumps(zigbee), qos=1)
        client.disconnect()
        client.loop_stop()

    return work


def box(port: int) -> Callable[[threading.Event], None]:
    """A Modbus device that shows 4.8 °C in input register 0, and a setpoint in a holding register."""

    def work(stop: threading.Event) -> None:
        async def main() -> None:
            async with plc(port, device(1, registers(0, 50), inputs=[registers(0, 48)])):
                await asyncio.to_thread(stop.wait)

        asyncio.run(main())

    return work


def commands() -> list[str]:
    """The commands of the page, in their order, `make setup` left out."""
    page = [block.text for block in blocks(ROOT / "docs" / "start.md") if block.language == "sh"]
    assert page[0].startswith("make setup")
    assert len(page) <= 5
    return page[1:]


def until(found: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return value


class Anna:
    """What she sees once it runs."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        token = self.http.post("/api/v1/token", data={"username": "anna", "password": PASSWORD})
        assert token.status_code == 200, token.text
        self.headers = {"Authorization": f"Bearer {token.json()['access_token']}"}

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(f"/api/v1{path}", params=params, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class User:
    """Somebody with a terminal in an empty folder, a broker and a Modbus device."""

    folder: Path
    broker: EmbeddedNats
    modbus: int
    room: Room
    stack: ExitStack
    environment: dict[str, str]

    def types(self, command: str) -> Terminal:
        command = command.replace("192.0.2.10", f"127.0.0.1:{self.broker.mqtt_port}")
        terminal = Terminal(command.replace("192.0.2.20", f"127.0.0.1:{self.modbus}"), self.folder, self.environment)
        self.stack.callback(terminal.close)
        return terminal


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOTWISE_")}
    port, modbus, room = free_port(), free_port(), Room()
    environment = clean | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "COLUMNS": "200",
        "LOTWISE_PORT": str(port),
        "LOTWISE_API": f"http://127.0.0.1:{port}",
    }
    broker = EmbeddedNats(tmp_path / "broker", mqtt=True)
    with ExitStack() as stack:
        # not below pytest's own folder: under root PostgreSQL runs as nobody
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="lotwise-start-", dir=in_memory(), ignore_cleanup_errors=True)
        )
        Path(folder).chmod(0o755)
        broker.start()
        stack.callback(broker.stop)
        assert broker.mqtt_port is not None
        stack.enter_context(in_background(sensors(broker.mqtt_port, room)))
        stack.enter_context(in_background(box(modbus)))
        yield User(Path(folder), broker, modbus, room, stack, environment)


def add_somebody(user: User, command: str) -> None:
    adding = user.types(command)
    for prompt in ("Password", "Repeat for confirmation"):
        adding.expect(prompt)
        adding.type(PASSWORD)
    adding.expect("anna may sign in")
    assert adding.ended() == 0


def look_around(user: User, command: str) -> None:
    looking = user.types(command)
    looking.expect("topics so far")
    looking.interrupt()  # as the page says: everything has spoken
    looking.expect("gateway.yaml: written, with 3 points")
    looking.expect("gateway.yaml: 2 points added")
    assert looking.ended() == 0
    file = user.folder / "gateway.yaml"
    assert "GUESS: int16 × 0.1, Cel" in file.read_text()
    # the one thing that only a test has to say: many run at once on this machine
    file.write_text(file.read_text() + f"health: {{port: {free_port()}}}\n")


def make_catalog(user: User, command: str) -> None:
    making = user.types(command)
    making.expect("Password of anna")
    making.type(PASSWORD)
    making.expect("will make zone plant/store/cold-1 band 2..8 Cel")
    making.expect("will make point plant/store/cold-1/tank/temperature: temperature in Cel, required")
    making.expect("Make these")
    making.type("y")
    making.expect("readings that had come before their points were taken and judged")
    assert making.ended() == 0


def see_it_live(user: User, anna: Anna) -> None:
    """The zone has a value; then a hand warms the probe, and the zone alarms."""

    def zone() -> Any:
        (status,) = anna.get("/zone-status")
        return status["value"] is not None and status

    status = until(zone, "the zone's value")
    assert status["address"] == "plant/store/cold-1"
    assert 4.4 <= status["value"] <= 4.9
    (point,) = anna.get("/points", address="plant/store/cold-1/modbus-127-0-0-1/temperature-input-0")["items"]
    assert point["role"] == "required"
    (known,) = anna.get("/zones")["items"]
    assert (known["band_low"], known["band_high"], known["band_delay"]) == (2, 8, "PT5M")
    # five minutes are longer than a test should take
    seen = anna.get(f"/zones/{known['id']}")["version"]
    change = {"band_delay": "PT0S", "version": seen}
    changed = anna.http.patch(f"/api/v1/zones/{known['id']}", json=change, headers=anna.headers)
    assert changed.status_code == 200, changed.text
    user.room.temperature = 12.5
    alarm = until(lambda: anna.get("/alarms")["items"], "the alarm")[0]
    assert (alarm["zone_id"], alarm["kind"], alarm["value"]) == (known["id"], "high", 12.5)


@pytest.mark.timeout(400)
def test_from_an_empty_folder_to_a_live_zone(user: User) -> None:
    add, browse, up, catalog = commands()
    add_somebody(user, add)
    look_around(user, browse)
    running = user.types(up)
    running.expect("the core's catalog lacks plant/store/cold-1")
    make_catalog(user, catalog)
    anna = Anna(int(user.environment["LOTWISE_PORT"]))
    user.stack.callback(anna.http.close)
    see_it_live(user, anna)
    running.interrupt()
    assert running.ended() == 0
