"""Excursions follow the data; holds follow excursions and stand until QA lifts them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.exposure.events import Judged, SublotsJudged
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from tests.services.quality_plant import Plant, at, build


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def test_a_breach_opens_an_excursion_with_its_incident_and_hold(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00"))
    row = plant.one(
        "SELECT e.state, e.known_at, e.certainty, h.since_at, h.certainty, h.lift_permit, i.kind, i.zone_id "
        "FROM excursion e JOIN hold h ON h.excursion_id = e.id JOIN incident i ON i.id = e.incident_id "
        "WHERE e.sublot_id = :s",
        s=sublot,
    )
    assert row == (
        "open",
        at("03:00"),
        "proven",
        at("03:00"),
        "proven",
        "excursion.disposition",
        "limit",
        plant.zones["room-a"],
    )


def test_judging_again_changes_nothing(plant: Plant) -> None:
    sublot = plant.goods()
    for _ in range(3):
        plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00"))
    assert len(plant.excursions(sublot)) == 1
    assert len(plant.open_holds(sublot)) == 1


def test_proof_upgrades_the_hold_and_adds_none(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", certainty="unproven"))
    plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20", certainty="proven"))
    assert plant.rows("SELECT certainty FROM hold WHERE sublot_id = :s", s=sublot) == [("proven",)]
    assert plant.rows("SELECT state, certainty, ended_at FROM excursion") == [("ended", "proven", at("03:20"))]


def test_what_later_data_refute_is_superseded_and_its_hold_stands(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", certainty="unproven"))
    plant.judged(at("04:00"), sublot)
    assert [state for _, state in plant.excursions(sublot)] == ["superseded"]
    assert len(plant.open_holds(sublot)) == 1


def test_a_moved_start_supersedes_and_the_new_one_has_its_own_hold(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", "03:10"))
    plant.judged(at("04:00"), sublot, plant.breach("01:50", "02:50", "03:10"))
    first, second = plant.excursions(sublot)
    assert (first[1], second[1]) == ("superseded", "ended")
    assert plant.one("SELECT replaces_id FROM excursion WHERE id = :e", e=second[0]) == first[0]
    assert len(plant.open_holds(sublot)) == 2
    plant.dispose(at("05:00"), second[0])
    assert plant.open_holds(sublot) == [], "one cause, one decision: the replaced one's hold goes with it"


def test_the_same_set_stands_in_whatever_order_data_came(plant: Plant) -> None:
    states = (
        (plant.breach("02:00", "03:00"),),
        (plant.breach("01:50", "02:50"),),
        (),
        (plant.breach("01:50", "02:50", "03:30"), plant.breach("05:00", "06:00", "06:10")),
    )
    standing = []
    for order in ((0, 1, 2, 3), (2, 1, 0, 3), (3, 0, 3, 1, 3), (3,)):
        sublot = plant.goods()
        for step in order:
            plant.judged(at("07:00"), sublot, *states[step])
        found = plant.rows(
            "SELECT limit_key, started_at, broke_at, ended_at, out FROM excursion "
            "WHERE sublot_id = :s AND state <> 'superseded' ORDER BY started_at",
            s=sublot,
        )
        held = plant.one(
            "SELECT count(*) FROM excursion e WHERE sublot_id = :s AND state <> 'superseded' AND NOT EXISTS "
            "(SELECT FROM hold h WHERE h.excursion_id = e.id AND h.lifted_at IS NULL)",
            s=sublot,
        )
        assert held == 0
        standing.append(found)
    assert len(standing[0]) == 2
    assert all(found == standing[0] for found in standing)


def test_a_signed_disposition_is_never_edited_and_only_a_further_breach_opens_another(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    ((excursion, _),) = plant.excursions(sublot)
    plant.dispose(at("05:00"), excursion)
    assert plant.open_holds(sublot) == []
    plant.judged(at("06:00"), sublot, plant.breach("01:50", "02:50", "04:00"))  # 130 min, 80 accepted: grew by 50
    assert plant.excursions(sublot) == [(excursion, "dispositioned")]
    assert plant.one("SELECT out FROM excursion") == timedelta(minutes=80)
    plant.judged(at("07:00"), sublot, plant.breach("01:50", "02:50", "04:10"))  # grew by 60: a further breach
    (_, second) = plant.excursions(sublot)
    assert second[1] == "ended"
    assert plant.one("SELECT accepted_before FROM excursion WHERE id = :e", e=second[0]) == timedelta(minutes=80)
    assert len(plant.open_holds(sublot)) == 1


def test_a_new_run_after_a_disposition_opens_another(plant: Plant) -> None:
    sublot = plant.goods()
    first = plant.breach("02:00", "03:00", "03:20")
    plant.judged(at("03:00"), sublot, first)
    plant.dispose(at("05:00"), plant.excursions(sublot)[0][0])
    plant.judged(at("09:00"), sublot, first, plant.breach("08:00", "09:00"))
    assert [state for _, state in plant.excursions(sublot)] == ["dispositioned", "open"]


def test_excursions_of_one_cause_form_one_incident(plant: Plant) -> None:
    one, two, other = plant.goods(), plant.goods(), plant.goods(zone="room-b")
    version = plant.versions["cold"]
    plant.emit(
        at("04:00"),
        SublotsJudged(
            (
                Judged(one, version, (plant.breach("02:00", "03:00"),)),
                Judged(two, version, (plant.breach("02:40", "03:40"),)),
                Judged(other, version, (plant.breach("02:00", "03:00", zone="room-b"),)),
            )
        ),
    )
    plant.judged(at("04:10"), two, plant.breach("02:40", "03:40", "04:00"))
    plant.judged(at("09:00"), one, plant.breach("02:00", "03:00", "04:00"), plant.breach("08:00", "09:00"))
    found = dict(plant.rows("SELECT sublot_id || '/' || started_at::time, incident_id FROM excursion"))
    assert len(set(found.values())) == 3
    assert found[f"{one}/02:00:00"] == found[f"{two}/02:40:00"]


def test_hundreds_of_sublots_are_synced_together(plant: Plant) -> None:
    sublots = [plant.goods() for _ in range(3)]
    for sublot in list(sublots):

        def cut(u: Unit, s: int = sublot) -> list[int]:
            born = [lots.split(u, s, Decimal(1)).id for _ in range(50)]
            return [one for one in born if one is not None]

        sublots += plant.act("setup", at("00:01"), cut)
    version = plant.versions["cold"]
    items = tuple(Judged(s, version, (plant.breach("02:00", "03:00"),)) for s in sublots)
    plant.emit(at("03:00"), SublotsJudged(items))
    plant.emit(at("03:00"), SublotsJudged(items))
    assert plant.one("SELECT count(*) FROM excursion") == len(sublots)
    assert plant.one("SELECT count(DISTINCT incident_id) FROM excursion") == 1
    assert plant.one("SELECT count(*) FROM hold WHERE excursion_id IS NOT NULL") == len(sublots)


def test_the_database_itself_forbids_editing_what_was_signed(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    plant.dispose(at("05:00"), plant.excursions(sublot)[0][0])
    for sql in (
        "UPDATE excursion SET out = interval '1 minute'",
        "UPDATE excursion SET accepted = interval '9 days'",
        "UPDATE excursion SET state = 'open'",
        "DELETE FROM excursion",
        "UPDATE disposition SET decision = 'accept'",
        "TRUNCATE excursion",
    ):
        with pytest.raises(DBAPIError), plant.engine.begin() as conn:
            conn.execute(text(sql))
