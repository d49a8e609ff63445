"""No list and no page says a code where there is a word for it: every kind of record, read in Chinese."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from core.erp.capa import service as capa
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.permits import Role, declared
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import ENGLISH, catalogue
from core.erp.kernel.workflow import workflows
from core.erp.partners.deadlines import CERTIFICATE_EXPIRY
from tests.pages import Browser, pages
from tests.services.quality_plant import Plant, at, build
from tests.services.two_sites import Furnished

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CELLS = re.compile(r"<(?:td|dd|li|time|a|span|b)\b[^>]*>([^<>]+)<")
NAMES_OF_TEST = {"hold", "product", "site", "sublot"}
"""What people have called something here: an item's kind, a site, the column of a file."""


def codes() -> set[str]:
    """What a program calls a record, a permit, a role, a state, a term or one of a field's few values."""
    said = {one.rpartition(".")[2] for one in catalogue(ENGLISH) if one.startswith(("choice.", "term.", "account."))}
    found = {*entities(), *declared(), *(str(role) for role in Role), *said}
    found |= {state for one in workflows().values() for state in one.states}
    return {one for one in found if re.fullmatch(r"[a-z][a-z_.]{2,}", one)} - NAMES_OF_TEST


CODES = codes()


def codes_in(page: str) -> set[str]:
    """Codes that stand alone, in a list, or behind a colon."""
    bare = re.sub(r"(?s)<(script|style|svg|nav|select|option).*?</\1>", " ", page)
    texts = [html.unescape(one).strip() for one in CELLS.findall(bare)]
    return {part for text in texts for part in re.split(r"[、,:;：；，]\s*", text)} & CODES


@pytest.fixture(scope="module")
def auditor(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    plant = build(module_engine)
    ids = Furnished(plant, "near", NOW).ids

    def work(u: Unit) -> None:
        more: dict[str, Any] = {"site_id": ids["site"], "reference": "C-1", "deviation_id": None, "incident_id": None}
        capa.open_capa(u, kind="corrective", source="complaint", title="Labels", problem="They smear.", **more)
        due: dict[str, Any] = {"site_id": ids["site"], "due_at": NOW + timedelta(days=90)}
        deadlines.begin(u, CERTIFICATE_EXPIRY, "supplier_certificate", 1, "ISO 13485", **due)

    plant.act("setup", at("12:00"), work)
    released(plant)
    with pages(module_engine, tmp_path_factory.mktemp("codes"), {"zoe": ["auditor"]}) as found:
        found["zoe"].client.post("/language", data={"language": "zh", "back": "/"})
        yield found["zoe"]


def released(plant: Plant) -> None:
    """Goods with a past: received, released, moved out."""
    goods = plant.goods(number="PAST")
    plant.act(
        "setup", at("12:00"), lambda u: u.audit("sublot.release", "sublot", goods, before={"state": "quarantine"})
    )


@pytest.mark.parametrize("name", sorted(entities()))
def test_lists_and_records_say_words(auditor: Browser, name: str) -> None:
    entity = entities()[name]
    listed = auditor.get(f"/{entity.path}")
    assert codes_in(listed) == set()
    link = re.search(rf'href="(/{entity.path}/\d+)"', listed)
    if link is not None:
        assert codes_in(auditor.get(link[1])) == set()


def test_there_is_something_to_read(auditor: Browser) -> None:
    empty = {name for name, one in entities().items() if f'href="/{one.path}/' not in auditor.get(f"/{one.path}")}
    assert {"audit_row", "deadline", "dead_letter", "sublot", "work_order", "capa", "alarm"}.isdisjoint(empty)


def test_a_code_is_found() -> None:
    assert codes_in("<td>alarm</td><dd>状态: quarantine</dd><li>放行、certificate.manage</li>") == {
        "alarm",
        "quarantine",
        "certificate.manage",
    }
