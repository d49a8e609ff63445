"""Rules of alerting: rotas over changes of clocks, routes, ways, floods; by example and by property."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.alerting.rules import oncall, routes, timing, ways
from core.erp.alerting.rules.events import EVENTS, FALLBACK, LASTING, Severity
from core.erp.alerting.rules.oncall import Away, Rota, Swap
from core.erp.alerting.rules.routes import Happened, Route, Step
from core.erp.alerting.rules.ways import Way
from core.erp.kernel.calendars.rules import Calendar, Hours

BERLIN = ZoneInfo("Europe/Berlin")
WORK = (Hours(8 * 60, 17 * 60),)
CALENDAR = Calendar(BERLIN, (*[WORK] * 5, (), ()), {date(2026, 5, 1): ()})
ROTA = Rota(date(2026, 3, 2), 8 * 60, 1, ("wes", "lou", "max"))


def local(day: int, clock: str, month: int = 3) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "who"),
    [
        (local(2, "07:59"), None),
        (local(2, "08:00"), "wes"),
        (local(3, "07:59"), "wes"),
        (local(3, "08:00"), "lou"),
        (local(28, "23:59"), "max"),
        (local(29, "07:59"), "max"),  # the night of the change of clocks: an hour shorter
        (local(29, "08:00"), "wes"),
        (local(25, "07:59", 10), "max"),  # an hour longer
        (local(25, "08:00", 10), "wes"),
    ],
)
def test_each_handover_is_at_its_time_of_day(at: datetime, who: str | None) -> None:
    assert oncall.on_call(ROTA, (), CALENDAR, at) == who


@given(st.integers(0, 60 * 24 * 400), st.integers(1, 14), st.integers(0, 1439))
def test_somebody_is_on_call_at_every_instant_and_turns_follow_one_another(
    minute: int, days: int, handover: int
) -> None:
    rota = Rota(date(2026, 1, 1), handover, days, ("a", "b", "c"))
    begin = CALENDAR.at(rota.first_day, handover)
    at = begin + timedelta(minutes=minute)
    one, later = oncall.turn(rota, CALENDAR, at), oncall.turn(rota, CALENDAR, at + timedelta(minutes=1))
    assert one is not None
    assert later is not None
    assert later - one in {0, 1}
    assert oncall.on_call(rota, (), CALENDAR, at) == rota.logins[one % 3]


def test_the_newest_swap_holds_and_only_while_it_lasts() -> None:
    first = Swap(1, local(2, "08:00"), local(5, "08:00"), "max")
    second = Swap(2, local(3, "08:00"), local(4, "08:00"), "lou")
    assert oncall.on_call(ROTA, (second, first), CALENDAR, local(3, "09:00")) == "lou"
    assert oncall.on_call(ROTA, (second, first), CALENDAR, local(4, "08:00")) == "max"
    assert oncall.on_call(ROTA, (second, first), CALENDAR, local(5, "08:00")) == "wes"


def test_deputies_stand_in_and_a_ring_of_them_is_nobody() -> None:
    def away(number: int, login: str, deputy: str) -> Away:
        return Away(number, login, local(2, "00:00"), local(9, "00:00"), deputy)

    assert oncall.stand_in("wes", [away(1, "wes", "lou"), away(2, "lou", "max")], local(3, "00:00")) == "max"
    assert oncall.stand_in("wes", [away(1, "wes", "lou"), away(2, "lou", "wes")], local(3, "00:00")) is None
    assert oncall.stand_in("wes", [away(1, "wes", "lou")], local(9, "00:00")) == "wes"


def _route(number: int, *steps: Step, **more: object) -> Route:
    given_: dict[str, object] = dict.fromkeys(("site_id", "zone_id", "item_id"))
    given_ |= {"events": frozenset(), "hours": "always", "repeat": None} | more
    return Route(id=number, name="nights", steps=steps, **given_)  # type: ignore[arg-type]  # as a test writes it


WARM = Happened("zone_high", frozenset({1}), 7, frozenset({3}))


@pytest.mark.parametrize(
    ("narrowed", "takes"),
    [
        ({}, True),
        ({"events": frozenset({"zone_high"})}, True),
        ({"events": frozenset({"hold"})}, False),
        ({"site_id": 1, "zone_id": 7, "item_id": 3}, True),
        ({"site_id": 2}, False),
        ({"zone_id": 8}, False),
        ({"item_id": 4}, False),
        ({"hours": "off"}, True),
        ({"hours": "working"}, False),
    ],
)
def test_what_a_route_says_narrows_it(narrowed: dict[str, object], *, takes: bool) -> None:
    assert bool(routes.chosen([_route(1, **narrowed)], WARM, working=False)) is takes


def test_a_holiday_is_no_working_hour() -> None:
    assert routes.works(CALENDAR, local(30, "09:00", 4))
    assert not routes.works(CALENDAR, local(1, "09:00", 5))
    assert not routes.works(CALENDAR, local(30, "17:00", 4))


def test_two_routes_are_one_plan_and_nobody_is_in_it_twice_at_one_time() -> None:
    now = local(2, "03:00")
    both = [_route(1, Step(0, "person", "wes"), Step(10, "role", "qa")), _route(2, Step(0, "person", "wes"))]
    made = routes.plan(both, "zone_high", now)
    assert [(one.at - now, one.target, one.value, one.route_id) for one in made] == [
        (timedelta(0), "person", "wes", 1),
        (timedelta(minutes=10), "role", "qa", 1),
    ]


def test_nothing_grave_goes_untold_without_a_route() -> None:
    assert all(FALLBACK[severity] for severity in (Severity.HARM, Severity.ALARM))
    assert routes.plan([], "hold", local(2, "03:00"))[0].value == "excursion.assess"
    assert routes.plan([], "audit_finding", local(2, "03:00"))[0].value == "audit.review"
    assert set(EVENTS) >= LASTING


SMS, VOICE, MAIL, CHAT = (Way(number, kind, "") for number, kind in enumerate(("sms", "voice", "mail", "chat")))


def test_harm_goes_by_every_independent_way_and_the_rest_by_one() -> None:
    every = [MAIL, SMS, VOICE, CHAT]
    assert ways.chosen(every, Severity.HARM) == [VOICE, CHAT, MAIL]
    assert ways.chosen(every, Severity.ALARM) == [VOICE]
    assert ways.chosen(every, Severity.NOTICE) == [MAIL]
    assert ways.chosen(every, Severity.ALARM, frozenset({"voice"})) == [SMS]
    assert ways.chosen([MAIL], Severity.ALARM, frozenset({"mail"})) == [MAIL]  # better late than not


@given(st.lists(st.sampled_from([SMS, VOICE, MAIL, CHAT]), min_size=1, unique=True), st.sampled_from(list(Severity)))
def test_whoever_has_a_way_is_told_by_one_and_in_harm_by_as_many_as_are_independent(
    given_: list[Way], severity: Severity
) -> None:
    taken = ways.chosen(given_, severity)
    assert taken
    assert len({one.carrier for one in taken}) == len(taken)
    if severity is Severity.HARM:
        assert len(taken) == ways.independent(given_)


@given(st.integers(0, 60 * 24 * 370), st.sampled_from(["22:00-06:00", "12:00-13:00", "00:00-23:59", ""]))
def test_quiet_hours_end_and_never_mute_harm(minute: int, quiet: str) -> None:
    at = local(1, "00:00") + timedelta(minutes=minute)
    way = Way(1, "mail", quiet)
    assert ways.not_before(way, Severity.HARM, CALENDAR, at) is None
    later = ways.not_before(way, Severity.ALARM, CALENDAR, at)
    if later is not None:
        assert at < later <= at + timedelta(hours=25)
        assert ways.not_before(way, Severity.ALARM, CALENDAR, later) is None


@pytest.mark.parametrize(
    ("kind", "address", "fits"),
    [
        ("mail", "wes@example.com", True),
        ("mail", "wes", False),
        ("mail", "wes@example.com\nBcc: all@example.com", False),
        ("sms", "+86 138 0000 0000", True),
        ("sms", "", False),
        ("voice", "no number", False),
        ("webhook", "https://example.com/hook", True),
        ("webhook", "file:///etc/passwd", False),
        ("webhook", "https://user:secret@example.com", False),
        ("mqtt", "site/siren", True),
        ("mqtt", "site/#", False),
        ("chat", "plant", True),
    ],
)
def test_an_address_is_one_of_its_kind(kind: str, address: str, *, fits: bool) -> None:
    assert ways.fits_address(kind, address) is fits


@given(st.lists(st.integers(0, 1200), max_size=30), st.integers(1, 30))
def test_a_flood_is_more_than_so_many_in_so_long(ago: list[int], coming: int) -> None:
    now = local(2, "03:00")
    recent = sum(one < timing.FLOOD_SPAN.total_seconds() for one in ago)
    told = [now - timedelta(seconds=one) for one in ago]
    assert timing.is_flood(told, coming, now) is (recent + coming > timing.FLOOD_COUNT)


def test_summaries_come_further_and_further_apart() -> None:
    now = local(2, "03:00")
    assert [timing.pause(number).total_seconds() for number in range(17)] == [*[2] * 11, 4, 8, 16, 32, 60, 60]
    assert timing.next_summary([], now) == now
    assert timing.next_summary([now - timedelta(seconds=1)], now) == now + timedelta(seconds=1)
    assert timing.next_summary([now - timedelta(hours=1)], now) == now
