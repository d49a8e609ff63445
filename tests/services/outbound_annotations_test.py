"""Excursions and holds become annotations: once, whatever is repeated, late, out of order or down."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine, select, update

from core.erp.kernel.events import Events
from core.erp.kernel.model import OutboxTask
from core.erp.kernel.outbox import Outbox, OutboxMessage, RetryLater
from core.erp.kernel.tables import table
from core.erp.kernel.unit import system, unit
from core.outbound.grafana import AnnotationRefused, Annotator, handlers
from core.outbound.handlers import register_grafana, register_outbox
from core.outbound.settings import OutboundSettings
from tests.services.outbound_servers import TOKEN, grafana

T0 = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)
_ids = itertools.count(1)
OPENED = {
    "sublot_id": 12,
    "zone_id": 3,
    "incident_id": 2,
    "limit_key": "high",
    "certainty": "proven",
    "started_at": "2026-03-05T02:00:00+00:00",
    "broke_at": "2026-03-05T03:00:00+00:00",
    "ended_at": None,
}
PLACED = {
    "hold_id": 9,
    "sublot_id": 12,
    "lot_id": None,
    "shipment_id": None,
    "kind": "exposure",
    "certainty": "proven",
    "reason": "high broken",
    "excursion_id": 5,
    "since_at": "2026-03-05T03:00:00+00:00",
    "placed_at": "2026-03-05T03:00:01+00:00",
}


def say(topic: str, key: str, payload: dict[str, Any], at: datetime = T0) -> OutboxMessage:
    return OutboxMessage(id=next(_ids), at=at, topic=topic, key=key, payload=payload)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.fixture
def server() -> Iterator[Any]:
    with grafana() as running:
        yield running


@pytest.fixture
def annotator(server: Any) -> Iterator[Annotator]:
    made = Annotator(f"{server.url}/grafana", TOKEN, timeout=0.5)
    yield made
    made.close()


def tell(annotator: Annotator, *messages: OutboxMessage) -> None:
    table_of = handlers(annotator)
    for message in messages:
        table_of[message.topic](message)


OPEN = say("excursion.opened", "5", OPENED)
BROKE = {"started_at": OPENED["started_at"], "broke_at": OPENED["broke_at"]}
END = say(
    "excursion.end",
    "5",
    {"from": "open", "to": "ended", **BROKE, "ended_at": "2026-03-05T03:40:00+00:00"},
    T0 + timedelta(hours=3),
)
AGAIN = say("excursion.reopen", "5", {"from": "ended", "to": "open", **BROKE, "ended_at": None})
LATER = say("excursion.end", "5", {**END.payload, "ended_at": "2026-03-05T03:50:00+00:00"}, T0 + timedelta(hours=5))
REVISED = say(
    "excursion.revised",
    "5",
    {
        "state": "ended",
        **BROKE,
        "broke_at": "2026-03-05T02:55:00+00:00",
        "ended_at": "2026-03-05T03:30:00+00:00",
    },
)


def test_two_cores_at_the_same_instant_make_one_annotation(server: Any, annotator: Annotator) -> None:
    """Neither finds the other's: the younger withdraws, and with the next try completes the older."""
    tell(annotator, OPEN)
    server.blind = 1
    with pytest.raises(RetryLater, match="was there first"):
        tell(annotator, END)
    assert list(server.annotations) == [1]
    tell(annotator, END)
    (row,) = server.annotations.values()
    assert {"begun", "ended"} <= set(row["tags"])
    assert (row["time"], row["timeEnd"]) == (ms(T0), ms(T0 + timedelta(minutes=40)))


def test_an_excursion_is_one_annotation_from_break_to_end(server: Any, annotator: Annotator) -> None:
    tell(annotator, OPEN)
    (row,) = server.annotations.values()
    assert row["time"] == row["timeEnd"] == ms(T0)
    assert {"lotwise", "excursion", "excursion:5", "certainty:proven", "zone_id:3"} <= set(row["tags"])
    assert "high broken (proven), sublot 12, out since 2026-03-05 02:00:00Z" in row["text"]
    tell(annotator, END)
    (row,) = server.annotations.values()
    assert (row["time"], row["timeEnd"]) == (ms(T0), ms(T0 + timedelta(minutes=40)))
    assert "ended" in row["tags"]


@pytest.mark.parametrize("order", list(itertools.permutations([OPEN, OPEN, END, END])), ids=str)
def test_repeated_and_out_of_order_is_the_same_annotation(server: Any, annotator: Annotator, order: Any) -> None:
    tell(annotator, *order)
    (row,) = server.annotations.values()
    assert (row["time"], row["timeEnd"]) == (ms(T0), ms(T0 + timedelta(minutes=40)))
    assert {"begun", "ended", "certainty:proven"} <= set(row["tags"])
    assert row["text"].count("Excursion 5: high broken") == 1
    assert row["text"].count("Excursion 5 ended") == 1


@pytest.mark.parametrize("order", list(itertools.permutations([OPEN, END, AGAIN, LATER])), ids=str)
def test_the_last_said_wins_whatever_is_handled_last(server: Any, annotator: Annotator, order: Any) -> None:
    tell(annotator, *order)
    (row,) = server.annotations.values()
    assert (row["time"], row["timeEnd"]) == (ms(T0), ms(T0 + timedelta(minutes=50)))
    assert {"begun", "ended", "zone_id:3"} <= set(row["tags"])


@pytest.mark.parametrize("order", list(itertools.permutations([OPEN, END, REVISED])), ids=str)
def test_late_data_move_the_annotation(server: Any, annotator: Annotator, order: Any) -> None:
    tell(annotator, *order)
    (row,) = server.annotations.values()
    assert (row["time"], row["timeEnd"]) == (ms(T0 - timedelta(minutes=5)), ms(T0 + timedelta(minutes=30)))
    assert {"begun", "ended"} <= set(row["tags"])


def test_a_crash_between_writing_and_noting_it_makes_no_second_one(
    server: Any, annotator: Annotator, engine: Engine
) -> None:
    """Grafana has the annotation, our own commit never came: the same row is handled again and finds it."""
    outbox, events = Outbox(), Events()
    register_grafana(outbox, annotator)
    outbox.subscribe(engine)
    with unit(engine, system("test"), events, T0) as u:
        u.outbox("excursion.opened", 5, OPENED)
        u.outbox("excursion.end", 5, END.payload)
    assert outbox.run(engine, events, T0) == 2
    told = dict(server.annotations)
    with engine.begin() as conn:
        conn.execute(update(table(OutboxTask)).values(done_at=None))
    assert outbox.run(engine, events, T0 + timedelta(hours=1)) == 2
    assert server.annotations == told
    assert len(told) == 1


def test_an_excursion_known_late_is_annotated_over_its_span(server: Any, annotator: Annotator) -> None:
    late = say("excursion.opened", "6", {**OPENED, "ended_at": "2026-03-05T04:00:00+00:00"}, T0 + timedelta(hours=9))
    tell(annotator, late)
    (row,) = server.annotations.values()
    assert (row["time"], row["timeEnd"]) == (ms(T0), ms(T0 + timedelta(hours=1)))
    assert "known 2026-03-05 12:00:00Z" in row["text"]


def test_reopened_and_superseded(server: Any, annotator: Annotator) -> None:
    tell(annotator, OPEN, END, AGAIN)
    (row,) = server.annotations.values()
    assert row["timeEnd"] == row["time"]
    assert "ended" not in row["tags"]
    tell(annotator, say("excursion.supersede", "5", {}, T0 + timedelta(hours=2)))
    (row,) = server.annotations.values()
    assert "superseded" in row["tags"]
    assert "refuted by later data" in row["text"]


def test_a_hold_is_placed_and_lifted(server: Any, annotator: Annotator) -> None:
    placed = say("hold.placed", "9", PLACED)
    lifted = say("hold.lifted", "9", {"hold_id": 9, "reason": "accepted"}, T0 + timedelta(hours=5))
    tell(annotator, placed, lifted, lifted)
    (row,) = server.annotations.values()
    assert row["time"] == ms(T0 + timedelta(seconds=1))
    assert row["timeEnd"] == ms(T0 + timedelta(hours=5))
    assert row["text"].count("lifted: accepted") == 1
    assert {"hold:9", "kind:exposure", "excursion_id:5", "lifted"} <= set(row["tags"])


def test_another_tools_annotations_are_left_alone(server: Any, annotator: Annotator) -> None:
    server.annotations[1] = {"id": 1, "tags": ["excursion:5"], "time": 1, "text": "mine"}
    tell(annotator, OPEN)
    assert server.annotations[1]["text"] == "mine"
    assert len(server.annotations) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(server: Any, annotator: Annotator, status: int) -> None:
    server.fail = [status]
    with pytest.raises(RetryLater, match=str(status)):
        tell(annotator, OPEN)
    assert not server.annotations
    tell(annotator, OPEN)
    assert len(server.annotations) == 1


def test_a_failure_between_search_and_writing_makes_no_second_one(server: Any, annotator: Annotator) -> None:
    server.fail = []
    tell(annotator, OPEN)
    before = len(server.requests)
    server.fail = [500]
    with pytest.raises(RetryLater):
        tell(annotator, END)
    tell(annotator, END)
    assert len(server.annotations) == 1
    assert [method for method, _ in server.requests[before:]] == ["GET", "GET", "PATCH"]


@pytest.mark.parametrize("status", [400, 422])
def test_what_is_refused_is_said(server: Any, annotator: Annotator, status: int) -> None:
    server.fail = [status]
    with pytest.raises(AnnotationRefused, match=str(status)):
        tell(annotator, OPEN)


def test_a_wrong_token_is_tried_again(server: Any) -> None:
    wrong = Annotator(f"{server.url}/grafana", "other")
    with pytest.raises(RetryLater, match="401"):
        wrong.excursion_opened(OPEN)
    wrong.close()


def test_no_answer_in_time_and_nobody_there(server: Any, annotator: Annotator) -> None:
    server.delay = 1.0
    with pytest.raises(RetryLater, match="Timeout"):
        tell(annotator, OPEN)
    server.delay = 0.0
    gone = Annotator("http://127.0.0.1:9", TOKEN, timeout=0.5)
    with pytest.raises(RetryLater, match="ConnectionError"):
        gone.excursion_opened(OPEN)
    gone.close()


def test_from_the_outbox_with_retry(server: Any, annotator: Annotator, engine: Engine) -> None:
    """Grafana is down when the hold is placed; the annotation comes when it is up, and is then done for good."""
    outbox, events = Outbox(), Events()
    register_grafana(outbox, annotator)
    outbox.subscribe(engine)
    with unit(engine, system("test"), events, T0) as u:
        u.outbox("hold.placed", 9, PLACED)
    server.fail = [503]
    assert outbox.run(engine, events, T0) == 1
    assert not server.annotations
    assert outbox.run(engine, events, T0) == 0, "it waits before it tries again"
    assert outbox.run(engine, events, T0 + timedelta(minutes=1)) == 1
    assert outbox.run(engine, events, T0 + timedelta(hours=1)) == 0
    assert len(server.annotations) == 1
    tasks = table(OutboxTask)
    with engine.connect() as conn:
        (task,) = conn.execute(select(tasks)).all()
    assert task.done_at is not None
    assert task.handler == "grafana:hold.placed"


def test_settings_name_whom_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRAFANA_URL", "GRAFANA_TOKEN", "WEBHOOK_URL", "WEBHOOK_SECRET"):
        monkeypatch.delenv(f"LOTWISE_{name}", raising=False)
    nobody = Outbox()
    register_outbox(nobody)
    assert {name.partition(":")[2] for name in nobody.names} == {
        "messages",
        "harm",
    }  # to people: wait until ways are set
    both = Outbox()
    register_outbox(
        both,
        OutboundSettings(
            grafana_url="https://grafana.example/x",
            grafana_token=SecretStr("t"),
            webhook_url="https://hook.example",
            webhook_secret=SecretStr("s" * 32),
        ),
    )
    assert "webhook" in both.names
    assert "grafana:hold.lifted" in both.names
    for wrong in (
        {"grafana_url": "https://g.example"},
        {"grafana_url": "ftp://g.example", "grafana_token": "t"},
        {"grafana_url": "https://u:p@g.example", "grafana_token": "t"},
        {"grafana_url": "https://g.example", "grafana_token": "change-me"},
        {"webhook_url": "https://h.example", "webhook_secret": "short"},
    ):
        with pytest.raises(ValidationError):
            OutboundSettings.model_validate(wrong)


SIGNED = say("disposition.signed", "5", {"decision": "accept", "reason": "stable", "sublot_id": 12, "hold_ids": [9]})
LEFT = say("shipment.dispatch", "3", {"from": "picked", "to": "dispatched", "code": "SH-3"}, T0)
DEPARTED = say(
    "shipment.depart",
    "3",
    {"from": "dispatched", "to": "in_transit", "code": "SH-3", "at": "2026-03-05T03:05:00+00:00"},
    T0 + timedelta(minutes=6),
)
ARRIVED = say(
    "shipment.arrive",
    "3",
    {"from": "in_transit", "to": "arrived", "code": "SH-3", "at": "2026-03-05T08:00:00+00:00"},
    T0 + timedelta(hours=6),
)
ACCEPTED = say("shipment.accept", "3", {"from": "arrived", "to": "accepted"}, T0 + timedelta(hours=9))


def test_a_decision_is_an_annotation_at_its_signature(server: Any, annotator: Annotator) -> None:
    tell(annotator, OPEN, SIGNED, SIGNED)
    row = next(one for one in server.annotations.values() if "disposition" in one["tags"])
    assert row["time"] == row["timeEnd"] == ms(T0)
    assert {"lotwise", "disposition:5", "decision:accept", "sublot_id:12"} <= set(row["tags"])
    assert "accept, stable" in row["text"]
    assert len(server.annotations) == 2


@pytest.mark.parametrize("order", list(itertools.permutations([LEFT, DEPARTED, ARRIVED])), ids=str)
def test_a_shipment_is_one_annotation_from_leaving_to_its_arrival(
    server: Any, annotator: Annotator, order: Any
) -> None:
    tell(annotator, *order, ACCEPTED, ACCEPTED)
    (row,) = server.annotations.values()
    assert ms(T0) <= row["time"] <= ms(T0 + timedelta(minutes=5)), "when it left, as far as was known first"
    assert row["timeEnd"] == ms(T0 + timedelta(hours=5)), "when it arrived, not when that was learned or accepted"
    assert {"lotwise", "shipment", "shipment:3", "ended", "accepted"} <= set(row["tags"])
    assert row["text"].count("accepted") == 1
