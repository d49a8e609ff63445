"""The watch's rules: raised once, repeated while it lasts, cleared once; what flaps is neither."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.words import CHINESE, ENGLISH, LANGUAGES
from core.outbound.watch_texts import CHECKS, text_of, trial
from core.outbound.watching import ANSWER, Policy, Telling, Trouble, What, step

BEGAN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
EVERY = timedelta(seconds=30)
POLICY = Policy(looks=2, repeat=timedelta(hours=4))


def told(
    *looks: dict[str, str | None], policy: Policy = POLICY, every: timedelta = EVERY
) -> list[tuple[int, What, str]]:
    """(number of the look, what, check) of everything told."""
    standing: dict[str, Trouble] = {}
    found = []
    for number, look in enumerate(looks):
        standing, tellings = step(standing, look, BEGAN + number * every, policy)
        found += [(number, one.what, one.check) for one in tellings]
    return found


WELL: dict[str, str | None] = {ANSWER: None, "ingest": None}
AWAY: dict[str, str | None] = {ANSWER: "connection refused"}
INGEST: dict[str, str | None] = {ANSWER: None, "ingest": "no worker takes readings"}


def test_a_place_that_dies_is_raised_once_and_cleared_once() -> None:
    assert told(WELL, AWAY, AWAY, AWAY, AWAY, WELL, WELL, WELL) == [(2, What.RAISED, ANSWER), (6, What.CLEARED, ANSWER)]


def test_one_look_that_fails_wakes_nobody() -> None:
    assert told(WELL, AWAY, WELL, AWAY, WELL, WELL) == []


def test_what_flaps_has_one_message_and_one_all_clear() -> None:
    flapping = [AWAY, AWAY, WELL, AWAY, WELL, AWAY, AWAY, WELL, AWAY, WELL, WELL, WELL]
    assert told(*flapping) == [(1, What.RAISED, ANSWER), (10, What.CLEARED, ANSWER)]


def test_it_is_told_again_while_it_lasts() -> None:
    looks = told(*[AWAY] * 20, every=timedelta(hours=1))
    assert looks == [
        (1, What.RAISED, ANSWER),
        *((number, What.REPEATED, ANSWER) for number in (5, 9, 13, 17)),
    ]


def test_what_cannot_be_looked_at_stands_as_it_did() -> None:
    looks = told(INGEST, INGEST, AWAY, AWAY, INGEST, INGEST, WELL, WELL)
    assert looks == [
        (1, What.RAISED, "ingest"),
        (3, What.RAISED, ANSWER),
        (5, What.CLEARED, ANSWER),
        (7, What.CLEARED, "ingest"),
    ]


def test_a_check_that_another_version_does_not_know_is_cleared() -> None:
    assert told(INGEST, INGEST, {ANSWER: None}, {ANSWER: None})[-1] == (3, What.CLEARED, "ingest")


def test_raised_again_after_an_all_clear_starts_over() -> None:
    assert [what for _, what, _ in told(AWAY, AWAY, WELL, WELL, AWAY, AWAY)] == [What.RAISED, What.CLEARED, What.RAISED]


@given(st.lists(st.sampled_from([WELL, AWAY, INGEST]), max_size=60), st.integers(1, 4))
def test_for_each_check_raised_and_cleared_take_turns(looks: list[dict[str, str | None]], enough: int) -> None:
    found = told(*looks, policy=Policy(enough, timedelta(days=9)))
    for check in (ANSWER, "ingest"):
        mine = [what for _, what, name in found if name == check]
        assert mine == [(What.RAISED, What.CLEARED)[place % 2] for place in range(len(mine))]


def test_a_trouble_keeps_since_when_and_tells_what_is_wrong_now() -> None:
    standing, _ = step({}, {ANSWER: None, "disk": "60 MiB free"}, BEGAN, POLICY)
    _, tellings = step(standing, {ANSWER: None, "disk": "3 MiB free"}, BEGAN + EVERY, POLICY)
    assert tellings == [Telling(What.RAISED, "disk", "3 MiB free", BEGAN, BEGAN + EVERY)]


def test_texts_are_in_both_languages_for_every_check_and_for_one_of_another_version() -> None:
    for language in LANGUAGES:
        for check in [*CHECKS, "of_tomorrow"]:
            for what in What:
                text = text_of("lotwise.example", Telling(what, check, "it hangs", BEGAN, BEGAN + EVERY), language)
                assert "lotwise.example" in text.subject
                assert "outbound." not in text.subject + text.body, "an id is no text"
                assert "it hangs" in text.body
    raised = text_of("lotwise.example", Telling(What.RAISED, "ingest", "no worker", BEGAN, BEGAN), CHINESE)
    assert raised.subject == "Lotwise lotwise.example 报警：读数未被接收"
    assert trial("lotwise.example", ENGLISH).subject.startswith("TEST, no action needed")
