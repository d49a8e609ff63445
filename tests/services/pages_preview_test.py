"""A profile's new version tried on what a zone went through: it finds what the judge finds, and writes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.auth import now_utc
from tests.pages import Browser, filled, pages, text_of
from tests.world import OVER_8_FOR_60, World, judging

PEOPLE = {"qa": ["qa"], "eng": ["plant_engineer"]}


@dataclass(frozen=True)
class Plant:
    world: World
    people: dict[str, Browser]
    profile: int
    start: datetime

    @property
    def address(self) -> str:
        return f"/setup/profiles/{self.profile}/preview"

    def tried(self, status: int = 200, /, **fields: str) -> str:
        qa = self.people["qa"]
        sent = {**filled(qa.form(self.address)), "zone": "s1/a/room", "days": "7", **fields}
        answer = qa.client.post(self.address, data=sent)
        assert answer.status_code == status, text_of(answer.text)[:2000]
        return text_of(answer.text).replace("\u202f", " ").replace("\u00a0", " ")


@pytest.fixture(scope="module")
def plant(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A room that was at 9 °C for 40 minutes, and at 9 °C for 80 minutes an hour later."""
    world = judging(module_engine)
    start = now_utc().replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    world.now = start
    room = world.zone("room", band_low=2.0, band_high=8.0)
    world.zone("blind", points=())
    item = world.item(OVER_8_FOR_60)
    world.sublot(item, room, start)
    values = [(start + timedelta(minutes=5 * n), 9.0 if 24 <= n < 32 or 44 <= n < 60 else 5.0) for n in range(96)]
    world.feed("room", values, upto=values[-1][0])
    with module_engine.connect() as conn:
        profile = conn.scalar(text("SELECT id FROM storage_profile"))
    assert profile is not None
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE) as people:
        yield Plant(world, people, profile, start)


def test_the_newest_version_finds_what_the_judge_found(plant: Plant, module_engine: Engine) -> None:
    read = plant.tried()
    assert "Excursions it would have found: 1" in read.partition("As version")[2]
    with module_engine.connect() as conn:
        judged = conn.execute(text("SELECT started_at, broke_at FROM excursion")).one()
    assert judged.broke_at == plant.start + timedelta(minutes=44 * 5 + 60)
    assert f"{judged.broke_at:%H:%M}" in read


def test_a_stricter_version_finds_more_and_a_milder_one_nothing(plant: Plant) -> None:
    strict = plant.tried(**{"limits.0.delay": "30 min"})
    assert "Excursions it would have found: 2" in strict.partition("As written here")[2].partition("As version")[0]
    mild = plant.tried(**{"limits.0.threshold": "12"})
    assert "It would have found no excursion" in mild.partition("As written here")[2].partition("As version")[0]


def test_it_says_what_is_wrong_and_keeps_what_was_written(plant: Plant) -> None:
    assert "no zone is called “nowhere”" in plant.tried(422, zone="nowhere")
    assert "nobody measures in s1/a/blind" in plant.tried(422, zone="s1/a/blind")
    assert "these limits cannot be" in plant.tried(422, **{"limits.0.kind": "instant"})


def test_nothing_is_written_and_qa_makes_the_version_from_the_same_form(plant: Plant, module_engine: Engine) -> None:
    def versions() -> int:
        with module_engine.connect() as conn:
            return int(conn.execute(text("SELECT count(*) FROM profile_version")).scalar_one())

    before = versions()
    plant.tried(**{"limits.0.delay": "30 min"})
    assert versions() == before
    assert "Make this version" not in text_of(plant.people["eng"].get(plant.address))
    qa = plant.people["qa"]
    sent = {**filled(qa.form(plant.address)), "limits.0.delay": "30 min"}
    assert qa.client.post(f"/profiles/{plant.profile}/versions", data=sent).status_code == 303
    assert versions() == before + 1


def test_a_new_version_begins_with_the_newest(plant: Plant) -> None:
    address = f"/profiles/{plant.profile}/versions"
    begun = filled(plant.people["qa"].form(address))
    assert (begun["limits.0.threshold"], begun["limits.0.op"]) == ("8", ">")
    plant.people["qa"].send(address, {"limits.0.threshold": "7.5"})
    assert filled(plant.people["qa"].form(address)) | {"_key": "", "_version": ""} == begun | {
        "limits.0.threshold": "7.5",
        "_key": "",
        "_version": "",
    }
