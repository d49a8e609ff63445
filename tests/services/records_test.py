"""What is made of a declared entity: lists, one record, its history, creating, changing and verbs, over the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.events import Events
from core.erp.kernel.records import Column, Entity, Verb
from core.erp.kernel.records.checked import check
from core.erp.kernel.records.history import history
from core.erp.kernel.records.registry import entities
from core.erp.kernel.records.search import behind
from core.erp.kernel.unit import Actor, Unit, system, unit
from core.erp.kernel.words import Message
from core.erp.quality.model import Deviation
from core.erp.quality.scopes import DEVIATIONS
from core.erp.quality.service.deviations import open_deviation
from core.erp.quality.workflow import DEVIATION
from core.wiring import build_events
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.desks import Desk, office
from tests.world import DAY, World

PEOPLE = {"ada": ["admin"], "quinn": ["qa"], "wes": ["warehouse"]}


@pytest.fixture
def desks(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Desk]]:
    with office(engine, tmp_path, monkeypatch, PEOPLE) as seated:
        yield seated


@pytest.fixture
def deviations(engine: Engine) -> list[int]:
    """Five, on two sublots."""
    world = World(engine, build_events())
    item, room = world.item(), world.zone("room")
    sublots = [world.sublot(item, room, DAY) for _ in range(2)]

    def opened(number: int) -> int:
        return world.do(
            lambda u: (
                open_deviation(
                    u,
                    sublot_id=sublots[number % 2],
                    shipment_id=None,
                    title=f"deviation {number}",
                    detail="seal broken",
                    happened_at=DAY.replace(hour=number),
                ).id
            )
        )

    return [opened(number) for number in range(5)]


def ids(answer: Any) -> list[int]:
    return [item["id"] for item in answer["items"]]


def test_a_list_is_filtered_paged_and_counted(desks: dict[str, Desk], deviations: list[int]) -> None:
    quinn, newest_first = desks["quinn"], deviations[::-1]
    page = quinn.get("/deviations", limit=2, count=True)
    assert (ids(page), page["total"], page["total_capped"]) == (newest_first[:2], 5, False)
    second = quinn.get("/deviations", limit=2, cursor=page["next"])
    assert (ids(second), ids(quinn.get("/deviations", limit=2, cursor=second["next"]))) == (
        newest_first[2:4],
        newest_first[4:],
    )
    assert quinn.get("/deviations", sort="id", limit=5)["next"] is None
    assert ids(quinn.get("/deviations", sort="id")) == deviations
    assert ids(quinn.get("/deviations", state=["closed"])) == []
    assert (
        ids(quinn.get("/deviations", state=["closed", "open"], happened_at_from="2026-03-02T03:00:00Z"))
        == (newest_first[:2])
    )
    sublot = page["items"][0]["sublot_id"]
    assert ids(quinn.get("/deviations", sublot_id=sublot)) == newest_first[::2]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"stat": "open"}, "unknown in the query"),
        ({"state": "opened"}, "state"),
        ({"sublot_id": "1.0"}, "is no id"),
        ({"sort": "title"}, "sort"),
        ({"search": "seal"}, "unknown in the query"),
        ({"cursor": "aWQ6Nw"}, "cursor"),
        ({"limit": "501"}, "limit"),
        ({"happened_at_from": "1970-01-01T00:00:00Z"}, "before 2000"),
    ],
)
def test_what_a_list_does_not_know_is_refused(
    desks: dict[str, Desk], deviations: list[int], asked: dict[str, str], words: str
) -> None:
    del deviations
    assert words in desks["quinn"].get("/deviations", status=422, **asked)["detail"]


def test_a_cursor_is_of_its_own_order(desks: dict[str, Desk], deviations: list[int]) -> None:
    del deviations
    cursor = desks["quinn"].get("/deviations", limit=2)["next"]
    assert "another order" in desks["quinn"].get("/deviations", status=422, sort="id", cursor=cursor)["detail"]


def test_a_record_says_what_this_person_may_do_with_it(desks: dict[str, Desk], deviations: list[int]) -> None:
    path = f"/deviations/{deviations[0]}"
    assert desks["quinn"].get(path)["moves"] == ["close"]
    assert desks["wes"].get(path)["moves"] == []
    desks["wes"].post(f"{path}/close", 403, conclusion="no effect")
    closed = desks["quinn"].post(f"{path}/close", conclusion="no effect")
    assert (closed["state"], closed["moves"], closed["closed_by"]) == ("closed", [], "quinn")
    again = desks["quinn"].post(f"{path}/close", 409, conclusion="again")["detail"]
    assert again == "cannot close the deviation: it is closed"
    desks["quinn"].get("/deviations/999", status=404)
    history = desks["wes"].get(f"{path}/history")["items"]
    assert [(entry["actor"], entry["action"]) for entry in history] == [
        ("quinn", "deviation.close"),
        ("system:test", "deviation.opened"),
    ]
    assert history[0]["changes"] == [{"field": "state", "before": "open", "after": "closed"}]
    assert history[0]["reason"] == "no effect"


def test_the_systems_own_reasons_are_told_in_the_language_of_who_reads(engine: Engine, deviations: list[int]) -> None:
    """A reason given as a message is kept in English for auditors, and by id under the row's hash for its readers."""
    given = Message("shipments.called_off", code="SH-1", reason="no truck")
    with unit(engine, system("test"), build_events()) as u:
        u.audit("deviation.note", "deviation", deviations[0], after={"note": "seen"}, reason=given)

    def told(u: Unit) -> tuple[str | None, list[str]]:
        entries, _ = history(u, entities()["deviation"], deviations[0])
        return entries[0].reason, [change.field for change in entries[0].changes]

    for language, reason in (("en", "shipment SH-1 cancelled: no truck"), ("zh", "发运 SH-1 已取消：no truck")):
        with unit(engine, Actor("reader", system=True, language=language), Events()) as u:
            assert told(u) == (reason, ["note"])
    with engine.connect() as conn:
        kept = conn.execute(text("SELECT reason, after -> 'reason_message' ->> 'id' FROM audit ORDER BY id DESC"))
        assert tuple(kept.first() or ()) == ("shipment SH-1 cancelled: no truck", "shipments.called_off")


def test_a_site_is_made_changed_and_found(desks: dict[str, Desk]) -> None:
    ada = desks["ada"]
    north = ada.post("/sites", 201, code="NORTH", name="Werk Österreich 北方工厂", timezone="Europe/Vienna")
    for code, name in (("south", "South plant"), ("a-1", "Noise")):
        ada.post("/sites", 201, code=code, name=name)
    desks["wes"].post("/sites", 403, code="x", name="X")
    assert "there is a" in ada.post("/sites", 409, code="NORTH", name="again")["detail"]
    by_code = ada.get("/sites", sort="code")["items"]
    assert [site["code"] for site in by_code] == ["NORTH", "a-1", "south"]
    found = {
        text: [site["code"] for site in ada.get("/sites", search=text, sort="code")["items"]]
        for text in ("no", "öster", "北方", "厂", "PLANT", "n", "工方", "ｓｏｕｔｈ", "zz", "%", "no_")
    }
    assert found == {
        "no": ["NORTH", "a-1"],
        "öster": ["NORTH"],
        "北方": ["NORTH"],
        "厂": ["NORTH"],
        "PLANT": ["south"],
        "n": ["NORTH"],
        "工方": [],
        "ｓｏｕｔｈ": ["south"],
        "zz": [],
        "%": [],
        "no_": [],
    }
    path = f"/sites/{north['id']}"
    changed = ada.patch(path, name="Werk Nord", version=north["version"])
    assert (changed["name"], changed["version"] > north["version"]) == ("Werk Nord", True)
    stale = ada.patch(path, 409, name="Other", version=north["version"])
    assert "ada: site.change" in stale["detail"]
    assert [entry["action"] for entry in stale["since"]] == ["site.change"]
    ada.patch(path, 422, name="Other")
    ada.patch(path, 422, code="EAST", name="Other", version=changed["version"])
    desks["wes"].patch(path, 403, name="Other", version=changed["version"])
    assert ada.get(f"{path}/history")["items"][0]["changes"] == [
        {"field": "name", "before": "Werk Österreich 北方工厂", "after": "Werk Nord"}
    ]


def test_somebody_of_one_site_knows_of_no_other(desks: dict[str, Desk], engine: Engine) -> None:
    north, south = (desks["ada"].post("/sites", 201, code=code, name=code)["id"] for code in ("north", "south"))
    with engine.begin() as conn:
        conn.execute(text("UPDATE app_user SET site_ids = ARRAY[:site]::bigint[] WHERE login = 'wes'"), {"site": north})
    assert ids(desks["wes"].get("/sites", count=True)) == [north]
    assert desks["wes"].get("/sites", count=True)["total"] == 1
    assert ids(desks["wes"].get("/sites", search="so")) == []
    absent = desks["wes"].get("/sites/999999", status=404)
    for path in (f"/sites/{south}", f"/sites/{south}/history"):
        foreign = desks["wes"].get(path, status=404)
        assert foreign["detail"] == absent["detail"].replace("999999", str(south))


def test_a_list_that_takes_too_long_says_so(
    desks: dict[str, Desk], postgres: EmbeddedPostgres, database: str, deviations: list[int]
) -> None:
    del deviations
    import psycopg

    with psycopg.connect(postgres.conninfo(database)) as conn:
        conn.execute("BEGIN; LOCK TABLE deviation IN ACCESS EXCLUSIVE MODE")
        assert "longer than 2 s" in desks["quinn"].get("/deviations", status=422)["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": (Column("nothing", filter="eq"),)},
        {"columns": (Column("conclusion", sort=True),)},
        {"columns": (Column("title", sort=True),)},
        {"order": "-title"},
        {"verbs": (Verb("reopen"),)},
        {"verbs": (Verb("look", act=print),)},
        {"read": "deviation.peek"},
    ],
)
def test_a_wrong_declaration_does_not_start(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "name": "deviation",
        "path": "deviations",
        "table": Deviation,
        "read": "quality.read",
        "scope": DEVIATIONS,
        "cycle": DEVIATION,
    }
    check(Entity(**right))
    with pytest.raises(ValueError, match=r"deviation|no column|permit"):
        check(Entity(**{**right, **wrong}))


def test_the_text_that_comes_after_all_that_begin_so() -> None:
    assert [behind(text) for text in ("ab", "a\U0010ffff", "\ud7ff", "\U0010ffff", "")] == [
        "ac",
        "b",
        "\ue000",
        None,
        None,
    ]
