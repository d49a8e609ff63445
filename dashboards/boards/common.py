"""Panels that several boards show."""

# ruff: noqa: S608 - what is put in are conditions of the boards

from typing import Any

from dashboards.panels import NONE_BAD, figure, listing
from dashboards.sources import Sql

TO_EXCURSION = {"limit_key": ("The excursion in Lotwise", "${lotwise}/excursions/${__data.fields.id}")}


def with_panels(made: Any, *panels: Any) -> Any:
    """The board with these panels, numbered in their order, built."""
    for number, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(number))
    return made.build()


def open_excursions(title: str, description: str, where: str) -> Any:
    """How many excursions wait for a decision."""
    asked = Sql(f"SELECT count(*) FROM v_open_excursions WHERE {where}")
    return figure(title, "none", asked, description, NONE_BAD, link="/excursions")


def holds_figure(description: str) -> Any:
    """How many holds are in force, everywhere."""
    asked = Sql("SELECT count(*) FROM v_holds WHERE lifted_at IS NULL")
    return figure("Holds in force", "none", asked, description, NONE_BAD, link="/holds")


def excursions(where: str, description: str, *, goods: str = "item, lot, sublot", width: int = 24) -> Any:
    """Excursions, the newest first."""
    return listing(
        "Excursions",
        Sql(
            f"SELECT broke_at, known_at, zone, {goods}, limit_key, kind, certainty, state, "
            "round(minutes_out::numeric, 1) AS minutes_out, lowest, highest, id FROM v_excursions_timeline "
            f"WHERE {where} ORDER BY broke_at DESC LIMIT 500"
        ),
        description,
        width=width,
        links=TO_EXCURSION,
        hidden=["id"],
    )


def holds(*, width: int = 24) -> Any:
    """Holds in force, the newest first."""
    return listing(
        "Holds in force",
        Sql(
            "SELECT placed_at, since_at, kind, certainty, lot, sublot, shipment, zone, reason, lift_permit, "
            "sublot_id FROM v_holds WHERE lifted_at IS NULL ORDER BY placed_at DESC LIMIT 500"
        ),
        "What may not move on, why, and which permit can lift it.",
        width=width,
        links={"sublot": ("The sublot in Lotwise", "${lotwise}/sublots/${__data.fields.sublot_id}")},
        hidden=["sublot_id"],
    )
