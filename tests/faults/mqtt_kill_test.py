"""A gateway killed at any instant: the broker gives again what was not acknowledged, and nothing is missing."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge.collectors.mqtt import CHUNK
from tests.services.mqtt_support import PATIENCE, mosquitto, open_session, publish, source

GATEWAY = """
import asyncio, os, sys
from edge.collectors.mqtt import MqttCollector
from tests.services.mqtt_support import source

class FileKeeper:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def keep(self, readings):
        os.write(self.file, "".join(f"{reading.value}\\n" for reading in readings).encode())
        os.fsync(self.file)
        await asyncio.sleep(0.002)

    async def gap(self, gap):
        raise AssertionError(gap)

    async def aside(self, origin, payload, reason):
        raise AssertionError(reason)

    async def save_state(self, key, value):
        raise AssertionError(key)

    async def load_state(self, key):
        return None

keeper = FileKeeper(sys.argv[2])
asyncio.run(MqttCollector(source(int(sys.argv[1]), version=sys.argv[3])).run(keeper))
"""
MESSAGES = 3000
KILLS = 2


def kept(path: Path) -> list[float]:
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [float(line) for line in whole.split("\n") if line]


def test_killed_again_and_again_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    dice = random.Random(7)
    with mosquitto(tmp_path / "broker", ["max_inflight_messages 100"]) as broker:
        asyncio.run(open_session(source(broker.port, version="3.1.1")))
        publish(broker.port, [("plant/room/probe/temperature", index) for index in range(MESSAGES)])
        for turn in range(KILLS + 1):
            before = len(kept(path))
            gateway = subprocess.Popen([sys.executable, "-c", GATEWAY, str(broker.port), str(path), "3.1.1"])
            try:
                goal = before + dice.randint(50, 400) if turn < KILLS else None
                deadline = time.monotonic() + PATIENCE
                while (len(kept(path)) < goal) if goal is not None else (len(set(kept(path))) < MESSAGES):
                    assert time.monotonic() < deadline, f"{len(kept(path))} of {MESSAGES} kept"
                    assert gateway.poll() is None
                    time.sleep(0.002)
            finally:
                gateway.send_signal(signal.SIGKILL)
                gateway.wait(PATIENCE)
    found = kept(path)
    assert set(found) == set(map(float, range(MESSAGES)))
    # what was kept and not yet acknowledged comes again: at most the chunk that each kill interrupted
    assert len(found) - MESSAGES <= KILLS * CHUNK
