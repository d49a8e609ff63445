"""What open pages are told of a change: about which records, in how many words, and to whom."""

import pytest

from core.erp.kernel.live.telling import MOST_BYTES, payloads
from core.erp.kernel.live.topics import MOST_IDS, NO_RECORDS, collapsed, kinds_for, permits_of_kinds, topics_of
from core.erp.kernel.permits import Role, permits_of
from core.erp.kernel.unit import Actor
from core.web.live.subscriber import Subscriber
from lotwise.reference_events import topics


def test_an_outbox_row_is_about_its_record_and_those_it_names() -> None:
    told = set(topics_of("hold.placed", "41", {"sublot_id": 7, "zone_id": None, "shipment_ids": [3, 4], "reason": "9"}))
    assert told == {"hold:41", "sublot:7", "shipment:3", "shipment:4"}
    assert set(topics_of("custody.changed", "7", {"sublot_id": 7, "zone_id": 2})) == {"custody", "sublot:7", "zone:2"}
    assert set(topics_of("alarm.raised", "5", {"receiving_zone_id": 2})) == {"alarm:5", "zone:2"}
    assert set(topics_of("attachment.added", "9", {"entity": "deviation", "entity_id": 12})) == {"deviation:12"}
    assert set(topics_of("epoch.closed", "gateway-1", {"sublot_id": "text"})) == {"epoch"}


def test_every_topic_of_the_outbox_can_be_told_to_somebody() -> None:
    kinds = {topic.partition(".")[0] for topic in topics()} - {"…"}
    silent = {kind for kind in kinds - set(permits_of_kinds()) if NO_RECORDS.get(kind, "") is not None}
    assert silent == set(), "say in NO_RECORDS whose readers may know of it"


# Written by hand: what people are not told of.
@pytest.mark.parametrize(
    ("role", "unknown"),
    [
        (Role.DISPLAY, {"user", "session", "role", "task", "deadline"}),
        (Role.WAREHOUSE, {"user", "session", "role"}),
        (Role.SUPPLIER, set(permits_of_kinds())),
    ],
)
def test_nobody_is_told_of_what_they_may_not_read(role: Role, unknown: set[str]) -> None:
    assert kinds_for(permits_of([role])) & unknown == set()


def test_whoever_reads_holds_is_told_of_holds() -> None:
    assert {"hold", "sublot", "stock", "custody"} <= kinds_for(frozenset({"stock.read"}))
    assert kinds_for(frozenset()) == frozenset()


def test_many_of_a_kind_are_told_as_the_kind() -> None:
    few = [f"sublot:{number}" for number in range(MOST_IDS)]
    assert collapsed([*few, "hold:2", "hold:2", "hold:1"]) == ["hold:1", "hold:2", *sorted(few)]
    assert collapsed([*few, "sublot:100000", "hold:1"]) == ["hold:1", "sublot"]
    assert collapsed(["hold:1", "hold", "zone:3"]) == ["hold", "zone:3"]


def test_a_notification_is_as_long_as_postgresql_takes_and_nothing_is_left_out() -> None:
    topics = [f"work_order_operation:{number:019}" for number in range(1000)]
    pieces = list(payloads(topics))
    assert max(map(len, pieces)) < 8000
    assert min(map(len, pieces[:-1])) > MOST_BYTES - 50
    assert [topic for piece in pieces for topic in piece.split(" ")] == topics
    assert list(payloads([])) == []


def test_who_does_not_see_every_record_is_told_kinds_and_no_ids() -> None:
    permits = frozenset({"stock.read"})
    all_sites, one_site = Actor("wanda", permits=permits), Actor("nora", permits=permits, sites=frozenset({1}))
    other_firm = Actor("carl", permits=permits, partner_id=3)
    told = [topics_told(actor) for actor in (all_sites, one_site, other_firm)]
    assert told == [{"hold:41", "sublot:7"}, {"hold", "sublot"}, {"hold", "sublot"}]


def topics_told(actor: Actor) -> set[str]:
    return Subscriber(actor, lambda: actor).visible(["hold:41", "sublot:7", "user:3", "shipment"])
