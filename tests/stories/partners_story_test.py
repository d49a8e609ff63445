"""A buyer keeps a supplier once, in all its roles; QA verifies its certificate, which ends by itself."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.access.users import Place
from core.erp.kernel.deadlines.running import run
from core.erp.kernel.errors import Invalid, NotFound, Refused
from core.erp.kernel.permits import Role
from core.erp.kernel.records.read import Asked, page, row_of
from core.erp.kernel.records.registry import entity_named
from core.erp.kernel.unit import Actor, Unit, system, transact
from core.erp.lots import service as lots
from core.erp.partners import service
from core.erp.shipments import service as shipments
from core.wiring import build_events
from tests.desks import Desk, office, seat
from tests.rules.attachments_rules_test import PDF_FILE
from tests.world import World

PEOPLE = {"bo": ["buyer"], "quinn": ["qa"], "quentin": ["qa"], "wes": ["warehouse"]}
TODAY = datetime.now(UTC).date()


@pytest.fixture
def desks(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Desk]]:
    with office(engine, tmp_path, monkeypatch, PEOPLE) as seated:
        yield seated


@pytest.fixture
def steel(desks: dict[str, Desk]) -> int:
    """A supplier that makes what it sells."""
    made = desks["bo"].post(
        "/partners", 201, code="S-1", name="Stahl & Röhren", roles=["supplier", "maker"], country="DE"
    )
    return int(made["id"])


def certificate(desk: Desk, partner: int, until: date, **more: object) -> int:
    """A draft with its file."""
    fields = {"kind": "iso_13485", "number": "MD 700123", "issuer": "notified body"} | more
    made = desk.post(
        "/supplier-certificates",
        201,
        partner_id=partner,
        valid_from=str(TODAY - timedelta(days=1)),
        valid_until=str(until),
        **fields,
    )
    return int(made["id"])


def test_one_firm_is_one_partner_in_all_its_roles(desks: dict[str, Desk], steel: int) -> None:
    bo = desks["bo"]
    assert (
        "there is a partner S-1 already"
        in bo.post("/partners", 409, code="S-1", name="Again", roles=["customer"], country="DE")["detail"]
    )
    for wrong, words in (
        ({"country": "QQ"}, "no country has the code QQ"),
        ({"gln": "4012345000001"}, "check digit should be 9"),
        ({"roles": []}, "roles"),
    ):
        body = {"code": "S-2", "name": "Two", "roles": ["customer"], "country": "DE"} | wrong
        assert words in bo.post("/partners", 422, **body)["detail"]
    partner = bo.get(f"/partners/{steel}")
    assert partner["moves"] == ["withdraw"]
    bo.patch(f"/partners/{steel}", roles=["supplier", "maker", "customer"], version=partner["version"])
    assert [found["code"] for found in desks["wes"].get("/partners", role="customer")["items"]] == ["S-1"]
    assert [found["code"] for found in desks["wes"].get("/partners", search="röhr")["items"]] == ["S-1"]
    assert desks["wes"].get("/partners", role="carrier")["items"] == []
    desks["wes"].post("/partners", 403, code="S-9", name="Nine", roles=["supplier"], country="DE")


def test_qa_blocks_and_another_of_qa_lets_go_again(desks: dict[str, Desk], steel: int, engine: Engine) -> None:
    path = f"/partners/{steel}"
    desks["bo"].post(f"{path}/block", 403, reason="late")
    assert "reason" in desks["quinn"].post(f"{path}/block", 422)["detail"]
    assert desks["quinn"].post(f"{path}/block", reason="audit failed")["state"] == "blocked"
    assert "second person" in desks["quinn"].post(f"{path}/unblock", 403, reason="audit passed")["detail"]
    with pytest.raises(Refused, match="partner S-1 is blocked: nothing new may name it"):
        transact(engine, system("test"), build_events(), lambda u: service.require_partner(u, steel, "supplier"))
    assert desks["quentin"].post(f"{path}/unblock", reason="audit passed")["state"] == "active"
    with pytest.raises(Refused, match="is no carrier"):
        transact(engine, system("test"), build_events(), lambda u: service.require_partner(u, steel, "carrier"))
    history = desks["wes"].get(f"{path}/history")["items"]
    assert [entry["action"] for entry in history] == ["partner.unblock", "partner.block", "partner.create"]


def test_whom_to_call_at_night(desks: dict[str, Desk], steel: int) -> None:
    bo = desks["bo"]
    other = bo.post("/partners", 201, code="C-1", name="Clinic", roles=["customer"], country="FR")["id"]
    works = bo.post("/partner-sites", 201, partner_id=steel, code="W1", name="Works", country="DE", city="Essen")["id"]
    ward = bo.post("/partner-sites", 201, partner_id=other, code="W1", name="Ward", country="FR")["id"]
    person = {"name": "Ina", "purposes": ["recall"], "phone": "+49 201 12345"}
    always = bo.post("/partner-contacts", 201, partner_id=steel, partner_site_id=works, **person)
    assert always["reached_now"] is True
    never = bo.post(
        "/partner-contacts",
        201,
        partner_id=steel,
        name="Office",
        email="qa@example.com",
        hours=[{"weekdays": [8 - datetime.now(UTC).isoweekday()], "opens": "00:00", "closes": "00:01"}],
    )
    assert never["reached_now"] is False
    assert (
        "none of this partner's"
        in bo.post("/partner-contacts", 422, partner_id=steel, partner_site_id=ward, **person)["detail"]
    )
    assert "phone number" in bo.post("/partner-contacts", 422, partner_id=steel, name="Nobody")["detail"]
    backwards = [{"weekdays": [1], "opens": "22:00", "closes": "06:00"}]
    assert "two rows" in bo.post("/partner-contacts", 422, partner_id=steel, hours=backwards, **person)["detail"]
    found = desks["wes"].get("/partner-contacts", partner_id=steel, purpose="recall")["items"]
    assert [one["name"] for one in found] == ["Ina"]


def test_a_certificate_counts_once_a_second_person_has_verified_it(
    desks: dict[str, Desk], steel: int, engine: Engine
) -> None:
    quinn, quentin = desks["quinn"], desks["quentin"]
    number = certificate(quinn, steel, TODAY + timedelta(days=100))
    path = f"/supplier-certificates/{number}"
    assert quinn.get(path)["moves"] == ["verify", "withdraw"]
    assert "no file" in quentin.post(f"{path}/verify", 409)["detail"]
    quinn.attach(path, PDF_FILE, "certificate.pdf")
    assert "second person" in quinn.post(f"{path}/verify", 403)["detail"]
    desks["bo"].post(f"{path}/verify", 403)
    verified = quentin.post(f"{path}/verify")
    assert (verified["state"], verified["verified_by"]) == ("valid", "quentin")

    def counts(on: date) -> bool:
        return transact(engine, system("test"), build_events(), lambda u: service.certified(u, steel, "iso_13485", on))

    assert [counts(TODAY + timedelta(days=days)) for days in (-2, 0, 100, 101)] == [False, True, True, False]
    changed = quinn.patch(path, 409, note="later", version=verified["version"])
    assert "that is valid cannot be changed" in changed["detail"]
    quinn.attach(path, PDF_FILE + b"\n", "other.pdf", 409)


def test_what_was_verified_stays_as_it_was(desks: dict[str, Desk], steel: int, owner: Engine) -> None:
    number = certificate(desks["quinn"], steel, TODAY + timedelta(days=100))
    desks["quinn"].attach(f"/supplier-certificates/{number}", PDF_FILE, "certificate.pdf")
    desks["quentin"].post(f"/supplier-certificates/{number}/verify")
    with pytest.raises(DBAPIError, match="only state may be written"), owner.begin() as conn:
        conn.execute(text("UPDATE supplier_certificate SET valid_until = valid_until + 1"))


def verified(desks: dict[str, Desk], partner: int, until: date, **more: object) -> int:
    """A certificate that counts."""
    number = certificate(desks["quinn"], partner, until, **more)
    desks["quinn"].attach(f"/supplier-certificates/{number}", PDF_FILE, "certificate.pdf")
    desks["quentin"].post(f"/supplier-certificates/{number}/verify")
    return number


def after(engine: Engine, days: int) -> list[str]:
    """What the core does by itself when so many days have gone by."""
    now = datetime.combine(TODAY + timedelta(days=days), time(1), UTC)
    return [step.kind for step in run(engine, build_events(), now)]


def test_its_validity_ends_by_itself_and_it_is_warned_of_before(
    desks: dict[str, Desk], steel: int, engine: Engine
) -> None:
    bo = desks["bo"]
    number = verified(desks, steel, TODAY + timedelta(days=100))
    withdrawn = verified(desks, steel, TODAY + timedelta(days=100), number="MD 2")
    bo.post(f"/supplier-certificates/{withdrawn}/withdraw", reason="another has come")
    (deadline,) = bo.get("/deadlines")["items"]
    assert (deadline["term"], deadline["about"]) == ("certificate_expiry", "MD 700123 of Stahl & Röhren")
    assert after(engine, 10) == []
    assert after(engine, 11) == ["warn"]
    (task,) = bo.get("/my-tasks")["items"]
    assert task["title"].startswith("end of a supplier's certificate: MD 700123 of Stahl & Röhren, due ")
    chinese = Desk(bo.client, "bo", language="zh-CN").get("/my-tasks")["items"][0]
    assert chinese["title"].startswith("供应商证书到期：Stahl & Röhren 的证书 MD 700123，期限 ")
    assert after(engine, 71) == ["warn"]
    assert after(engine, 100) == []
    assert bo.get(f"/supplier-certificates/{number}")["state"] == "valid"
    assert after(engine, 101) == ["due"]
    assert bo.get(f"/supplier-certificates/{number}")["state"] == "expired"
    assert bo.get("/my-tasks")["total"] == 0
    steps = bo.get(f"/deadlines/{deadline['id']}")["steps"]
    assert [(step["kind"], step["outcome"]) for step in steps] == [("warn", "done"), ("warn", "done"), ("due", "done")]
    assert after(engine, 400) == []


def test_a_supplier_sees_its_own_and_is_told_of_no_other(desks: dict[str, Desk], steel: int, engine: Engine) -> None:
    other = desks["bo"].post("/partners", 201, code="S-2", name="Other", roles=["supplier"], country="FR")["id"]
    sue = Actor("sue", frozenset({Role.SUPPLIER}), permits=frozenset({"partner.read"}), partner_id=steel)
    partners = entity_named("partner")

    def seen(u: Unit) -> list[int]:
        return [row.id for row in page(u, partners, Asked(search="S-")).rows]

    assert transact(engine, sue, build_events(), seen) == [steel]
    with pytest.raises(NotFound, match=f"no partner {other}"):
        transact(engine, sue, build_events(), lambda u: row_of(u, partners, other))
    seat(engine, desks["bo"].client, "sue", ["supplier"], Place(partner_id=steel)).get("/partners", 403)
    with pytest.raises(Invalid, match="no partner 999"):
        seat(engine, desks["bo"].client, "zoe", ["supplier"], Place(partner_id=999))


def test_chinese_readers_are_told_in_chinese(desks: dict[str, Desk], steel: int) -> None:
    quinn = Desk(desks["quinn"].client, "quinn", language="zh-CN")
    number = certificate(quinn, steel, TODAY + timedelta(days=10))
    refused = Desk(desks["quinn"].client, "quentin", language="zh-CN").post(
        f"/supplier-certificates/{number}/verify", 409
    )
    assert refused["detail"] == "证书 MD 700123 没有可供核对的文件：请先上传附件"
    assert refused["id"] == "partners.certificate_without_file"


def test_a_lots_maker_stays_as_received_beside_the_partner(desks: dict[str, Desk], steel: int, engine: Engine) -> None:
    wes, bo = desks["wes"], desks["bo"]
    item = World(engine, build_events()).item()
    lot = wes.post("/lots", 201, item_id=item, number="A213B1", maker="STAHL U. ROEHREN GMBH", maker_id=steel)
    assert (lot["maker"], lot["maker_id"]) == ("STAHL U. ROEHREN GMBH", steel)
    assert [one["id"] for one in wes.get("/lots", maker_id=steel)["items"]] == [lot["id"]]
    clinic = bo.post("/partners", 201, code="C-1", name="Clinic", roles=["customer"], country="FR")["id"]
    path = f"/lots/{lot['id']}"
    assert "is no maker" in wes.patch(path, 409, maker_id=clinic, version=lot["version"])["detail"]
    wes.patch(path, 404, maker_id=999, version=lot["version"])
    unnamed = wes.patch(path, maker_id=None, version=lot["version"])
    assert (unnamed["maker"], unnamed["maker_id"]) == ("STAHL U. ROEHREN GMBH", None)
    assert wes.get(f"{path}/history")["items"][0]["changes"] == [{"field": "maker_id", "before": steel, "after": None}]
    desks["quinn"].post(f"/partners/{steel}/block", reason="audit failed")
    assert "blocked" in wes.patch(path, 409, maker_id=steel, version=unnamed["version"])["detail"]


def test_a_shipment_names_its_consignee_beside_what_was_ordered(
    desks: dict[str, Desk], steel: int, engine: Engine
) -> None:
    world = World(engine, build_events())
    lot = world.lot(world.item())
    expected = world.do(lambda u: lots.receive(u, lot, Decimal(5), None, state="expected").id)
    lou = seat(engine, desks["bo"].client, "lou", ["logistics"])
    order = {
        "consignee": "Clinic No. 17, gate 3",
        "lines": [{"sublot_id": expected, "amount": "5"}],
        "legs": [{"origin": "works", "destination": "dock"}],
    }
    sold = lou.post("/shipments", 409, code="SH-1", kind="sale", consignee_id=steel, **order)
    assert "is no customer" in sold["detail"]
    inbound = lou.post("/shipments", 201, code="SH-2", kind="inbound", consignee_id=steel, **order)
    assert (inbound["consignee"], inbound["consignee_id"]) == ("Clinic No. 17, gate 3", steel)
    world.do(lambda u: shipments.name_consignee(u, inbound["id"], None))
    assert lou.get(f"/shipments/{inbound['id']}")["consignee_id"] is None
