"""Nobody listens for what is never told: in-transaction events, topics of the outbox."""

import pytest

from core.wiring import event_kinds
from lotwise.reference_events import everybodys_outbox, handled, tellers, topic_rows, topics


def test_every_event_is_told_by_somebody() -> None:
    told = tellers()
    assert [kind.__name__ for kind in event_kinds() if kind.__name__ not in told] == []


def test_every_event_that_is_told_is_declared_where_it_is_looked_for() -> None:
    assert set(tellers()) == {kind.__name__ for kind in event_kinds()}


def test_every_handler_of_the_outbox_waits_for_a_topic_that_is_told() -> None:
    patterns, told = everybodys_outbox().patterns, topics()
    assert len(patterns) > 5
    deaf = {name: like for name, like in patterns.items() if not any(handled(like, topic) for topic in told)}
    assert deaf == {}


@pytest.mark.parametrize(
    ("pattern", "topic", "gets"),
    [
        ("hold.%", "hold.placed", True),
        ("hold.%", "uphold.placed", False),
        ("hold.placed", "hold.placed", True),
        ("hold.p_aced", "hold.placed", True),
        ("hold.placed", "holdXplaced", False),
        ("%", "batch.released", True),
    ],
)
def test_patterns_are_those_of_sql(pattern: str, topic: str, *, gets: bool) -> None:
    assert handled(pattern, topic) is gets


def test_the_page_shows_who_gets_what() -> None:
    rows = {row[0]: row for row in topic_rows(everybodys_outbox().patterns)}
    assert rows["`hold.placed`"] == (
        "`hold.placed`",
        "`lots/holds.py`",
        "`alerts:hold`, `grafana:hold.placed`, `webhook`",
    )
    assert rows["`shipment.pick`"] == ("`shipment.pick`", "`kernel/workflow.py`", "")
