"""The release desk: what waits by urgency, what is missing of each, and what one signature releases."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from core.erp.catalog.service import create_site
from core.erp.kernel.access.users import Place
from core.erp.kernel.auth import now_utc
from core.erp.kernel.unit import Unit, system, unit
from core.erp.lots import service as lots
from core.erp.lots.model import Lot, Sublot
from core.erp.partners.model import Partner, SupplierCertificate
from core.erp.shipments import service as shipments
from core.wiring import build_events
from tests.pages import PASSWORD, Browser, filled, pages, text_of
from tests.services.pages_excursions_test import form_of, summary_of, typed
from tests.services.quality_plant import Plant, at, build
from tests.stories.shipments_story_test import ship
from tests.world import RELEASE


@dataclass(frozen=True)
class Desk:
    """A plant, and people at its pages. Every test has goods of its own."""

    plant: Plant
    people: dict[str, Browser]

    def waits(self, **more: Any) -> tuple[int, str]:
        """(a sublot in quarantine, its code)."""
        sublot = self.plant.goods(released=False, **more)
        return sublot, self.code(sublot)

    def code(self, sublot: int) -> str:
        return str(self.plant.one("SELECT code FROM sublot WHERE id = :s", s=sublot))

    def state(self, sublot: int) -> str:
        return str(self.plant.one("SELECT state FROM sublot WHERE id = :s", s=sublot))

    def hold(self, sublot: int) -> int:
        """QA holds it."""
        about: dict[str, Any] = {"kind": "quality", "reason": "looks odd", "since_at": at("03:00"), "sublot_id": sublot}
        return int(self.plant.do("quinn", at("03:00"), lots.place_hold, **about)[0].id)

    def row(self, code: str, who: str = "rp", path: str = "/release") -> str:
        """The line of the desk that is about the sublot."""
        found = re.search(rf"<tr>(?:(?!</tr>).)*>{code}</a>.*?</tr>", self.people[who].get(path), re.DOTALL)
        assert found is not None, text_of(self.people[who].get(path))[:3000]
        return found[0]

    def sign(self, path: str, address: str, status: int = 303, who: str = "rp", **fields: Any) -> Any:
        """Opens the page, fills the form and sends it."""
        browser = self.people[who]
        form = filled(form_of(browser.get(path), address))
        sent = {"reason": "exposure and trail reviewed", "password": PASSWORD, **fields}
        answer = browser.client.post(address, data={**form, **sent})
        assert answer.status_code == status, text_of(answer.text)[:2000]
        return answer


@contextmanager
def build_desk(engine: Engine, folder: Path) -> Iterator[Desk]:
    plant = build(engine)
    with unit(engine, system("test"), build_events()) as u:
        elsewhere = create_site(u, "berlin", "Berlin depot", "Europe/Berlin").id
    for zone in ("room-a", "room-b", "dock"):
        plant.alive(zone, now_utc())
    roles = {"rp": ["responsible_person"], "qa": ["qa"], "wh": ["warehouse"], "far": ["responsible_person"]}
    with pages(engine, folder, roles, {"far": Place((elsewhere,))}) as people:
        yield Desk(plant, people)


@pytest.fixture(scope="module")
def desk(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with build_desk(module_engine, tmp_path_factory.mktemp("pages")) as made:
        yield made


def test_what_nothing_is_missing_of_may_be_signed_and_what_is_held_may_not(desk: Desk) -> None:
    (free, code), (held, bad) = desk.waits(), desk.waits()
    hold = desk.hold(held)
    assert "Ready" in text_of(desk.row(code))
    assert f'name="sublot" value="{free}"' in desk.row(code)
    line = desk.row(bad)
    assert "Not yet" in text_of(line)
    assert "1 standing" in text_of(line)
    assert f'href="/holds/{hold}"' in line
    assert "checkbox" not in line
    page = desk.people["rp"].get(f"/sublots/{held}/release")
    assert "It can be signed when nothing is missing" in text_of(page)
    assert 'name="password"' not in page


def test_excursions_loggers_deviations_and_expiry_say_so_and_lead_to_where_they_are_done(desk: Desk) -> None:
    plant = desk.plant
    sublot, code = desk.waits()
    plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20"))
    line = desk.row(code)
    assert "1 to decide" in text_of(line)
    assert re.search(r'href="/excursions/\d+"', line)
    sublot, code = desk.waits(zone="dock")
    shipment = ship(plant, "IN-7", (sublot, 100), kind="inbound", to="dock", loggers=("LOG-7",))
    plant.do("lou", at("05:00"), shipments.arrived, shipment, at("04:55"), "unloaded")
    line = desk.row(code)
    assert "1 unread" in text_of(line)
    assert f'href="/shipments/{shipment}"' in line
    old = plant.act("setup", at("05:00"), lambda u: _expired(u, plant))
    line = text_of(desk.row(desk.code(old)))
    assert "Expired 1 Jan 2026" in line
    assert "Not yet" in line


def _expired(u: Unit, plant: Plant) -> int:
    lot = lots.create_lot(u, plant.items["vaccine"], "L-OLD", expiry=date(2026, 1, 1))
    return lots.receive(u, lot.id, Decimal(100), plant.zones["room-a"], reason="receipt").id


def _certified(u: Unit, sublot: int, item: int) -> None:
    """The lot's maker is a partner with one certificate for the item and one for another."""
    maker = Partner(code="MK", name="Maker", country="DE", roles=["supplier"])
    u.session.add(maker)
    u.session.flush()
    lot = u.get_one(Lot, u.get_one(Sublot, sublot).lot_id)
    lot.maker_id = maker.id
    for number, until, items in (("G-1", date(2099, 5, 1), [item]), ("G-2", date(2099, 9, 1), [item + 1])):
        about: dict[str, Any] = {"kind": "gmp", "number": number, "issuer": "DQS", "valid_from": date(2020, 1, 1)}
        made = SupplierCertificate(partner_id=maker.id, valid_until=until, item_ids=items, **about)
        u.session.add(made)
        u.session.flush()
        made.state, made.verified_by, made.verified_at = "valid", "quinn", u.now
        u.session.add(made)


def test_certificates_are_the_makers_for_this_item(desk: Desk) -> None:
    sublot, code = desk.waits()
    assert "No maker" in text_of(desk.row(code))
    desk.plant.do("setup", at("05:00"), _certified, sublot, desk.plant.items["vaccine"])
    line = text_of(desk.row(code))
    assert "1 May 2099" in line
    assert "2099" in line
    assert "1 Sept 2099" not in line


def test_one_signature_releases_the_chosen_and_records_each(desk: Desk) -> None:
    (first, one), (second, two), (stays, _) = desk.waits(), desk.waits(), desk.waits()
    path = f"/release/sign?sublot={first}&sublot={second}"
    page = text_of(desk.people["rp"].get(path))
    assert one in page
    assert two in page
    answer = desk.sign(path, "/release/sign", who="rp")
    assert "Released by your signature: 2" in text_of(desk.people["rp"].get(answer.headers["location"]))
    assert [desk.state(it) for it in (first, second, stays)] == ["released", "released", "quarantine"]
    signed = "SELECT count(DISTINCT signature_id) FROM batch_release WHERE sublot_id = ANY (:s)"
    assert desk.plant.one(signed, s=[first, second]) == 2


def test_what_is_not_ready_is_left_out_of_the_signature_and_said(desk: Desk) -> None:
    (free, _), (held, bad) = desk.waits(), desk.waits()
    desk.hold(held)
    path = f"/release/sign?sublot={free}&sublot={held}"
    assert f"{bad}: not signed, something is missing" in text_of(desk.people["rp"].get(path))
    desk.sign(path, "/release/sign")
    assert (desk.state(free), desk.state(held)) == ("released", "quarantine")
    forced = {"sublot": [str(held)], "reason": "x", "password": PASSWORD, "_seen": "", "_key": "k-1"}
    assert desk.people["rp"].client.post("/release/sign", data=forced).status_code == 409
    assert desk.state(held) == "quarantine"


def test_a_part_is_released_with_the_whole_history_and_the_rest_waits_on(desk: Desk) -> None:
    sublot, _ = desk.waits()
    path = f"/sublots/{sublot}/release"
    answer = desk.sign(path, path, amount="40")
    part = int(answer.headers["location"].rpartition("/")[2])
    assert part != sublot
    assert (desk.state(part), desk.state(sublot)) == ("released", "quarantine")
    assert desk.plant.one("SELECT lotwise_on_hand(:p), lotwise_on_hand(:s)", p=part, s=sublot) == (40, 60)
    assert desk.plant.one("SELECT entity_id FROM signature ORDER BY id DESC LIMIT 1") == str(part)
    more = desk.sign(path, path, 409, amount="61")
    assert "60" in summary_of(more.text)
    whole = desk.sign(path, path, amount="60")
    assert whole.headers["location"] == f"/sublots/{sublot}"
    assert desk.state(sublot) == "released"


def test_a_refusal_keeps_the_reason_and_drops_the_password(desk: Desk) -> None:
    sublot, _ = desk.waits()
    path = f"/sublots/{sublot}/release"
    page = desk.sign(path, path, 422, reason="", password="").text
    assert summary_of(page).count("must be filled in") == 2
    page = desk.sign(path, path, 403, reason="looked at all of it", password="wrong").text
    assert typed(page, "reason") == "looked at all of it"
    assert "wrong" not in re.findall(r'<input[^>]*type="password"[^>]*>', page)[0]
    assert desk.state(sublot) == "quarantine"


def test_what_has_changed_since_it_was_seen_is_not_signed(desk: Desk) -> None:
    sublot, _ = desk.waits()
    browser, path = desk.people["rp"], f"/sublots/{sublot}/release"
    form = filled(form_of(browser.get(path), path))
    desk.plant.do("quinn", at("03:10"), lots.restrict, sublot, "market", {"only": ["DE"]}, "registered there")
    answer = browser.client.post(path, data={**form, "reason": "reviewed", "password": PASSWORD})
    assert answer.status_code == 409
    assert "changed since you saw it" in summary_of(answer.text)
    assert desk.state(sublot) == "quarantine"
    desk.sign(path, path)
    assert desk.state(sublot) == "released"


def test_what_somebody_waits_for_stands_before_what_is_older(desk: Desk) -> None:
    (old, _), (young, code) = desk.waits(), desk.waits()
    for sublot in (old, young):
        desk.plant.do("setup", at("05:00"), lambda u, sublot=sublot: u.conn.execute(RELEASE, {"id": sublot}))
    ship(desk.plant, "SH-9", (young, 100))
    for sublot in (old, young):
        desk.plant.do("quinn", at("06:00"), lots.change_status, sublot, "retest", "a doubt")
    read = text_of(desk.people["rp"].get("/release"))
    assert read.index(code) < read.index(desk.code(old))
    assert "SH-9" in text_of(desk.row(code))


def test_who_may_not_sign_sees_all_and_is_offered_nothing_and_another_site_is_not_there(desk: Desk) -> None:
    sublot, code = desk.waits()
    page = desk.people["qa"].get("/release")
    assert code in page
    assert "checkbox" not in page
    assert desk.people["qa"].client.get(f"/sublots/{sublot}/release").status_code == 403
    assert code not in desk.people["far"].get("/release")
    assert desk.people["far"].client.get(f"/release/sign?sublot={sublot}").status_code == 404
    assert desk.people["rp"].client.get("/release/sign?sublot=x").status_code == 422


def test_the_desk_reads_as_often_for_many_as_for_few(desk: Desk, module_engine: Engine) -> None:
    """Statements of a page: one of each kind, whatever the number of its lines."""

    def statements() -> int:
        count = 0

        def told(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(module_engine, "before_cursor_execute", told)
        desk.people["rp"].get("/release")
        event.remove(module_engine, "before_cursor_execute", told)
        return count

    desk.waits()
    few = statements()
    for _ in range(4):
        desk.waits()
    assert statements() == few
