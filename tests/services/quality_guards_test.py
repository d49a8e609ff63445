"""What plain SQL cannot do either: move a signature, decide without one, lift QA's hold; and races with a pick."""

import threading
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from tests.services.quality_plant import PASSWORD, Plant, at, build


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def refused(plant: Plant, sql: str, **values: object) -> str:
    """The SQLSTATE by which the database refuses a statement."""
    with pytest.raises(DBAPIError) as caught, plant.engine.begin() as conn:
        conn.execute(text(sql), values)
    return str(getattr(caught.value.orig, "sqlstate", None))


def ended(plant: Plant) -> tuple[int, int]:
    """A sublot and its excursion, which has ended."""
    sublot = plant.goods(released=False)
    plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    ((excursion, _),) = plant.excursions(sublot)
    return sublot, excursion


def test_a_signature_is_of_one_record_and_moves_to_no_other(plant: Plant) -> None:
    (signed_for, first), (_, second) = ended(plant), ended(plant)
    plant.dispose(at("05:00"), first)
    plant.do("quinn", at("05:01"), quality.assess, second, "looked at it")
    copied = (
        "INSERT INTO disposition (excursion_id, decision, reason, signature_id, accepted, at, record, hold_ids) "
        "SELECT :e, decision, reason, signature_id, accepted, at, record, hold_ids FROM disposition"
    )
    assert refused(plant, copied, e=second) == "LW001"
    assert refused(plant, copied, e=first) == "23505", "one signature, one decision"
    plant.sign("rory", at("06:00"), quality.release_signing(signed_for), PASSWORD, login="rory")
    other = "INSERT INTO batch_release (sublot_id, signature_id, at, automatic, record) SELECT :s, "
    of_another = "signature_id, at, false, record FROM batch_release"
    of_disposition = "signature_id, at, false, '{}' FROM disposition"
    for source in (of_another, of_disposition):
        assert refused(plant, other + source, s=signed_for + 1) == "LW001"


def test_an_excursion_is_decided_and_its_hold_lifted_by_a_signed_disposition_only(plant: Plant) -> None:
    sublot, excursion = ended(plant)
    (hold,) = plant.open_holds(sublot)
    lift = "UPDATE hold SET lifted_at = now(), lifted_by = 'me', lift_reason = 'because' WHERE id = :h"
    assert refused(plant, lift, h=hold) == "LW001"
    plant.do("quinn", at("05:00"), quality.assess, excursion, "looked at it")
    assert refused(plant, lift, h=hold) == "LW001"
    assert refused(plant, "UPDATE excursion SET state = 'dispositioned' WHERE id = :e", e=excursion) == "LW001"
    plant.sign(
        "quinn", at("05:01"), quality.disposition_signing(excursion, "accept", "stable"), PASSWORD, login="quinn"
    )
    assert plant.open_holds(sublot) == []


def test_an_answer_given_under_a_key_stays(plant: Plant) -> None:
    with plant.engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO idempotency_key (key, actor, request_hash, status, response, at) "
                "VALUES ('k', 'lou', '\\x00', 0, 'null', now())"
            )
        )
        conn.execute(text("UPDATE idempotency_key SET status = 201, response = '{}'"))
    assert refused(plant, "UPDATE idempotency_key SET status = 0") == "LW005"


def at_once(*works: Callable[[], object]) -> list[str]:
    """Runs them at the same time, each on a connection of its own; what each was refused for."""
    gate, said = threading.Barrier(len(works)), [""] * len(works)

    def run(index: int) -> None:
        gate.wait()
        try:
            works[index]()
        except LotwiseError as error:
            said[index] = error.title

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_two_holds_race_a_pick_and_the_goods_are_never_picked_and_free(plant: Plant) -> None:
    for number in range(6):
        sublot = plant.goods()

        def reserve(u: Unit, of: int = sublot) -> int:
            return lots.reserve(u, of, Decimal(10), "sale", "shipment:1").id or 0

        reservation = plant.act("setup", at("00:10"), reserve)

        def hold(kind: str, of: int = sublot) -> None:
            plant.act(
                "judge",
                at("00:20"),
                lambda u: lots.place_hold(u, sublot_id=of, kind=kind, reason="warm", since_at=at("00:15")),
            )

        def pick(of: int = reservation) -> None:
            plant.act("wanda", at("00:20"), lambda u: lots.pick(u, of))

        *holds, picked = at_once(lambda: hold("exposure"), lambda: hold("quality"), pick)
        assert holds == ["", ""]
        assert len(plant.open_holds(sublot)) == 2, number
        assert plant.one("SELECT state FROM reservation WHERE id = :r", r=reservation) == "suspended"
        tasks = plant.rows("SELECT kind FROM stock_task WHERE reservation_id = :r ORDER BY kind", r=reservation)
        assert tasks == ([("reallocate",)] if picked else [("put_back",), ("reallocate",)])


@pytest.mark.as_owner
def test_a_deviation_stays_as_it_was_written_and_ends_with_a_conclusion(plant: Plant) -> None:
    """Opened by a fact whose reference names nothing anybody knows: it is never refused for that."""
    for number, reference in enumerate(("shipment:²", "shipment:" + "9" * 30, "shipment:", ":", "a lorry")):
        plant.do(
            "wanda",
            at("02:00"),
            lots.post_fact,
            plant.goods(released=False, number=f"D{number}"),
            Decimal(1),
            "customer",
            purpose="sale",
            reference=reference,
            at=at("01:00"),
            reason="it had left",
        )
    assert plant.rows("SELECT DISTINCT state, shipment_id FROM deviation") == [("open", None)]
    assert refused(plant, "UPDATE deviation SET detail = 'nothing'") == "LW005"
    assert refused(plant, "UPDATE deviation SET state = 'closed'") == "23514"
    for deviation in [row[0] for row in plant.rows("SELECT id FROM deviation")]:
        plant.do("quinn", at("03:00"), quality.close_deviation, deviation, "no effect")
    assert refused(plant, "UPDATE deviation SET state = 'open'") == "LW003"
    assert plant.rows("SELECT DISTINCT state, conclusion FROM deviation") == [("closed", "no effect")]
