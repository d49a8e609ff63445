"""A declared entity's export and import over the API: what a list shows to who asks, and what its form would take."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.catalog.model import Site
from core.erp.catalog.shapes import SiteIn
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.events import Events
from core.erp.kernel.records import Column, Create, Entity
from core.erp.kernel.records.checked import check
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import Body
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.importable import Line
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.unit import system, transact, unit
from core.erp.partners.model import Partner
from core.erp.quality.model import Deviation
from core.erp.quality.scopes import DEVIATIONS
from core.settings import Settings
from core.wiring import build_events
from tests.services.tabular_world import csv_of, xlsx_of
from tests.serving import serving

PASSWORD = "correct horse battery"
PEOPLE = {
    "ada": ["admin"],
    "bea": ["buyer"],
    "quinn": ["qa"],
    "otto": ["auditor"],
    "carl": ["customer"],
    "nora": ["qa"],
    "nick": ["admin"],
}
PLACES = {"carl": Place(partner_id=1), "nora": Place(site_ids=(1,)), "nick": Place(site_ids=(1,))}
FILE = csv_of(["Code", "Name", "Timezone"], ["north", "=North", "Europe/Berlin"], ["south", "Süd", "Asia/Shanghai"])


class Desk:
    """Somebody at the API."""

    def __init__(self, client: httpx.Client, login: str) -> None:
        self.client = client
        token = client.post("/api/v1/token", data={"username": login, "password": PASSWORD}).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, status: int = 200, **params: Any) -> httpx.Response:
        answer = self.client.get(f"/api/v1{path}", params=params, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer

    def hand_in(
        self, data: bytes | str, status: int = 201, *, of: str = "sites", headers: Any = None, **fields: Any
    ) -> Any:
        content = data if isinstance(data, bytes) else data.encode()
        answer = self.client.post(
            f"/api/v1/{of}/import",
            files={"file": ("sites.csv", content)},
            data=fields,
            headers=self.headers | (headers or {}),
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.client.post(f"/api/v1{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def codes(self, **params: Any) -> list[str]:
        rows = list(csv.reader(io.StringIO(self.get("/sites/export", **params).text, newline="")))
        return [row[1] for row in rows[1:]]


@pytest.fixture
def desks(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Desk]]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        u.session.add_all(
            [
                Site(code="hq", name="Head office"),
                Partner(code="clinic", name="Clinic", roles=["customer"], country="DE"),
            ]
        )
        u.session.flush()
        for login, roles in PEOPLE.items():
            create_user(u, login, login.title(), PASSWORD, roles, place=PLACES.get(login))
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield {login: Desk(client, login) for login in PEOPLE}


def test_a_table_is_tried_imported_exported_and_told_in_the_readers_language(desks: dict[str, Desk]) -> None:
    ada = desks["ada"]
    tried = ada.hand_in(FILE, 200, dry_run="true")
    assert (tried["refused"], tried["lines"], tried["made"], tried["run_id"]) == (False, 2, 2, None)
    assert ada.codes() == ["hq"]
    done = ada.hand_in(FILE)
    assert {**tried, "dry_run": False, "run_id": done["run_id"]} == done
    assert ada.codes(sort="-code") == ["south", "north", "hq"]
    assert ada.codes(search="nor") == ["north"]
    answer = ada.get("/sites/export", names="true", language="zh", byte_order_mark="true")
    assert answer.headers["content-disposition"].startswith('attachment; filename="sites.csv"')
    lines = answer.content.decode("utf-8").splitlines()
    assert lines[:2] == ['\ufeff"编号","代码","名称","时区","状态"', '"id","code","name","timezone","state"']
    assert '"\'=North"' in lines[3]


def test_an_export_is_a_workbook_where_that_is_asked(desks: dict[str, Desk]) -> None:
    answer = desks["ada"].get("/sites/export", format="xlsx")
    (head, row) = CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()
    assert (head, row[1:3]) == (["id", "code", "name", "timezone", "state"], ["hq", "Head office"])
    template = desks["ada"].get("/sites/import-template", format="xlsx", language="zh")
    book = CalamineWorkbook.from_filelike(io.BytesIO(template.content))
    assert book.get_sheet_by_index(0).to_python() == [["代码", "名称", "时区"]]
    assert desks["ada"].get("/sites/import-template").text == '"code","name","timezone"\r\n'


def test_nobody_exports_or_imports_what_they_may_not(desks: dict[str, Desk]) -> None:
    desks["ada"].hand_in(FILE)
    assert desks["nora"].codes() == ["hq"]  # of her own site only
    assert desks["nora"].codes(search="north") == []
    desks["carl"].get("/sites/export", 403)
    desks["carl"].get("/sites/import-template", 403)
    for login in ("quinn", "otto", "carl"):
        desks[login].hand_in(FILE, 403)
    desks["carl"].get("/import-runs", 403)
    assert httpx.get(str(desks["ada"].client.base_url.join("/api/v1/sites/export"))).status_code == 401


def test_what_is_wrong_is_told_line_by_line_in_the_readers_language(desks: dict[str, Desk]) -> None:
    data = csv_of(["Code", "Name", "Timezone"], ["bad code!", "North", "UTC"], ["hq", "Again", ""], ["x", "", "UTC"])
    problem = desks["ada"].hand_in(data, 422, headers={"Accept-Language": "zh-CN"})
    assert (problem["id"], problem["lines"]) == ("tabular.nothing_imported", 3)
    faults = {(one["line"], one["column"]): one for one in problem["faults"]}
    assert set(faults) == {(2, "Code"), (3, "Timezone"), (4, "Name")}
    assert faults[4, "Name"]["detail"] == "不能为空"
    assert desks["ada"].codes() == ["hq"]
    good = data.replace("hq,Again,", "hq,Again,UTC") + "fine,Fine,UTC\r\n"
    report = desks["ada"].hand_in(good, mode="good")
    assert [one["line"] for one in report["faults"]] == [2, 3, 4]
    assert [report["faults"][place]["id"] for place in (0, 2)] == ["value.string_pattern_mismatch", "tabular.empty"]
    assert "hq" in report["faults"][1]["detail"]
    assert desks["ada"].codes() == ["hq", "fine"]


def test_whoever_belongs_to_a_site_is_told_what_is_wrong_and_not_what_stands_elsewhere(desks: dict[str, Desk]) -> None:
    desks["ada"].hand_in(FILE)
    head = ["Site", "Address", "Name"]
    desks["ada"].hand_in(csv_of(head, ["south", "south/store/room", "Room"]), of="zones")
    file = csv_of(head, ["", "hq/store/room", "Room"], ["south", "south/store/room", "Again"])
    problem = desks["nick"].hand_in(file, 422, of="zones")
    assert (problem["id"], problem["lines"], problem["bad"]) == ("tabular.nothing_imported", 2, 2)
    assert [one["line"] for one in problem["faults"]] == [2, 3]
    tried = desks["nick"].hand_in(file, 200, of="zones", dry_run="true")
    nowhere = desks["nick"].hand_in(file.replace("south", "absent"), 200, of="zones", dry_run="true")
    for faults in (problem["faults"], tried["faults"]):
        told = json.loads(json.dumps(faults).replace("south", "absent"))
        assert told == nowhere["faults"], "as for a site that is not there"


@pytest.mark.parametrize("password", ["hidden\u202eletters 77", "", "1.23E+12", "tiny"])
def test_a_password_in_a_file_is_shown_and_kept_nowhere(desks: dict[str, Desk], engine: Engine, password: str) -> None:
    head = ["Login", "Name", "Password", "Roles"]
    file = csv_of(head, ["good", "Good", "a good one 73", "warehouse"], ["bad", "Bad", password, "warehouse"])
    report = desks["ada"].hand_in(file, mode="good", of="users")
    assert [one["line"] for one in report["faults"]] == [3]
    run = desks["quinn"].get(f"/import-runs/{report['run_id']}").text
    with engine.connect() as conn:
        kept = conn.scalar(text("SELECT row_to_json(import_run)::text FROM import_run"))
    for told in (json.dumps(report, ensure_ascii=False), run, kept):
        assert not password or password not in told
        assert "a good one 73" not in told
    slipped = csv_of([*head, ""], ["more", "More", "", "warehouse", "a good one 74"])
    assert "a good one 74" not in json.dumps(desks["ada"].hand_in(slipped, 422, of="users"))


def test_bad_asking_is_refused_in_words(desks: dict[str, Desk]) -> None:
    ada = desks["ada"]
    ada.get("/sites/export", 422, timezone="Mars/Base")
    ada.get("/sites/export", 422, decimal="comma")
    ada.get("/sites/export", 422, format="pdf")
    ada.get("/sites/export", 422, unknown="1")
    assert ada.hand_in(FILE, 422, mapping="{")["id"] == "tabular.bad_mapping"
    assert ada.hand_in(FILE, 422, mapping=json.dumps({"decimal": "x"}))["id"] == "tabular.bad_mapping"
    ada.hand_in(FILE, 422, mode="some")
    ada.hand_in(FILE, 422, colour="red")
    assert ada.hand_in(b"%PDF-1.7", 422)["id"] == "tabular.no_table"
    no_file = ada.client.post("/api/v1/sites/import", data={"mode": "all"}, files={}, headers=ada.headers)
    assert no_file.status_code in {400, 422}
    assert ada.hand_in(xlsx_of(["Code", "Name"], ["z", "Z"]), 200, dry_run="true")["without_column"] == ["timezone"]


def test_the_same_key_imports_once_and_the_same_file_too(desks: dict[str, Desk]) -> None:
    ada, key = desks["ada"], {"Idempotency-Key": "k1"}
    first = ada.hand_in(FILE, headers=key)
    assert ada.hand_in(FILE, headers=key) == first
    again = ada.hand_in(FILE, 409)
    assert (again["id"], again["run_id"]) == ("tabular.already_imported", first["run_id"])
    assert ada.codes() == ["hq", "north", "south"]


def test_runs_are_records_and_an_entity_that_takes_nothing_back_is_not_undone(desks: dict[str, Desk]) -> None:
    heads = ["login", "name", "password", "roles"]
    data = csv_of(
        heads, ["eve", "Eve", "long enough for all", "buyer"], ["", "No login", "long enough for all", "buyer"]
    )
    run = desks["ada"].hand_in(data, of="users", mode="good")["run_id"]
    desks["ada"].get("/import-runs", entity="user")
    shown = desks["quinn"].get(f"/import-runs/{run}").json()
    assert (shown["entity"], shown["by"], shown["made"], shown["bad"]) == ("user", "ada", 1, 1)
    assert [(one["line"], one["detail"]) for one in shown["faults"]] == [(3, "must not be empty")]
    assert desks["otto"].get(f"/import-runs/{run}").json()["moves"] == []
    desks["otto"].post(f"/import-runs/{run}/undo", 403, reason="wrong")
    desks["quinn"].post(f"/import-runs/{run}/undo", 403, reason="wrong")  # may make no users
    refused = desks["ada"].post(f"/import-runs/{run}/undo", 409, reason="wrong")
    assert refused["id"] == "tabular.never_undone"


def test_several_words_in_a_cell_and_records_that_others_name(desks: dict[str, Desk]) -> None:
    bea = desks["bea"]
    firms = csv_of(
        ["code", "name", "roles", "country"], ["alp", "Alp", "Supplier; maker", "CH"], ["oso", "Oso", "x", "DE"]
    )
    report = bea.hand_in(firms, of="partners", mode="good")
    assert [(one["line"], one["column"], one["id"]) for one in report["faults"]] == [
        (3, "roles", "tabular.no_such_choice")
    ]
    assert '"supplier; maker"' in bea.get("/partners/export", language="en").text.lower()
    # the same code twice: of two firms it is two places, of one firm it is one
    places = csv_of(
        ["Partner", "code", "name", "country"],
        ["alp", "north", "North", "CH"],
        ["clinic", "north", "North", "DE"],
        ["alp", "north", "Again", "CH"],
        ["nobody", "south", "South", "DE"],
    )
    report = bea.hand_in(places, of="partner-sites", mode="good")
    assert [(one["line"], one["column"], one["id"]) for one in report["faults"]] == [
        (4, "", "tabular.line_twice"),
        (5, "Partner", "tabular.no_such_record"),
    ]
    assert report["made"] == 2


def test_every_kind_of_record_is_exported_and_has_a_template_where_it_is_imported(desks: dict[str, Desk]) -> None:
    otto = desks["otto"]
    for entity in entities().values():
        head = next(csv.reader(io.StringIO(otto.get(f"/{entity.path}/export", names="true").text)))
        assert len(head) == len(record_columns.exported(entity)) > 1, entity.name
        if importable_of(entity) is not None:
            template = otto.get(f"/{entity.path}/import-template", language="zh").text
            assert any("\u4e00" <= letter <= "\u9fff" for letter in template), entity.name


# --- links, and what has no table


class _LinkedIn(Body):
    title: str
    site_id: int | None = None


class _ListsIn(Body):
    sites: list[int]


def _linked(body: type[Body], **more: Any) -> Entity:
    return Entity(
        name="deviation",
        path="linked",
        table=Deviation,
        read="quality.read",
        scope=DEVIATIONS,
        columns=(Column("sublot_id", link="site"),),
        create=Create("catalog.manage", body, **more),
    )


def test_a_link_is_named_by_what_people_call_the_record(engine: Engine) -> None:
    class LinkedIn(Body):
        title: str
        sublot_id: int | None = None

    importable = importable_of(_linked(LinkedIn))
    assert importable is not None
    assert [(field.name, field.kind.value, field.filled) for field in importable.fields] == [
        ("title", "text", True),
        ("sublot_id", "text", False),
    ]
    lines = [Line(number, {"title": "t", "sublot_id": code}) for number, code in enumerate(["hq", "nowhere", None], 2)]

    def work(u: Any) -> list[Any]:
        u.session.add(Site(code="hq", name="Head office"))
        u.session.flush()
        return list(importable.prepare(u, lines))

    (fault,) = transact(engine, system("test"), Events(), work)
    assert (fault.line, fault.field, fault.message.id) == (3, "sublot_id", "tabular.no_such_record")
    assert [line.values["sublot_id"] for line in lines] == [1, "nowhere", None]


def test_a_form_that_is_no_row_of_values_has_no_import() -> None:
    assert importable_of(_linked(_ListsIn)) is None


def test_an_import_is_undone_by_a_verb_that_there_is() -> None:
    with pytest.raises(ValueError, match="no verb"):
        check(_linked(SiteIn, undo="withdraw"))


def test_nothing_of_an_export_is_kept_by_those_between(desks: dict[str, Desk], engine: Engine) -> None:
    answer = desks["ada"].get("/sites/export")
    assert answer.headers["cache-control"] == "private, no-store"
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM audit WHERE action LIKE 'import%'")).scalar() == 0
