"""Stories of QA: who may decide what, what a signature covers, what releases and what does not."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from core.erp.exposure.events import ZoneState
from core.erp.exposure.model import GapRecord, SourceWatermark
from core.erp.kernel import signatures
from core.erp.kernel.errors import Conflict, Forbidden, IllegalMove, Invalid, Refused
from core.erp.kernel.model import Signature
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.erp.quality.model import Disposition, Excursion
from core.erp.quality.service.excursions import signed_record
from core.erp.quality.workflow import ALARM, EXCURSION
from tests.services.quality_plant import PASSWORD, Plant, at, build, build_events


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def ended(plant: Plant, *, released: bool = True) -> tuple[int, int]:
    """(sublot, excursion) of 80 warm minutes that are over."""
    sublot = plant.goods(released=released)
    plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    return sublot, plant.excursions(sublot)[0][0]


def state_of(plant: Plant, sublot: int) -> object:
    return plant.one("SELECT state FROM sublot WHERE id = :s", s=sublot)


def test_disposition_and_batch_release_are_two_acts_by_two_permits(plant: Plant) -> None:
    sublot, excursion = ended(plant, released=False)
    plant.do("quinn", at("05:00"), quality.assess, excursion, "80 min at 12 °C; stability covers 24 h")
    assert len(plant.open_holds(sublot)) == 1, "assessing releases nothing"
    with pytest.raises(Forbidden):
        plant.sign(
            "rory", at("05:05"), quality.disposition_signing(excursion, "accept", "fine"), PASSWORD, login="rory"
        )
    with pytest.raises(Refused, match="assessed"):
        plant.sign("rory", at("05:05"), quality.release_signing(sublot), PASSWORD, login="rory")
    plant.sign(
        "quinn", at("05:10"), quality.disposition_signing(excursion, "accept", "stable"), PASSWORD, login="quinn"
    )
    assert plant.open_holds(sublot) == []
    assert state_of(plant, sublot) == "quarantine", "a disposition releases nothing"
    with pytest.raises(Forbidden):
        plant.sign("quinn", at("05:15"), quality.release_signing(sublot), PASSWORD, login="quinn")
    made = plant.sign("rory", at("05:20"), quality.release_signing(sublot), PASSWORD, login="rory")
    assert state_of(plant, sublot) == "released"
    assert made.record["exposure"]["excursions"][0]["decision"] == "accept"
    signed = plant.one("SELECT name, meaning, at FROM signature WHERE id = :i", i=made.signature_id)
    assert signed == ("Rory", "batch release", at("05:20"))


@pytest.mark.parametrize("who", ["ada", "wanda", "lou", "eli", "pat", "system-x"])
def test_nobody_else_decides(plant: Plant, who: str) -> None:
    sublot, excursion = ended(plant, released=False)
    plant.do("quinn", at("05:00"), quality.assess, excursion, "seen")
    login = who if who != "system-x" else None
    with pytest.raises((Forbidden, Refused)):
        plant.sign(who, at("05:05"), quality.disposition_signing(excursion, "accept", "fine"), PASSWORD, login=login)
    with pytest.raises((Forbidden, Refused)):
        plant.sign(who, at("05:05"), quality.release_signing(sublot), PASSWORD, login=login)
    assert plant.excursions(sublot) == [(excursion, "assessed")]
    assert plant.one("SELECT count(*) FROM signature") == 0


def test_a_wrong_password_signs_nothing(plant: Plant) -> None:
    sublot, excursion = ended(plant)
    plant.do("quinn", at("05:00"), quality.assess, excursion, "seen")
    with pytest.raises(Forbidden, match="password"):
        plant.sign(
            "quinn", at("05:05"), quality.disposition_signing(excursion, "accept", "fine"), "not it", login="quinn"
        )
    assert plant.excursions(sublot) == [(excursion, "assessed")]
    assert len(plant.open_holds(sublot)) == 1


def test_a_disposition_lifts_its_own_hold_and_nothing_else(plant: Plant) -> None:
    sublot, excursion = ended(plant)
    plant.do(
        "quinn",
        at("04:30"),
        lots.place_hold,
        sublot_id=sublot,
        kind="quality",
        reason="complaint",
        since_at=at("04:30"),
    )
    other = plant.goods()
    plant.judged(at("04:40"), other, plant.breach("02:00", "03:00", "03:20"))
    plant.dispose(at("05:00"), excursion)
    reasons = plant.rows("SELECT reason FROM hold WHERE sublot_id = :s AND lifted_at IS NULL", s=sublot)
    assert reasons == [("complaint",)]
    assert len(plant.open_holds(other)) == 1


def test_the_hold_of_a_standing_excursion_is_lifted_by_its_disposition_only(plant: Plant) -> None:
    sublot, _ = ended(plant)
    with pytest.raises(Refused, match="disposing"):
        plant.do("quinn", at("05:00"), lots.lift_hold, plant.open_holds(sublot)[0], "looks fine")
    plant.judged(at("06:00"), sublot)  # refuted by later data: QA may lift it now
    plant.do("quinn", at("06:10"), lots.lift_hold, plant.open_holds(sublot)[0], "refuted by the logger")
    assert plant.open_holds(sublot) == []


def test_proof_after_a_lifted_unproven_hold_holds_again(plant: Plant) -> None:
    sublot = plant.goods()
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00", certainty="unproven"))
    plant.judged(at("04:00"), sublot)
    plant.do("quinn", at("04:10"), lots.lift_hold, plant.open_holds(sublot)[0], "good data came")
    plant.judged(at("05:00"), sublot, plant.breach("02:00", "03:00", "03:30"))
    assert len(plant.open_holds(sublot)) == 1
    assert [s for _, s in plant.excursions(sublot)] == ["superseded", "ended"]


def test_a_part_split_off_while_held_answers_once_for_the_run_it_went_through(plant: Plant) -> None:
    whole, excursion = ended(plant)
    part = plant.act("wanda", at("04:30"), lambda u: lots.split(u, whole, Decimal(40)).id)
    assert part is not None
    plant.judged(at("04:31"), part, plant.breach("02:00", "03:00", "03:20"))
    assert len(plant.open_holds(part)) == 2, "the copy of its parent's, and its own excursion's"
    plant.dispose(at("05:00"), excursion)
    assert len(plant.open_holds(part)) == 2, "its parent's disposition is not its own"
    plant.dispose(at("05:10"), plant.excursions(part)[0][0])
    assert plant.open_holds(part) == []


@pytest.mark.parametrize("decision", ["reject", "rework", "return", "destroy"])
def test_a_rejected_sublot_never_moves_to_a_customer(plant: Plant, decision: str) -> None:
    sublot, excursion = ended(plant)
    plant.dispose(at("05:00"), excursion, decision)
    assert state_of(plant, sublot) == "rejected"
    assert len(plant.open_holds(sublot)) == 1, "the hold stays"
    with pytest.raises(Refused, match="rejected"):
        plant.do("lou", at("06:00"), lots.reserve, sublot, 1, "sale", "shipment:1")
    with pytest.raises(Refused):
        plant.sign("rory", at("06:00"), quality.release_signing(sublot), PASSWORD, login="rory")


def test_restrict_lifts_the_hold_and_leaves_a_condition(plant: Plant) -> None:
    sublot, excursion = ended(plant)
    plant.dispose(at("05:00"), excursion, "restrict", restrictions=[quality.NewRestriction("market", {"only": ["DE"]})])
    assert plant.open_holds(sublot) == []
    with pytest.raises(Refused, match="market"):
        plant.do("lou", at("06:00"), lots.reserve, sublot, 1, "sale", "shipment:1", context={"market": "FR"})
    plant.do("lou", at("06:00"), lots.reserve, sublot, 1, "sale", "shipment:1", context={"market": "DE"})


def test_what_a_disposition_needs(plant: Plant) -> None:
    _, excursion = ended(plant)
    plant.do("quinn", at("05:00"), quality.assess, excursion, "seen")
    for decision, reason, more in (
        ("forgive", "x", {}),
        ("accept", "  ", {}),
        ("restrict", "x", {}),
        ("accept", "x", {"restrictions": [quality.NewRestriction("market", {"only": ["DE"]})]}),
    ):
        signing = quality.disposition_signing(excursion, decision, reason, **more)
        with pytest.raises(Invalid):
            plant.sign("quinn", at("05:05"), signing, PASSWORD, login="quinn")


def test_a_batch_of_one_incident_is_signed_record_by_record(plant: Plant) -> None:
    pairs = [ended(plant) for _ in range(3)]
    excursions = [excursion for _, excursion in pairs]
    for excursion in excursions[:2]:
        plant.do("quinn", at("05:00"), quality.assess, excursion, "seen")
    with pytest.raises(IllegalMove):
        plant.sign(
            "quinn", at("05:05"), quality.dispositions_signing(excursions, "accept", "stable"), PASSWORD, login="quinn"
        )
    assert plant.one("SELECT count(*) FROM disposition") == 0, "all or none"
    plant.do("quinn", at("05:06"), quality.assess, excursions[2], "seen")
    plant.sign(
        "quinn", at("05:10"), quality.dispositions_signing(excursions, "accept", "stable"), PASSWORD, login="quinn"
    )
    assert plant.one("SELECT count(DISTINCT entity_id) FROM signature") == 3
    assert all(plant.open_holds(sublot) == [] for sublot, _ in pairs)


def test_the_signature_covers_the_excursion_as_it_stood(plant: Plant) -> None:
    _, excursion = ended(plant)
    plant.dispose(at("05:00"), excursion)

    def check(u: Unit) -> None:
        made = u.session.exec(select(Disposition)).one()
        signature = u.session.get_one(Signature, made.signature_id)
        as_it_stands = signed_record(u.session.get_one(Excursion, excursion), made.decision, made.reason)
        assert as_it_stands == made.record
        assert signatures.still_valid(u, signature, made.record)
        assert not signatures.still_valid(u, signature, {**made.record, "out": 60.0})

    plant.act("quinn", at("05:10"), check)


def gap(plant: Plant, zone: str, start: str, stop: str | None) -> None:
    def work(u: Unit) -> None:
        u.session.add(
            GapRecord(
                zone_id=plant.zones[zone],
                start_at=at(start),
                stop_at=at(stop) if stop else None,
                reason="sensor silent",
                known_at=u.now,
            )
        )

    plant.act("judge", at("12:00"), work)


def test_a_gap_blocks_automatic_release_and_not_dispatch(plant: Plant) -> None:
    sublot, elsewhere = plant.goods(released=False), plant.goods(zone="room-b", released=False)
    stocked = plant.goods()
    gap(plant, "room-a", "05:00", "06:00")
    with pytest.raises(Refused, match="nothing is known of zone") as refusal:
        plant.do("wanda", at("12:00"), quality.auto_release, sublot)
    assert [r["kind"] for r in refusal.value.extra["reasons"]] == ["gap"]
    plant.do("wanda", at("12:00"), quality.auto_release, elsewhere)
    plant.do("lou", at("12:00"), lots.move, stocked, 1, "customer", purpose="sale", reference="x")
    made = plant.sign("rory", at("12:10"), quality.release_signing(sublot), PASSWORD, login="rory")
    assert len(made.record["exposure"]["gaps"]) == 1, "who releases by hand has seen it"


def test_an_open_gap_and_an_unjudged_present_block_automatic_release(plant: Plant) -> None:
    sublot = plant.goods(released=False)
    plant.alive("room-a", at("10:00"))
    with pytest.raises(Refused, match="no good reading"):
        plant.do("wanda", at("11:00"), quality.auto_release, sublot)
    plant.alive("room-a", at("11:00"))
    gap(plant, "room-a", "10:00", None)
    with pytest.raises(Refused, match="nothing is known"):
        plant.do("wanda", at("11:00"), quality.auto_release, sublot)


def test_the_review_changes_with_the_audit_trail(plant: Plant) -> None:
    sublot = plant.goods(released=False)
    first = plant.do("rory", at("05:00"), quality.review, sublot)
    assert plant.do("rory", at("05:00"), quality.review, sublot) == first
    plant.do("quinn", at("05:10"), lots.restrict, sublot, "market", {"only": ["DE"]}, "registered there only")
    second = plant.do("rory", at("05:20"), quality.review, sublot)
    assert second["audit_hash"] != first["audit_hash"]
    assert second["exposure"]["custody_intervals"] == first["exposure"]["custody_intervals"]


def test_what_was_decided_survives_a_restart(plant: Plant) -> None:
    sublot, excursion = ended(plant)
    plant.do("quinn", at("05:00"), quality.assess, excursion, "seen")
    plant.engine.dispose()
    again = Plant(plant.engine, build_events(), plant.actors, plant.zones, plant.items, plant.versions)
    again.judged(at("05:05"), sublot, again.breach("02:00", "03:00", "03:20"))
    assert again.excursions(sublot) == [(excursion, "assessed")]
    again.sign(
        "quinn", at("05:10"), quality.disposition_signing(excursion, "accept", "stable"), PASSWORD, login="quinn"
    )
    again.judged(at("05:15"), sublot, again.breach("02:00", "03:00", "03:20"))
    assert again.excursions(sublot) == [(excursion, "dispositioned")]
    again.do("quinn", at("05:20"), quality.close, excursion)
    assert again.excursions(sublot) == [(excursion, "closed")]


def test_alarm_states(plant: Plant) -> None:
    zone = plant.zones["room-a"]

    def say(now: str, *, active: bool) -> None:
        plant.emit(at(now), ZoneState(zone, "high", active, at(now), 9.1))

    say("02:00", active=True)
    say("02:01", active=True)  # still: one alarm
    ((alarm, state),) = plant.rows("SELECT id, state FROM zone_alarm")
    assert state == "unacknowledged"
    with pytest.raises(Forbidden):
        plant.do("wanda", at("02:05"), quality.acknowledge, alarm, reason="door closed")
    plant.do("eli", at("02:05"), quality.acknowledge, alarm, reason="door closed")
    with pytest.raises(IllegalMove):
        plant.do("eli", at("02:06"), quality.acknowledge, alarm, reason="door closed")
    say("02:10", active=False)
    assert plant.rows("SELECT state, returned_at FROM zone_alarm") == [("normal", at("02:10"))]
    with pytest.raises(IllegalMove):
        plant.do("eli", at("02:11"), quality.acknowledge, alarm, reason="door closed")
    say("03:00", active=True)
    say("03:05", active=False)
    (second,) = plant.rows("SELECT id, state FROM zone_alarm WHERE id <> :a", a=alarm)
    assert second[1] == "returned_unacknowledged"
    plant.do("eli", at("03:10"), quality.acknowledge, second[0], reason="door closed")
    assert plant.one("SELECT state FROM zone_alarm WHERE id = :a", a=second[0]) == "normal"


def test_shelving_never_silences_the_judge(plant: Plant) -> None:
    zone, sublot = plant.zones["room-a"], plant.goods()
    for until, reason in ((at("01:00"), "past"), (at("02:00", day=2), "too long"), (at("03:00"), " ")):
        with pytest.raises(Invalid):
            plant.do("eli", at("01:30"), quality.shelve, zone, "high", until, reason)
    plant.do("eli", at("01:30"), quality.shelve, zone, "high", at("04:00"), "defrosting")
    plant.emit(at("02:00"), ZoneState(zone, "high", active=True, at=at("02:00"), value=9.0))
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00"))
    assert plant.one("SELECT shelved_until FROM zone_alarm") == at("04:00")
    assert plant.one("SELECT payload->>'annunciate' FROM outbox WHERE topic = 'alarm.raised'") == "false"
    assert len(plant.open_holds(sublot)) == 1
    plant.do("eli", at("03:10"), quality.unshelve, zone, "high", "defrosted")
    assert plant.one("SELECT shelved_until FROM zone_alarm") is None
    plant.do("eli", at("03:20"), quality.out_of_service, zone, "stale", on=True, reason="probe at calibration")
    plant.emit(at("03:30"), ZoneState(zone, "stale", active=True, at=at("03:30"), value=None))
    assert plant.one("SELECT out_of_service FROM zone_alarm WHERE kind = 'stale'") is True


def test_a_silent_gateway_is_one_incident_and_no_hold(plant: Plant) -> None:
    plant.goods()

    def marks(u: Unit) -> None:
        for zone in ("room-a", "room-b"):
            u.session.add(
                SourceWatermark(
                    zone_id=plant.zones[zone], gateway="gw-1", source="mqtt", upto=at("02:00"), received_at=at("02:00")
                )
            )

    plant.act("judge", at("02:00"), marks)

    def say(zone: str, now: str, *, active: bool) -> None:
        plant.emit(at(now), ZoneState(plant.zones[zone], "silent_gateway", active, at(now), None))

    say("room-a", "02:10", active=True)
    say("room-b", "02:11", active=True)
    assert plant.rows("SELECT kind, gateway, zone_id, started_at, ended_at FROM incident") == [
        ("silent_gateway", "gw-1", None, at("02:10"), None),
    ]
    assert plant.one("SELECT count(*) FROM hold") == 0
    say("room-a", "08:00", active=False)
    assert plant.one("SELECT ended_at FROM incident") is None
    say("room-b", "08:01", active=False)
    assert plant.one("SELECT ended_at FROM incident") == at("08:01")
    say("room-a", "09:00", active=True)
    assert plant.one("SELECT count(*) FROM incident") == 2


def test_a_deviation_is_concluded_by_qa_and_its_hold_lifted_by_itself(plant: Plant) -> None:
    sublot = plant.goods(released=False)
    plant.do(
        "wanda",
        at("05:00"),
        lots.post_fact,
        sublot,
        5,
        "customer",
        purpose="sale",
        reference="paper 7",
        at=at("04:50"),
        reason="found in the book",
    )
    deviation, detail = plant.one("SELECT id, detail FROM deviation")
    assert "unreleased" in detail
    with pytest.raises(Forbidden):
        plant.do("wanda", at("05:05"), quality.close_deviation, deviation, "my mistake")
    plant.do("quinn", at("05:10"), quality.close_deviation, deviation, "staff trained again")
    assert len(plant.open_holds(sublot)) == 1
    with pytest.raises(IllegalMove):
        plant.do("quinn", at("05:15"), quality.close_deviation, deviation, "again")


EXCURSION_FORBIDDEN = [
    ("open", "dispose"),
    ("open", "close"),
    ("ended", "dispose"),
    ("ended", "close"),
    ("assessed", "assess"),
    ("assessed", "close"),
    ("assessed", "end"),
    ("dispositioned", "assess"),
    ("dispositioned", "dispose"),
    ("dispositioned", "supersede"),
    ("dispositioned", "reopen"),
    ("closed", "supersede"),
    ("closed", "reopen"),
    ("closed", "close"),
    ("closed", "dispose"),
    ("superseded", "reopen"),
    ("superseded", "assess"),
    ("superseded", "dispose"),
    ("superseded", "end"),
]


@pytest.mark.parametrize(("source", "move"), EXCURSION_FORBIDDEN)
def test_forbidden_moves_of_an_excursion(source: str, move: str) -> None:
    excursion = Excursion(
        id=1,
        limit_key="x",
        kind="instant",
        certainty="proven",
        out=timedelta(0),
        state=source,
        started_at=at("00:00"),
        broke_at=at("00:00"),
        known_at=at("00:00"),
    )
    with pytest.raises(IllegalMove) as refused:
        EXCURSION.apply(None, excursion, move, reason="try")  # type: ignore[arg-type]  # a forbidden move is refused before the unit is asked anything
    assert refused.value.extra["state"] == source


@pytest.mark.parametrize(
    ("source", "move"),
    [
        ("normal", "acknowledge"),
        ("normal", "return"),
        ("normal", "clear"),
        ("normal", "acknowledge_returned"),
        ("acknowledged", "acknowledge"),
        ("acknowledged", "return"),
        ("acknowledged", "acknowledge_returned"),
        ("returned_unacknowledged", "acknowledge"),
        ("returned_unacknowledged", "return"),
        ("returned_unacknowledged", "clear"),
        ("unacknowledged", "clear"),
        ("unacknowledged", "acknowledge_returned"),
    ],
)
def test_forbidden_moves_of_an_alarm(source: str, move: str) -> None:
    from core.erp.quality.model import ZoneAlarm

    alarm = ZoneAlarm(id=1, zone_id=1, kind="high", state=source, started_at=at("00:00"), raised_at=at("00:00"))
    with pytest.raises(IllegalMove) as refused:
        ALARM.apply(None, alarm, move)  # type: ignore[arg-type]  # a forbidden move is refused before the unit is asked anything
    assert refused.value.extra["state"] == source


def test_an_incident_is_decided_in_one_signed_act(plant: Plant) -> None:
    """Three sublots of one warm room: one assessment, one password, three records; what came to light since is told."""
    pairs = [ended(plant) for _ in range(3)]
    seen = [excursion for _, excursion in pairs]
    incident = plant.one("SELECT DISTINCT incident_id FROM excursion")
    plant.do("quinn", at("05:00"), quality.assess_incident, incident, "80 min at 12 °C")
    assert plant.rows("SELECT DISTINCT state, assessment FROM excursion") == [("assessed", "80 min at 12 °C")]
    with pytest.raises(Refused, match="no excursion that waits"):
        plant.do("quinn", at("05:01"), quality.assess_incident, incident, "again")
    market = [quality.NewRestriction("market", {"only": ["DE"]})]

    def decide(named: list[int], now: str, password: str = PASSWORD) -> None:
        signing = quality.incident_disposition_signing(incident, named, "restrict", "stable", restrictions=market)
        plant.sign("quinn", at(now), signing, password, login="quinn")

    for named in (seen[:2], [*seen, 999], []):
        with pytest.raises(Conflict, match="has changed"):
            decide(named, "05:05")
    with pytest.raises(Forbidden):
        decide(seen, "05:06", "not my password")
    late, fourth = ended(plant)
    with pytest.raises(Conflict, match=f"undecided {fourth} "):
        decide(seen, "05:07")
    plant.do("quinn", at("05:08"), quality.assess_incident, incident, "80 min too")
    tried = plant.one("SELECT count(*) FROM login_attempt")
    decide([*seen, fourth], "05:10")
    assert plant.one("SELECT count(*) FROM login_attempt") == tried + 1, "one act, one password"
    assert plant.one("SELECT count(DISTINCT entity_id) FROM signature") == 4
    records = plant.rows("SELECT excursion_id, record -> 'restrictions' FROM disposition ORDER BY excursion_id")
    assert records == [(e, [{"kind": "market", "value": {"only": ["DE"]}}]) for e in sorted([*seen, fourth])]
    for sublot in [*(sublot for sublot, _ in pairs), late]:
        assert plant.open_holds(sublot) == []
        assert plant.one("SELECT count(*) FROM restriction WHERE sublot_id = :s", s=sublot) == 1
