"""The process that runs scenarios for the pages: started by asking, worked while it runs, gone with its server."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.settings import Settings
from core.web.desks.simulators.port import Asked, RunNow, SimulatorsAway, SimulatorsRefuse
from lotwise.embedded.nats import EmbeddedNats
from lotwise.simulations.client import SimulatorsBeside
from lotwise.simulations.keeping import simulators_kept
from tests.servers import free_port

WAIT = 30.0


@pytest.fixture
def beside(tmp_path: Path, engine: Engine) -> Iterator[SimulatorsBeside]:
    url = engine.url.render_as_string(hide_password=False)
    with simulators_kept(Settings(instance="test", data_dir=tmp_path), url):
        found = SimulatorsBeside(tmp_path)
        until(lambda: up(found))
        yield found


def up(beside: SimulatorsBeside) -> bool:
    try:
        return not beside.runs()
    except SimulatorsAway:
        return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def the_run(beside: SimulatorsBeside) -> RunNow:
    return beside.runs()[0]


def test_a_scenario_is_started_worked_and_stopped(
    beside: SimulatorsBeside, mqtt_broker: EmbeddedNats, engine: Engine
) -> None:
    asked = Asked("truck_door", duration=600, seed=4, broker=f"127.0.0.1:{mqtt_broker.mqtt_port}")
    beside.start("r1", asked, "tess")
    beside.start("r1", asked, "tess")
    assert len(beside.runs()) == 1, "a form sent twice starts once"
    until(lambda: the_run(beside).state == "running" and the_run(beside).messages > 2)
    zone, device = the_run(beside).spaces[0].name, the_run(beside).devices[0].name
    beside.act("r1", {"do": "power_off", "zone": zone})
    beside.act("r1", {"device": device, "fault": "freeze", "for": "500ms"})
    told = the_run(beside)
    assert (told.by, told.spaces[0].powered, told.devices[0].faults) == ("tess", False, ("freeze",))
    until(lambda: the_run(beside).happened[0].did == "fault_over")
    assert the_run(beside).devices[0].faults == ()
    with pytest.raises(SimulatorsRefuse, match="no zone 'nowhere/at/all'"):
        beside.act("r1", {"do": "door_open", "zone": "nowhere/at/all"})
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM live_change WHERE topic = 'simulation'")), "pages are told"
    beside.stop("r1")
    until(lambda: the_run(beside).state == "stopped")
    with pytest.raises(SimulatorsRefuse, match="not running"):
        beside.act("r1", {"do": "power_on", "zone": zone})


def test_what_cannot_run_says_why(beside: SimulatorsBeside) -> None:
    with pytest.raises(SimulatorsRefuse, match=r"no scenario '\.\./\.\./etc/passwd'"):
        beside.start("r1", Asked("../../etc/passwd"), "tess")
    with pytest.raises(SimulatorsRefuse, match="24 h at most"):
        beside.start("r2", Asked("truck_door", duration=1e6), "tess")
    with pytest.raises(SimulatorsRefuse, match="speed_up"):
        beside.start("r3", Asked("truck_door", speed_up=-1), "tess")
    assert beside.runs() == []
    beside.start("r4", Asked("truck_door", broker=f"127.0.0.1:{free_port()}"), "tess")
    until(lambda: the_run(beside).state == "failed")
    assert "broker 127.0.0.1:" in the_run(beside).why
    with pytest.raises(SimulatorsRefuse, match="no such run"):
        beside.stop("r5")


def test_no_more_run_at_once_than_there_is_room_for(beside: SimulatorsBeside, mqtt_broker: EmbeddedNats) -> None:
    asked = Asked("truck_door", duration=600, broker=f"127.0.0.1:{mqtt_broker.mqtt_port}")
    for number in range(4):
        beside.start(f"r{number}", asked, "tess")
    with pytest.raises(SimulatorsRefuse, match="4 scenarios run already"):
        beside.start("r4", asked, "tess")


def test_it_ends_with_its_server_and_comes_back_when_it_dies(tmp_path: Path) -> None:
    with simulators_kept(Settings(instance="test", data_dir=tmp_path), "postgresql://nobody@127.0.0.1:1/none"):
        found = SimulatorsBeside(tmp_path)
        until(lambda: up(found))
        first = host_of(tmp_path)
        os.kill(first, 9)
        until(lambda: up(found) and host_of(tmp_path) != first)
        second = host_of(tmp_path)
    assert not Path(f"/proc/{second}").exists()
    with pytest.raises(SimulatorsAway):
        found.runs()


def host_of(folder: Path) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"lotwise.simulations.host" in words and str(folder).encode() in words:
            return int(path.parent.name)
    return 0


def test_a_live_instance_has_none(tmp_path: Path) -> None:
    with simulators_kept(Settings(instance="live", data_dir=tmp_path), "postgresql://nobody@127.0.0.1:1/none"):
        assert host_of(tmp_path) == 0


def test_every_scenario_is_known_with_its_plan_and_its_gateway(tmp_path: Path) -> None:
    found = {one.name: one for one in SimulatorsBeside(tmp_path).known()}
    assert {"cold_room_failure", "truck_door", "all_faults", "secured_machine"} <= set(found)
    assert all(one.trouble is None for one in found.values())
    room = found["cold_room_failure"]
    assert next((one.at, one.subject, one.did) for one in room.plan) == (10, "plant/cold/room-1", "compressor_fail")
    section = SimulatorsBeside(tmp_path).section(Asked("cold_room_failure", broker="broker.plant:1884"))
    assert "host: broker.plant" in section
    assert "port: 1884" in section
    with pytest.raises(SimulatorsRefuse, match="HOST:PORT"):
        SimulatorsBeside(tmp_path).section(Asked("cold_room_failure", broker="nonsense"))
