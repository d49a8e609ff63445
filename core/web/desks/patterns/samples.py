"""What the page of patterns shows components with: made up here, never read from records."""

from datetime import datetime, timedelta

from markupsafe import Markup

from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Workflow, workflows
from core.web.charts.sparkline import COLUMNS, Band, Column, sparkline
from core.web.desks.front.needs import Found, Need, Panel
from core.web.desks.plant.queries import STANDINGS, ZoneNow
from core.web.frame.templating import Words
from core.web.records.inputs import Input
from core.web.records.life import Step

VALUES = {"out": 11.9, "silent": 5.2, "returned": 7.9, "unknown": None, "unwatched": None, "no_band": 21.4, "well": 4.6}
"""A value for each of a zone's standings."""
GAP = range(31, 36)
"""Columns in which nothing was read."""


def zones(now: datetime) -> list[ZoneNow]:
    """A tile in each standing."""
    return [
        ZoneNow(
            number,
            f"Z-{number}",
            f"s/a/z-{number}",
            "s/a",
            VALUES[key],
            None if key == "no_band" else 2.0,
            None if key == "no_band" else 8.0,
            now - timedelta(minutes=3 * number) if VALUES[key] is not None else None,
            now,
            number,
            number % 2,
            standing,
            simulated=True,
            accepts_held=False,
            silent_since=None,
        )
        for number, (key, standing) in enumerate(STANDINGS.items(), start=1)
    ]


def sparks(shown: list[ZoneNow]) -> dict[int, Markup]:
    """A picture for each tile that has a value: one with a break in it, one that goes out."""
    curve: list[Column] = [(i, 4 + i % 5 / 3, 5 + i % 5 / 3) for i in range(COLUMNS) if i not in GAP]
    rising: list[Column] = [(i, 4 + i / 10, 5 + i / 10) for i in range(COLUMNS)]
    return {
        zone.id: sparkline(
            rising if zone.standing.look == "harm" else curve,
            Band(zone.low, zone.high),
            out=zone.standing.look == "harm",
        )
        for zone in shown
        if zone.value is not None
    }


def fields(words: Words) -> list[Input]:
    """A field of each kind; those that can be wrong a second time, with an error."""
    kinds = ("text", "lines", "number", "date", "time", "span", "choice", "link", "links", "secret", "pairs", "flag")
    choices = tuple((one, words.label(f"purpose.{one}")) for one in ("sale", "use", "sampling"))
    made = [
        Input(f"{kind}-well", words.label("field.reason"), kind, required=kind == "text", choices=choices, link="zone")
        for kind in kinds
    ]
    made.append(Input("several-well", words.label("record.restriction"), "choices", values=("use",), choices=choices))
    wrong = words.t("web.no_number")
    made += [
        Input(
            f"{kind}-wrong", words.label("field.amount"), kind, value="12,5o", choices=choices, link="zone", error=wrong
        )
        for kind in ("number", "choice", "link", "flag", "lines")
    ]
    part = Input("rows.0.amount", words.label("field.amount"), "number")
    made.append(Input("rows", words.label("field.lines"), "table", rows=[[part, _renamed(part, "rows.0.reason")]]))
    return made


def _renamed(one: Input, name: str) -> Input:
    return Input(name, one.label, "text", error=one.error)


def panel(words: Words) -> Panel:
    """Lines of a front page in each tone."""
    said = {
        "harm": "web.still_out",
        "hold": "web.held",
        "warn": "web.broken_unproven",
        "wait": "web.waits_decision",
        "unknown": "web.zone_silent",
        "ok": "web.decided",
        "no": "web.not_now",
    }
    lines = [
        Need(
            look,  # type: ignore[arg-type]  # the keys above are tones
            words.t(word),
            words.label("record.excursion"),
            "/patterns",
            words.t("web.act_look"),
            words.t("web.found", count=3),
            words.t("web.since_for", span=words.lasting(4000)),
            first=look == "harm",
        )
        for look, word in said.items()
    ]
    return Panel("web.nav_front", "/patterns", Found(lines, len(lines)))


def path(u: Unit, cycle: Workflow) -> list[Step]:
    """A life cycle on its way: one state passed, one now, the others to come."""
    places = ["done", "now", *["to"] * len(cycle.states)]
    return [
        Step(str(state), place, u.now if place != "to" else None, u.actor.login if place == "done" else "")
        for state, place in zip(cycle.states, places, strict=False)
    ]


def cycles() -> list[tuple[str, list[str]]]:
    """(noun, its states) of every life cycle there is."""
    return [(cycle.noun, [str(state) for state in cycle.states]) for _, cycle in sorted(workflows().items())]
