"""What may happen to a scenario that runs is checked like its file: who, what, and with which figures."""

from typing import Any

import pytest

from simulators.faults import FaultKind
from simulators.scenario import FaultEvent, FaultOver, Scenario, ZoneEvent
from simulators.scenariofile import injected

ROOM = "plant/cold/room-1"
SCENARIO = Scenario.model_validate(
    {
        "name": "trial",
        "duration": "10s",
        "zones": {ROOM: {}},
        "devices": [
            {"kind": "mqtt_sensor", "name": "probe", "zone": ROOM},
            {"kind": "cold_room_controller", "name": "box", "port": 15020, "units": {1: ROOM}},
            {"kind": "mqtt_load", "name": "rig", "zone": ROOM, "rate": 5},
        ],
        "timeline": [{"at": "5s", "do": "door_open", "zone": ROOM}],
    }
)


def test_what_a_file_could_say_is_taken() -> None:
    door = injected(SCENARIO, {"do": "door_open", "zone": ROOM, "for": "30s"})
    assert isinstance(door, ZoneEvent)
    assert (door.space, door.lasting) == (ROOM, 30.0)
    fault = injected(SCENARIO, {"device": "probe", "fault": "spike", "amount": 7})
    assert isinstance(fault, FaultEvent)
    assert fault.what().amount == 7
    over = injected(SCENARIO, {"device": "box", "unit": 1, "over": "freeze"})
    assert over == FaultOver(device="box", over=FaultKind.FREEZE)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"do": "door_open", "zone": "plant/cold/room-9"}, "no zone 'plant/cold/room-9'"),
        ({"device": "nobody", "fault": "freeze"}, "no device 'nobody'"),
        ({"device": "box", "fault": "duplicate"}, "a cold_room_controller cannot show the fault duplicate"),
        ({"device": "box", "unit": 7, "fault": "freeze"}, "'box' has no unit 7"),
        ({"device": "rig", "fault": "freeze"}, "'rig' is a load: it takes neither events nor faults"),
        ({"do": "opcua_state", "device": "probe", "state": "running"}, "opcua_state needs a filling_machine"),
        ({"device": "nobody", "over": "freeze"}, "no device 'nobody'"),
        ({"do": "set_temperature", "zone": ROOM, "to": "nan"}, "to: "),
        ({"do": "explode", "zone": ROOM}, ""),
        ({}, ""),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_wrong(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why or None) as refused:
        injected(SCENARIO, asked)
    assert str(refused.value)
