"""What a timeline says is done, and undone, to the space or device it names. No clock, no network."""

import asyncio
from typing import Any

import pytest

from simulators.fleet import Fleet
from simulators.machine import FillingMachine
from simulators.physics import Room
from simulators.scenario import Scenario
from simulators.timetable import Timetable

ROOM = "plant/cold/room-1"


def fleet(**event: Any) -> Fleet:
    machine = {"kind": "filling_machine", "name": "filler-1", "zone": ROOM, "port": 14840}
    found = {"name": "x", "duration": 60, "zones": {ROOM: {}}, "devices": [machine], "timeline": [event]}
    return Fleet(Scenario.model_validate(found))


def spaces(made: Fleet) -> dict[str, Room]:
    machine = made.devices["filler-1"]
    assert isinstance(machine, FillingMachine)
    return {"zone": made.rooms[ROOM].state(), "device": machine.chamber.state()}


@pytest.mark.parametrize(("key", "name"), [("zone", ROOM), ("device", "filler-1")])
@pytest.mark.parametrize(
    ("event", "field", "during"),
    [
        ({"do": "door_open"}, "door_open", True),
        ({"do": "compressor_fail"}, "failed", True),
        ({"do": "power_off"}, "powered", False),
        ({"do": "set_ambient", "to": 38}, "ambient", 38),
        ({"do": "setpoint", "to": 3}, "setpoint", 3),
        ({"do": "set_temperature", "to": 12}, "air", 12),
    ],
)
def test_an_event_acts_on_its_space_only_and_is_undone(
    key: str, name: str, event: dict[str, Any], field: str, during: float
) -> None:
    made = fleet(at=5, **{key: name, "for": 10}, **event)
    other = "device" if key == "zone" else "zone"
    here, there = spaces(made)[key], spaces(made)[other]
    before, untouched = getattr(here, field), getattr(there, field)
    begin, finish = Timetable(made).steps()
    assert (begin.at, finish.at) == (5, 15)
    assert begin.text.startswith(name)
    asyncio.run(begin.act())
    assert getattr(here, field) == during
    asyncio.run(finish.act())
    assert getattr(here, field) == before
    assert getattr(there, field) == untouched


def test_product_is_brought_into_the_space_it_names() -> None:
    made = fleet(at=5, do="load_product", zone=ROOM, kg=100, temperature=20)
    [step] = Timetable(made).steps()
    asyncio.run(step.act())
    assert spaces(made)["zone"].product_kg == 600
    assert spaces(made)["device"].product_kg == 20
