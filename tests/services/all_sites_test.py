"""What every site works with is changed by somebody who belongs to all of them; the rest keeps to one's own sites.

The lists are written by hand: a new permit, a new record that every site sees and a new route of theirs fail here until
somebody has looked at what they touch.
"""

from decimal import Decimal
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import text

from core.erp.kernel import permits
from core.erp.kernel.door import DoorRoute, wants_of
from core.erp.kernel.errors import Forbidden
from core.erp.kernel.permits import Role
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Actor, Unit
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.erp.quality.model import Excursion
from tests.services.quality_plant import at
from tests.services.two_sites_api import PASSWORD, Sites, sites

__all__ = ["sites"]

API = "/api/v1"
OF_ALL_SITES = {
    "audit.review",
    "catalog.items",
    "catalog.profiles",
    "catalog.sites",
    "certificate.manage",
    "certificate.verify",
    "partner.block",
    "partner.manage",
    "production.bills",
    "restoration.sign",
}
WITHIN_ONES_SITES = {
    "alert.take": "a site's",
    "alerting.manage": "a site's; a route of no site is changed by who belongs to all of them",
    "alarm.acknowledge": "a zone's",
    "alarm.shelve": "a zone's",
    "batch.release": "a sublot's",
    "calendar.manage": "a site's",
    "calibration.approve": "a sensor's",
    "calibration.plan": "a sensor's",
    "calibration.record": "a sensor's",
    "capa.act": "a site's",
    "capa.manage": "a site's",
    "capa.sign": "a site's",
    "catalog.manage": "a site and its zones",
    "catalog.points": "a zone's",
    "contact_way.keep": "one's own, and of people one sees",
    "custody.post": "a sublot's",
    "epoch.close": "a gateway's whose zones one sees, every one",
    "excursion.assess": "a sublot's; of an incident, those one sees",
    "excursion.disposition": "a sublot's; of an incident, those one sees",
    "fact.post": "a sublot's",
    "hold.lift": "a sublot's; a lot's only where no other site has any of it",
    "hold.place": "a hold reaches all that it must: that is never too far",
    "import.undo": "an import whose records one sees, every one",
    "ingest.manage": "dead letters and sources of zones one sees",
    "logger.import": "a shipment's, a zone's",
    "logger.waive": "a shipment's",
    "lot.disposition": "a sublot's",
    "lot.restrict": "a sublot's",
    "machine.state": "a work centre's",
    "production.plan": "a work centre's",
    "production.release": "a work centre's",
    "production.report": "a work centre's",
    "rescue": "a sublot's",
    "shipment.dispatch": "a shipment's, from or to one's site",
    "shipment.hand_over": "a shipment's, from or to one's site",
    "shipment.plan": "a shipment's, from or to one's site",
    "shipment.report": "a shipment's, from or to one's site",
    "simulator.run": "a test instance's, which has no real goods",
    "stock.move": "a sublot's",
    "stock.pick": "a sublot's",
    "stock.receive": "a zone's; the maker of a lot only where no other site has any of it",
    "stock.reserve": "a sublot's",
    "task.act": "one's own, or a site's",
    "task.oversee": "a site's",
    "user.approve": "users of one's sites; roles: nobody of some sites",
    "user.manage": "users of one's sites; roles: nobody of some sites",
}
"""What keeps each within them: the scope of what it acts on, or a check of its service."""

ROUTES = {
    "POST /audit-reviews",
    "POST /audit-verifications",
    "POST /boms",
    "POST /items",
    "POST /items/import",
    "PATCH /items/{record_id}",
    "POST /items/{record_id}/profiles",
    "POST /items/{record_id}/reinstate",
    "POST /items/{record_id}/withdraw",
    "POST /partner-contacts",
    "POST /partner-contacts/import",
    "PATCH /partner-contacts/{record_id}",
    "POST /partner-contacts/{record_id}/withdraw",
    "POST /partner-sites",
    "POST /partner-sites/import",
    "PATCH /partner-sites/{record_id}",
    "POST /partner-sites/{record_id}/withdraw",
    "POST /partners",
    "POST /partners/import",
    "PATCH /partners/{record_id}",
    "POST /partners/{record_id}/attachments",
    "POST /partners/{record_id}/attachments/{attachment_id}/versions",
    "POST /partners/{record_id}/attachments/{attachment_id}/withdraw",
    "POST /partners/{record_id}/block",
    "POST /partners/{record_id}/unblock",
    "POST /partners/{record_id}/withdraw",
    "POST /profiles",
    "POST /profiles/import",
    "PATCH /profiles/{record_id}",
    "POST /profiles/{record_id}/reinstate",
    "POST /profiles/{record_id}/versions",
    "POST /profiles/{record_id}/withdraw",
    "POST /restorations/{record_id}/sign",
    "POST /sites",
    "POST /sites/import",
    "POST /supplier-certificates",
    "POST /supplier-certificates/import",
    "PATCH /supplier-certificates/{record_id}",
    "POST /supplier-certificates/{record_id}/attachments",
    "POST /supplier-certificates/{record_id}/attachments/{attachment_id}/versions",
    "POST /supplier-certificates/{record_id}/attachments/{attachment_id}/withdraw",
    "POST /supplier-certificates/{record_id}/verify",
    "POST /supplier-certificates/{record_id}/withdraw",
}
"""Every route of the API that is nobody's of some sites, whatever the body."""


def test_every_permit_to_do_something_is_looked_at() -> None:
    assert permits.of_all_sites() == OF_ALL_SITES
    doing = {name for name, one in permits.declared().items() if not one.reads}
    assert doing == OF_ALL_SITES | WITHIN_ONES_SITES.keys()


def doing(entity: Entity) -> set[str]:
    """Every permit that something is done by with the records."""
    found = {permit for verb in entity.verbs for permit in entity.permits(verb)}
    for one in (entity.create, entity.change, entity.files):
        found |= set(as_permits(one.permit)) if one is not None else set()
    return found


def test_what_every_site_sees_takes_somebody_of_all_sites() -> None:
    somebody = Actor("somebody", frozenset(Role), sites=frozenset({1}))
    shared = {name: entity for name, entity in entities().items() if entity.scope(somebody) is None}
    asked = {name: doing(entity) for name, entity in shared.items()}
    assert asked.pop("role") == {"user.manage", "user.approve"}
    for name, found in asked.items():
        assert found <= OF_ALL_SITES, name
    acted = {name for name, found in asked.items() if found}
    assert acted == {
        "bom",
        "item",
        "partner",
        "partner_contact",
        "partner_site",
        "restoration",
        "storage_profile",
        "supplier_certificate",
    }


def test_the_routes_of_such_permits_are_these(sites: Sites) -> None:
    found = set()
    for context in iter_route_contexts(sites.app.router.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, DoorRoute):
            wanted = wants_of(route.endpoint).permits
            if wanted and OF_ALL_SITES.issuperset(wanted):
                found |= {f"{method} {route.path.removeprefix(API)}" for method in route.methods or ()}
    assert found == ROUTES


def asked(sites: Sites, line: str, body: Any, who: str) -> tuple[int, str, str]:
    method, path = line.split()
    for name in ("record_id", "attachment_id"):
        path = path.replace(f"{{{name}}}", "1")
    answer = sites.client.request(method, f"{API}{path}", json=body, headers=sites.token(who))
    said = answer.json()
    return answer.status_code, said.get("id", ""), said.get("detail", "")


def test_whoever_belongs_to_some_sites_is_refused_in_words(sites: Sites) -> None:
    tokens = {who: sites.token(who) for who in ("boss", "manager", "whole", "chief")}
    sites.token = lambda login: tokens[login]  # type: ignore[method-assign]  # signing in once each is enough
    of_admins = ("/sites", "/items")
    for line in ROUTES:
        admins = line.split()[1].startswith(of_admins) and not line.endswith("/profiles")
        status, why, said = asked(sites, line, {}, "manager" if admins else "boss")
        assert (status, why) == (403, "kernel.permit_of_all_sites"), line
        assert "belongs to some sites only" in said
        assert asked(sites, line, {}, "chief" if admins else "whole")[0] != 403, line
    body: dict[str, Any] = {"code": "packer", "name": "Packer", "permits": ["stock.move"]}
    role = sites.client.post(f"{API}/roles", json=body, headers=tokens["chief"]).json()
    made, version = role["id"], role["version"]
    for line, given in (
        ("POST /roles", body | {"code": "other"}),
        (f"PATCH /roles/{made}", {"name": "Someone", "version": version}),
        (f"POST /roles/{made}/approve", None),
        (f"POST /roles/{made}/withdraw", {"reason": "no longer needed"}),
    ):
        assert asked(sites, line, given, "manager")[:2] == (403, "access.roles_of_all_sites"), line


def test_buttons_of_what_is_refused_are_not_shown(sites: Sites) -> None:
    item = sites.plant.items["vaccine"]
    for who, moves in (("manager", []), ("chief", ["withdraw"])):
        shown = sites.client.get(f"{API}/items/{item}", headers=sites.token(who)).json()
        assert [one for one in shown["moves"] if one != "assign_profile"] == moves
    permits_of = sites.client.get(f"{API}/me", headers=sites.token("boss")).json()["permits"]
    assert OF_ALL_SITES.isdisjoint(permits_of)
    assert "hold.lift" in permits_of


def test_who_is_placed_at_a_site_meanwhile_is_refused_what_is_under_way(sites: Sites) -> None:
    plant = sites.plant
    quinn = plant.actors["quinn"]

    def placed(u: Unit) -> None:
        where = {"site": [sites.home["site"]], "id": quinn.user_id}
        u.conn.execute(text("UPDATE app_user SET site_ids = :site WHERE id = :id"), where)

    plant.act("quinn", at("12:00"), lambda u: u.need("catalog.profiles"))
    plant.act("setup", at("12:00"), placed)
    with pytest.raises(Forbidden, match=r"catalog\.profiles"):
        plant.act("quinn", at("12:01"), lambda u: u.need("catalog.profiles"))
    plant.act("quinn", at("12:01"), lambda u: u.need("hold.lift"))


# --- what a permit of one's own sites is too wide for


@pytest.fixture
def shared(sites: Sites) -> dict[str, int]:
    """A lot of which either site has some, and the hold on all of it."""
    plant, made = sites.plant, dict[str, int]()

    def work(u: Unit) -> None:
        lot = lots.create_lot(u, plant.items["vaccine"], "SHARED")
        made["lot"] = lot.id
        for name, ids in (("near", sites.home), ("far", sites.far)):
            made[name] = lots.receive(u, lot.id, Decimal(10), ids["zone"], code=f"SHARED-{name}").id

    plant.act("setup", at("11:00"), work)
    placed = plant.do(
        "quinn", at("11:10"), lots.place_hold, kind="manual", reason="x", since_at=at("11:10"), **lot(made)
    )
    made["hold"] = next(one.id for one in placed)
    for login, roles in (("quinn", Role.QA), ("wanda", Role.WAREHOUSE)):
        plant.actors[f"{login}.near"] = Actor(
            login, frozenset({roles}), plant.actors[login].user_id, sites=frozenset({sites.home["site"]})
        )
    return made


def lot(made: dict[str, int]) -> dict[str, int]:
    return {"lot_id": made["lot"]}


def test_a_hold_on_a_whole_lot_is_placed_by_one_site_and_lifted_by_somebody_of_all(
    sites: Sites, shared: dict[str, int]
) -> None:
    plant = sites.plant
    with pytest.raises(Forbidden, match="other sites have goods of lot SHARED"):
        plant.do("quinn.near", at("12:00"), lots.lift_hold, shared["hold"], "looked at ours")
    plant.do("quinn", at("12:01"), lots.lift_hold, shared["hold"], "looked at all")
    since = at("12:02")
    placed = plant.do("quinn.near", since, lots.place_hold, kind="manual", reason="y", since_at=since, **lot(shared))
    assert placed, "to hold is never too far"


def test_the_maker_of_a_lot_of_two_sites_is_named_by_somebody_of_both(sites: Sites, shared: dict[str, int]) -> None:
    plant = sites.plant
    with pytest.raises(Forbidden, match="other sites have goods"):
        plant.do("wanda.near", at("12:00"), lots.name_maker, shared["lot"], None)
    plant.do("wanda.near", at("12:00"), lots.name_maker, sites.home["lot"], None)
    plant.do("wanda", at("12:00"), lots.name_maker, shared["lot"], None)


def test_of_an_incident_one_decides_what_one_sees(sites: Sites) -> None:
    """The same cause broke goods of two sites: each assesses its own."""
    plant = sites.plant
    quinn = plant.actors["quinn"]
    plant.actors["quinn.near"] = Actor(
        "quinn", quinn.roles, quinn.user_id, session="session-quinn", sites=frozenset({sites.home["site"]})
    )

    def one_cause(u: Unit) -> None:
        u.get_one(Excursion, sites.far["excursion"]).incident_id = sites.home["incident"]

    plant.act("setup", at("12:00"), one_cause)
    assessed = plant.do("quinn.near", at("12:00"), quality.assess_incident, sites.home["incident"], "a door stood open")
    assert [one.id for one in assessed] == [sites.home["excursion"]]
    states = dict(plant.rows("SELECT id, state FROM excursion"))
    assert (states[sites.home["excursion"]], states[sites.far["excursion"]]) == ("assessed", "ended")
    signing = quality.incident_disposition_signing(sites.home["incident"], [sites.home["excursion"]], "accept", "brief")
    plant.sign("quinn.near", at("12:05"), signing, PASSWORD, login="quinn")
    assert plant.one("SELECT count(*) FROM disposition") == 1


ROUTE = {"name": "everywhere", "events": ["hold"], "steps": [{"after_minutes": 0, "login": "boss"}]}


def test_a_route_of_every_site_is_made_changed_and_withdrawn_by_somebody_of_all(sites: Sites) -> None:
    boss, whole, own = sites.token("boss"), sites.token("whole"), {"site_id": sites.home["site"]}
    refused = sites.client.post(f"{API}/alert-routes", json=ROUTE, headers=boss)
    assert (refused.status_code, refused.json()["id"]) == (403, "alerting.of_all_sites"), refused.text
    mine = sites.client.post(f"{API}/alert-routes", json=ROUTE | own | {"name": "ours"}, headers=boss)
    assert mine.status_code == 201, mine.text
    made = sites.client.post(f"{API}/alert-routes", json=ROUTE, headers=whole)
    assert made.status_code == 201, made.text
    one = f"{API}/alert-routes/{made.json()['id']}"
    read = sites.client.get(one, headers=boss)
    assert read.status_code == 200, "it holds at theirs too, so it is read"
    taken = sites.client.patch(one, json=own | {"version": read.json()["version"]}, headers=boss)
    assert (taken.status_code, taken.json()["id"]) == (403, "alerting.of_all_sites"), taken.text
    gone = sites.client.post(f"{one}/withdraw", json={"reason": "not ours"}, headers=boss)
    assert (gone.status_code, gone.json()["id"]) == (403, "alerting.of_all_sites"), gone.text
    assert sites.client.post(f"{one}/withdraw", json={"reason": "not ours"}, headers=whole).status_code == 200
