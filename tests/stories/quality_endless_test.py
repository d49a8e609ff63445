"""An excursion that cannot end by itself, since nobody measures its goods any more: QA assesses and decides it all the
same, and accepts no more than what was known then.
"""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.kernel.errors import Conflict, Refused
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor
from core.erp.quality import service as quality
from tests.stories.loggers import person
from tests.world import OVER_8_FOR_60, World, at, every

PASSWORD = "correct horse battery"


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def standing(world: World) -> list[tuple[int, str, str]]:
    return [
        (row[0], row[1], row[2])
        for row in rows(world, "SELECT id, state, certainty FROM excursion WHERE state <> 'superseded' ORDER BY id")
    ]


class Silent:
    """Goods in a room whose sensor said its last word at 02:00, while the gateway goes on to speak."""

    def __init__(self, world: World, goods: int = 1) -> None:
        self.world, self.room = world, world.zone("room")
        item = world.item(OVER_8_FOR_60)
        self.sublots = [world.sublot(item, self.room, at("01:00")) for _ in range(goods)]
        world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
        self.quinn: Actor = person(world, "quinn", Role.QA)
        self.speak("03:40")

    def speak(self, clock: str, *values: float, since: str = "") -> None:
        """The gateway has told all up to then; `values`: what the sensor said from `since` on, every ten minutes."""
        readings = [pair for value in values for pair in every(10, at(since), at(clock), value)]
        self.world.feed("room", readings, upto=at(clock), now=at(clock))

    def assess(self, excursion: int) -> None:
        self.world.do(
            partial(quality.assess, excursion_id=excursion, assessment="the sensor is dead"), actor=self.quinn
        )

    def accept(self, excursion: int) -> None:
        self.world.sign(self.quinn, quality.disposition_signing(excursion, "accept", "a second probe"), PASSWORD)


def test_what_nobody_measures_is_assessed_and_decided_while_it_goes_on(world: World) -> None:
    plant = Silent(world)
    ((excursion, *_),) = standing(world)
    assert standing(world) == [(excursion, "open", "unproven")]
    plant.assess(excursion)
    plant.speak("03:55")
    assert standing(world) == [(excursion, "assessed", "unproven")], "the silence alone does not void it"
    plant.accept(excursion)
    assert world.holds(plant.sublots[0]) == []
    plant.speak("04:30")
    assert world.holds(plant.sublots[0]) == [], "not yet as long again as the limit allows"
    plant.speak("05:00")
    ((_, state, _), (further, *_)) = standing(world)
    assert (state, world.holds(plant.sublots[0])) == ("dispositioned", ["unproven"])
    (signed,) = rows(world, f"SELECT accepted FROM excursion WHERE id = {excursion}")
    assert rows(world, f"SELECT accepted_before FROM excursion WHERE id = {further}") == [signed]


def test_who_is_measured_is_assessed_when_it_has_ended(world: World) -> None:
    plant = Silent(world)
    ((excursion, *_),) = standing(world)
    plant.speak("03:50", 9.0, since="03:50")
    with pytest.raises(Refused, match="assessed when it has ended"):
        plant.assess(excursion)
    plant.speak("04:10", 5.0, since="04:00")
    assert standing(world)[0][1] == "ended"
    plant.assess(excursion)


def test_more_that_is_known_voids_the_assessment(world: World) -> None:
    plant = Silent(world)
    ((excursion, *_),) = standing(world)
    plant.assess(excursion)
    plant.speak("05:00", 9.0, since="03:50")
    assert standing(world) == [(excursion, "open", "proven")]


def test_another_run_is_not_what_was_signed_for(world: World) -> None:
    """Signed for at 03:40; the sensor is exchanged, the room is good for hours and then warm: that is held anew, and is
    another incident.
    """
    plant = Silent(world)
    ((excursion, *_),) = standing(world)
    plant.assess(excursion)
    plant.accept(excursion)
    plant.speak("06:00", 5.0, since="03:50")
    assert standing(world) == [(excursion, "dispositioned", "unproven")]
    plant.speak("07:10", 9.0, since="06:10")
    assert [one[1:] for one in standing(world)] == [("dispositioned", "unproven"), ("open", "proven")]
    assert world.holds(plant.sublots[0]) == ["proven"]
    assert rows(world, "SELECT count(DISTINCT incident_id), max(accepted_before) = '0' FROM excursion") == [(2, True)]


def test_another_silence_is_another_incident(world: World) -> None:
    plant = Silent(world)
    ((excursion, *_),) = standing(world)
    plant.assess(excursion)
    plant.accept(excursion)
    plant.speak("04:00", 5.0, since="03:50")
    plant.speak("06:00")
    assert [one[1:] for one in standing(world)] == [("dispositioned", "unproven"), ("open", "unproven")]
    assert rows(world, "SELECT count(DISTINCT incident_id) FROM excursion") == [(2,)]


def test_an_incident_is_decided_in_part_knowingly(world: World) -> None:
    """Two of three are assessed together; the third is measured elsewhere by now, and is left for later by name."""
    plant = Silent(world, goods=3)
    dock = world.zone("dock")
    world.feed("dock", every(10, at("03:00"), at("03:40"), 9.0), upto=at("03:40"))
    world.put(plant.sublots[2], dock, at("03:40"))
    world.feed("dock", every(10, at("03:50"), at("04:00"), 9.0), upto=at("04:00"))
    incident = rows(world, "SELECT min(incident_id) FROM excursion")[0][0]
    world.do(partial(quality.assess_incident, incident_id=incident, assessment="dead sensor"), actor=plant.quinn)
    states = {number: state for number, state, _ in standing(world)}
    assert sorted(states.values()) == ["assessed", "assessed", "open"]
    assessed = [number for number, state in states.items() if state == "assessed"]
    (left,) = states.keys() - set(assessed)

    def decide(*, leaving: list[int]) -> None:
        signing = quality.incident_disposition_signing(incident, assessed, "accept", "stable", left=leaving)
        world.sign(plant.quinn, signing, PASSWORD)

    with pytest.raises(Conflict, match="has changed"):
        decide(leaving=[])
    decide(leaving=[left])
    assert [len(world.holds(sublot)) for sublot in plant.sublots] == [0, 0, 1]
