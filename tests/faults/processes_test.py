"""serve, ingest and their embedded servers: stopped, started and killed one by one, they find each other again."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from core.settings import Settings
from lotwise import status
from lotwise.embedded.lease import ask_status
from lotwise.embedded.nats import EmbeddedNats
from tests.faults.ingest_running import publish, publisher
from tests.processes import Place, health, place, until
from tests.servers import free_port
from tests.services.ingest_support import Gateway, reading


class Site:
    """A core and an ingest, and a gateway of the test's own that tells whether they work."""

    def __init__(self, here: Place, port: int) -> None:
        self.here, self.port = here, port
        self.gateway = Gateway()
        self.sent = 0

    def works(self) -> None:
        """The core answers from its database, and a batch that is sent now is taken."""
        until(lambda: health(self.port)[0] == 200, f"the core is well: {health(self.port)}")
        form = {"username": f"nobody-{self.sent}", "password": "b"}
        url = f"http://127.0.0.1:{self.port}/api/v1/token"
        # who asks while its servers come back is told to ask again
        until(lambda: httpx.post(url, data=form).status_code == 401, "a stranger is refused by what the database says")

        async def send() -> None:
            async with publisher(self.here.stream().url) as client:
                await publish(client, self.gateway.cut([reading(self.sent)]))

        asyncio.run(send())
        self.sent += 1
        until(lambda: self.taken() == self.sent, "the batch is taken")

    def taken(self) -> int:
        with psycopg.connect(self.here.database().conninfo("lotwise")) as conn:
            row = conn.execute("SELECT count(*) FROM batch").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.timeout(300)
def test_what_stops_starts_and_dies_alone_takes_nothing_else_with_it() -> None:
    with place() as here:
        port = free_port()
        serve, ingest = here.start("serve", "--port", str(port)), here.start("ingest")  # at the same instant
        serve.says(f"ready: pages on http://127.0.0.1:{port}")
        ingest.says("waits for readings on the stream at nats://127.0.0.1:")
        ports, supervisor = here.ports(), here.status["supervisor"]
        postgres = here.pid("postgres")
        for command in (serve, ingest):
            assert f"127.0.0.1:{ports['postgres']}" in command.output
            assert "WARNING" not in command.output, command.output
        site = Site(here, port)
        site.works()

        assert ingest.stop() == 0
        assert "WARNING" not in ingest.output, ingest.output
        assert health(port)[0] == 200
        ingest = here.start("ingest")
        site.works()
        ingest.kill()
        assert health(port)[0] == 200
        ingest = here.start("ingest")
        site.works()
        assert (here.ports(), here.pid("postgres"), here.status["supervisor"]) == (ports, postgres, supervisor)

        os.kill(here.pid("nats"), signal.SIGKILL)
        until(lambda: here.up("nats", 1), "NATS is started again")
        site.works()
        os.kill(here.pid("postgres"), signal.SIGKILL)
        until(lambda: here.up("postgres", 1), "PostgreSQL is started again")
        site.works()
        os.kill(here.status["supervisor"]["pid"], signal.SIGKILL)
        until(lambda: (ask_status(here.folder, 10) or {}).get("supervisor", supervisor) != supervisor, "another begins")
        site.works()
        assert here.ports() == ports
        assert here.status["supervisor"] != supervisor
        assert {user["name"] for user in here.status["users"]} == {"serve", "ingest"}
        assert "Traceback" not in ingest.output
        assert serve.stop(signal.SIGINT) == 0
        assert ingest.stop(signal.SIGINT) == 0
        assert here.status["users"] == [], "its grace has begun"


LACKS = "the core's catalog lacks plant/store/room/probe/temperature"
GATEWAY = """\
gateway: gw-1
site: plant
instance: test
data_dir: {folder}/gateway
health: {{port: 0}}
sources:
  - name: floor
    protocol: mqtt
    host: 127.0.0.1
    port: {port}
    version: "3.1.1"
    client_id: gw-1
    clock: gateway
    subscriptions:
      - {{topic: cold/+, decoder: number, point: plant/store/room/probe/temperature, unit: Cel}}
"""


@pytest.mark.timeout(300)
def test_a_whole_site_comes_up_by_one_command_and_goes_by_one_ctrl_c(mqtt_broker: EmbeddedNats) -> None:
    with place() as here:
        port = free_port()
        file = here.folder.parent / "gateway.yaml"
        file.write_text(GATEWAY.format(folder=here.folder.parent, port=mqtt_broker.mqtt_port))
        up = here.start("up", "--port", str(port), "--edge", str(file))
        up.says(f"pages will be on http://127.0.0.1:{port}")
        up.says("serve  | ")
        until(lambda: health(port)[0] == 200, "the core is well")
        up.says("waits for readings")
        up.says("floor: connected")
        up.says("edge   | ")
        assert "nobody can sign in yet: lotwise users add" in up.output
        until(lambda: LACKS in up.output, "the gateway has its core's answer")
        assert [line for line in up.output.splitlines() if "WARNING" in line and LACKS not in line] == []
        until(lambda: len(here.status["users"]) == 4, "the gateway is among them")
        first = {user["name"]: user["pid"] for user in here.status["users"]}
        assert set(first) == {"up", "serve", "ingest", "edge gw-1"}
        until(lambda: look(here)["edge gw-1"]["status"] == "ok", "it is well")
        for name in ("serve", "ingest", "edge gw-1"):
            os.kill(first[name], signal.SIGKILL)
        until(lambda: {user["name"] for user in here.status["users"]} == set(first), "all are started again")
        until(lambda: health(port)[0] == 200, "the core is well again")
        assert up.stop(signal.SIGINT) == 0
        assert "stopped: nothing of it is running any more" in up.output
        assert here.left() == []


def look(here: Place) -> dict[str, dict[str, Any]]:
    """What each user of the servers says of its health, as `lotwise status` has it; {} for one that says nothing."""
    found = status.collect_status(Settings(data_dir=here.folder))
    return {user["name"]: user["health"] or {} for user in found["users"]}


def test_a_gateways_file_that_is_wrong_is_told_before_anything_starts() -> None:
    with place() as here:
        file = here.folder.parent / "gateway.yaml"
        file.write_text("gateway: gw 1\n")
        up = here.start("up", "--port", str(free_port()), "--edge", str(file))
        assert up.process.wait(90) == 1
        assert f"{file}:1" in up.output
        assert "Traceback" not in up.output
        assert not (here.folder / "postgres").exists()


def test_a_site_whose_part_cannot_start_ends_with_the_reason(mqtt_broker: EmbeddedNats) -> None:
    with place() as here, socket.create_server(("127.0.0.1", 0)) as taken:
        file = here.folder.parent / "gateway.yaml"
        told = GATEWAY.format(folder=here.folder.parent, port=mqtt_broker.mqtt_port)
        file.write_text(told.replace("port: 0", f"port: {taken.getsockname()[1]}"))
        up = here.start("up", "--port", str(free_port()), "--edge", str(file))
        assert up.process.wait(90) == 1
        assert "edge cannot start (exit 1)" in up.output
        assert "Address already in use" in up.output
        assert here.left() == []


def test_a_core_whose_own_port_is_taken_names_it_and_starts_nothing() -> None:
    with place() as here, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serve = here.start("serve", "--port", str(port))
        assert serve.process.wait(60) == 1
        assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in serve.output
        assert "Traceback" not in serve.output
        assert not (here.folder / "postgres").exists()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk of that size at the folder. Needs root, as CI has."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    """Makes a file as large as its disk has room."""
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while True:
            out.write(bytes(2**16))


@pytest.mark.timeout(240)
def test_a_core_with_a_full_disk_says_so_and_is_well_again_when_there_is_room() -> None:
    with place() as here, small_disk(here.folder, 300):
        port = free_port()
        serve = here.start("serve", "--port", str(port))
        serve.says("ready: pages on")
        until(lambda: health(port)[0] == 200, "the core is well")
        ballast = here.folder / "ballast"
        fill(ballast)
        until(lambda: health(port)[0] == 503, "it is told")
        code, checks = health(port)
        assert (code, checks["disk"]) == (503, "0 MiB free of 300 in the data folder")
        # a server that dies now cannot come back, and that too is told
        os.kill(here.pid("postgres"), signal.SIGKILL)
        until(lambda: "postgres" in health(port)[1]["servers"], "the supervisor's word")
        code, checks = health(port)
        assert code == 503
        assert checks["database"] != "ok"
        ballast.unlink()
        until(lambda: health(port)[0] == 200, f"well again: {health(port)}")
        assert serve.stop() == 0
