"""Who may what, and the second person behind it: users, composed roles, conflicts; written by hand."""

from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import BaseModel
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog.model import Site
from core.erp.kernel import passwords
from core.erp.kernel.access import roles, users
from core.erp.kernel.access.users import Place
from core.erp.kernel.errors import Conflict, Forbidden, IllegalMove, Invalid, NotFound, Refused
from core.erp.kernel.http import DoorKeeper
from core.erp.kernel.unit import Actor, Unit, unit
from tests.services.access_world import SYSTEM, Company


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


@pytest.fixture
def company(engine: Engine) -> Company:
    """Two administrators, a QA, a storekeeper."""
    made = Company(engine)
    for login, role in (("ada", "admin"), ("bea", "admin"), ("quinn", "qa"), ("wanda", "warehouse")):
        made.add(login, role)
    return made


def signer_messages(company: Company) -> list[tuple[str, list[str], list[str]]]:
    with company.engine.connect() as conn:
        rows = conn.execute(text("SELECT payload FROM outbox WHERE topic = 'user.signer' ORDER BY id")).scalars()
        return [(one["act"], one["roles"], one["proposed_roles"]) for one in rows if one["by"] != SYSTEM.login]


# --- users of a signing permit


def test_an_administrator_alone_makes_nobody_who_signs(company: Company) -> None:
    new = company.add("nora", "qa", "warehouse", by="ada")
    assert company.actor("nora").roles == {"warehouse"}
    assert not company.actor("nora").may("excursion.disposition")
    with pytest.raises(Forbidden, match="second person"):
        company.does("ada", lambda u: users.approve_user(u, new))
    company.does("bea", lambda u: users.approve_user(u, new))
    assert company.actor("nora").may("excursion.disposition")
    assert signer_messages(company) == [("made", ["warehouse"], ["qa"]), ("approved", ["qa", "warehouse"], [])]


def test_nobody_approves_their_own_roles(company: Company) -> None:
    quinn = company.id_of("quinn")
    company.does("ada", lambda u: users.change_user(u, quinn, roles=["qa", "responsible_person"]))
    assert company.actor("quinn").roles == {"qa"}
    with pytest.raises(Forbidden, match="second person"):
        company.does("quinn", lambda u: users.approve_user(u, quinn))
    company.does("bea", lambda u: users.refuse_user(u, quinn, reason="not trained"))
    with pytest.raises(Refused, match="no roles of quinn wait"):
        company.does("bea", lambda u: users.approve_user(u, quinn))


@pytest.mark.parametrize("change", [{"password": "given by ada herself"}, {"active": False}])
def test_who_is_given_a_signers_password_or_brings_one_back_is_no_signer_alone(
    company: Company, change: dict[str, Any]
) -> None:
    quinn = company.id_of("quinn")
    company.does("ada", lambda u: users.change_user(u, quinn, **change))
    company.does("ada", lambda u: users.change_user(u, quinn, active=True))
    with company.engine.connect() as conn:
        row = conn.execute(text("SELECT roles, proposed_roles, proposed_by FROM app_user WHERE login = 'quinn'")).one()
    assert tuple(row) == ([], ["qa"], "ada")
    company.does("bea", lambda u: users.approve_user(u, quinn))


def test_the_command_line_grants_at_once(company: Company) -> None:
    company.add("rory", "responsible_person")
    assert company.actor("rory").may("batch.release")


def test_what_signs_nothing_counts_at_once(company: Company) -> None:
    company.add("paul", "planner", by="ada")
    assert company.actor("paul").may("production.plan")


# --- composed roles


def test_a_composed_role_counts_once_a_second_person_has_approved_it(company: Company) -> None:
    role = company.role("night_keeper", "stock.read", "stock.move")
    with pytest.raises(Invalid, match="unknown role night_keeper"):
        company.add("nils", "night_keeper", by="ada")
    with pytest.raises(Forbidden, match="second person"):
        company.does("ada", lambda u: roles.approve_role(u, role))
    company.does("quinn", lambda u: roles.approve_role(u, role))
    company.add("nils", "night_keeper", by="ada")
    assert company.actor("nils").permits == {"stock.read", "stock.move"}
    with pytest.raises(IllegalMove):
        company.does("bea", lambda u: roles.approve_role(u, role))


def test_a_role_is_composed_anew_while_its_holder_acts(company: Company) -> None:
    company.approved("night_keeper", "stock.read", "stock.move")
    company.add("nils", "night_keeper", by="ada")
    acting = company.actor("nils")
    second = company.role("night_keeper", "stock.read", "hold.place")
    assert company.actor("nils").may("stock.move"), "a draft counts for nobody"
    with unit(company.engine, acting, company.events) as u:
        u.need("stock.move")
        company.does("bea", lambda other: roles.approve_role(other, second))
        u.lock(text("SELECT 1"))  # a lock that it has waited for
        with pytest.raises(Forbidden):
            u.need("stock.move")
    assert company.actor("nils").permits == {"stock.read", "hold.place"}
    with company.engine.connect() as conn:
        rows = conn.execute(text("SELECT edition, state FROM role ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [(1, "withdrawn"), (2, "approved")]


def test_a_withdrawn_permit_is_refused_to_what_is_under_way(company: Company) -> None:
    role = company.approved("night_keeper", "stock.read", "stock.move")
    company.add("nils", "night_keeper", by="ada")
    before = company.actor("nils")
    company.does("ada", lambda u: roles.withdraw_role(u, role, reason="audit finding 7"))
    with unit(company.engine, before, company.events) as u, pytest.raises(Forbidden):
        u.need("stock.move")
    assert company.actor("nils").permits == frozenset()
    with pytest.raises(Invalid, match="reason"):
        company.does("ada", lambda u: roles.withdraw_role(u, company.role("other", "stock.read"), reason=" "))


class Done(BaseModel):
    """What an act of these tests answers."""

    done: bool = True


def door_of(company: Company, actor: Actor) -> DoorKeeper:
    """The door of a route that wants `stock.move`, asked with an idempotency key."""
    return DoorKeeper(
        company.engine,
        company.engine,
        company.events,
        None,  # type: ignore[arg-type]  # nothing is signed here
        actor,
        nullcontext,
        "key",
        b"request",
        ("stock.move",),
    )


def test_what_a_withdrawn_permit_began_is_undone_and_its_refusal_not_told(company: Company) -> None:
    """Asked once in a request, behind all its locks: of what was withdrawn meanwhile nothing is left, said or kept."""
    role = company.approved("night_keeper", "stock.read", "stock.move")
    company.add("nils", "night_keeper", by="ada")
    door = door_of(company, company.actor("nils"))

    def withdrawn(u: Unit, *, refused: bool) -> Done:
        u.audit("nothing.done", "nothing", 1)
        company.does("ada", lambda other: roles.withdraw_role(other, role, reason="audit finding 7"))
        u.lock(text("SELECT 1"))
        if refused:
            raise Refused("kernel.sign_in_first")
        return Done()

    for refused in (False, True):
        with pytest.raises(Forbidden):
            door.post(partial(withdrawn, refused=refused))
        role = company.approved("night_keeper", "stock.read", "stock.move")
    with company.engine.connect() as conn:
        kept = [
            conn.scalar(text(f"SELECT count(*) FROM {what}"))
            for what in ("idempotency_key", "audit WHERE entity = 'nothing'")
        ]
    assert kept == [0, 0]
    assert door.post(lambda _: Done()).status_code == 201


def test_route_and_services_ask_for_permits_once_behind_the_last_lock(company: Company) -> None:
    company.approved("night_keeper", "stock.read", "stock.move")
    company.add("nils", "night_keeper", by="ada")
    asked: list[str] = []

    def work(u: Unit) -> Done:
        for _ in range(3):
            u.need("stock.move")
            u.lock(text("SELECT 1 AS locked"))
        u.need("stock.read")
        return Done()

    def count(*call: Any) -> None:
        asked.append(call[2])

    door = door_of(company, company.actor("nils"))
    event.listen(company.engine, "before_cursor_execute", count)
    try:
        door.post(work)
    finally:
        event.remove(company.engine, "before_cursor_execute", count)
    places = [place for place, statement in enumerate(asked) if "FROM app_user" in statement]
    locks = [place for place, statement in enumerate(asked) if "AS locked" in statement]
    assert len(places) == 1
    assert places[0] > max(locks)


def test_whoever_takes_a_permit_from_themselves_has_held_it_until_then(company: Company) -> None:
    company.approved("night_keeper", "stock.read", "stock.move")
    company.add("nils", "night_keeper", by="ada")
    nils = company.id_of("nils")

    def leaves(u: Unit) -> Done:
        u.conn.execute(text("UPDATE app_user SET roles = '{}' WHERE id = :id"), {"id": nils})
        return Done()

    assert door_of(company, company.actor("nils")).post(leaves).status_code == 201
    assert company.actor("nils").permits == frozenset()


def test_whoever_is_sent_away_does_nothing_more(company: Company) -> None:
    before = company.actor("wanda")
    company.does("ada", lambda u: users.change_user(u, before.user_id or 0, active=False))
    with unit(company.engine, before, company.events) as u, pytest.raises(Forbidden):
        u.need("stock.move")


def test_nobody_approves_a_role_they_have(company: Company) -> None:
    company.approved("approver", "user.approve", "user.read")
    company.does("ada", lambda u: users.change_user(u, company.id_of("wanda"), roles=["warehouse", "approver"]))
    company.does("bea", lambda u: users.approve_user(u, company.id_of("wanda")))
    more = company.role("approver", "user.approve", "batch.release")
    with pytest.raises(Forbidden, match="nobody approves what they gain by"):
        company.does("wanda", lambda u: roles.approve_role(u, more))
    company.does("bea", lambda u: roles.approve_role(u, more))
    assert signer_messages(company) == [
        ("changed", ["warehouse"], ["approver"]),
        ("approved", ["approver", "warehouse"], []),
        ("role", ["approver", "warehouse"], []),
    ], "who approves users is told of, and a signer by a role too"


def test_a_draft_is_changed_and_what_is_approved_stays(company: Company) -> None:
    role = company.role("night_keeper", "stock.read")
    with pytest.raises(Conflict, match="draft already"):
        company.role("night_keeper", "stock.move")
    company.does("ada", lambda u: roles.change_role(u, role, permits=["stock.move", "stock.read"]))
    company.does("bea", lambda u: roles.approve_role(u, role))
    for change in ("permits = '{batch.release}'", "name = 'other'", "outside = true", "state = 'draft'", "code = 'x'"):
        with pytest.raises(DBAPIError), company.engine.begin() as conn:
            conn.execute(text(f"UPDATE role SET {change}"))
    with pytest.raises(DBAPIError), company.engine.begin() as conn:
        conn.execute(text("DELETE FROM role"))


@pytest.mark.parametrize(
    ("permits", "why"),
    [
        ([], "needs a permit"),
        (["stock.read", "stock.fly"], r"no permit stock\.fly"),
        (["user.manage", "batch.release"], "have these together"),
        (["user.manage", "logger.waive", "stock.read"], "have these together"),
    ],
)
def test_what_nobody_may_compose(company: Company, permits: list[str], why: str) -> None:
    with pytest.raises((Invalid, Refused), match=why):
        company.role("strange", *permits)


def test_a_default_role_is_not_composed(company: Company) -> None:
    with pytest.raises(Conflict, match="default role"):
        company.role("warehouse", "stock.read")


# --- permits that exclude each other


def test_nobody_manages_users_and_signs(company: Company) -> None:
    company.approved("people", "user.manage", "user.read")
    with pytest.raises(Refused, match="have these together"):
        company.add("nora", "admin", "qa", by="ada")
    with pytest.raises(Refused, match="have these together"):
        company.add("nora", "admin", "qa")
    with pytest.raises(Refused, match="have these together"):
        company.does("ada", lambda u: users.change_user(u, company.id_of("quinn"), roles=["qa", "people"]))
    company.approved("helper", "stock.read")
    company.does("ada", lambda u: users.change_user(u, company.id_of("quinn"), roles=["qa", "helper"]))
    more = company.role("helper", "user.manage")
    with pytest.raises(Refused, match="quinn would have what nobody may have together"):
        company.does("bea", lambda u: roles.approve_role(u, more))


def test_two_proposals_do_not_add_up_to_what_nobody_may_have(company: Company) -> None:
    company.approved("helper", "stock.read")
    nora = company.add("nora", "qa", "helper", by="ada")
    more = company.role("helper", "user.manage")
    company.does("bea", lambda u: roles.approve_role(u, more))
    with pytest.raises(Refused, match="have these together"):
        company.does("bea", lambda u: users.approve_user(u, nora))


def test_the_database_takes_no_signature_of_who_manages_users(company: Company) -> None:
    company.approved("people", "user.manage", "user.read")
    company.add("petra", "people")
    for login in ("ada", "petra"):
        with pytest.raises(DBAPIError, match="administrators sign"), company.engine.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO signature (user_id, name, at, meaning, entity, entity_id, record_hash)"
                    " VALUES (:id, 'x', now(), 'accepted', 'disposition', '1', 'x')"
                ),
                {"id": company.id_of(login)},
            )


def test_somebody_manages_users_always(company: Company) -> None:
    people = company.approved("people", "user.manage", "user.read", "user.approve")
    company.add("petra", "people")
    for admin in (company.id_of("ada"), company.id_of("bea")):
        company.does("petra", lambda u, admin=admin: users.change_user(u, admin, active=False))  # type: ignore[misc]  # the loop's value
    with pytest.raises(Refused, match="nobody else could manage users"):
        company.does("petra", lambda u: users.change_user(u, company.id_of("petra"), roles=["warehouse"]))
    with pytest.raises(Refused, match="nobody else could manage users"):
        company.does("petra", lambda u: roles.withdraw_role(u, people, reason="no more"))


# --- outside, and sites


def test_outside_people_have_a_partner_and_see_nothing(company: Company) -> None:
    for roles_, place, why in (
        (("carrier",), Place(), "needs the partner"),
        (("carrier", "warehouse"), Place(partner_id=7), "of one kind"),
        (("warehouse",), Place(partner_id=7), "only people with an outside role"),
    ):
        with pytest.raises(Invalid, match=why):
            company.add("cem", *roles_, by="ada", place=place)
    company.add("cem", "carrier", by="ada", place=Place(partner_id=7))
    cem = company.actor("cem")
    assert (cem.permits, cem.outside, cem.partner_id) == (frozenset(), True, 7)
    with pytest.raises(Invalid, match="other firms"):
        company.role("driver", "shipment.read", outside=True)


def test_a_site_that_there_is_not_is_refused(company: Company) -> None:
    with pytest.raises(Invalid, match="site"):
        company.add("sam", "warehouse", by="ada", place=Place(site_ids=(99,)))


def test_an_administrator_of_some_sites_places_nobody_beyond_them(company: Company) -> None:
    with unit(company.engine, SYSTEM, company.events) as u:
        u.session.add_all([Site(code="A", name="A"), Site(code="B", name="B")])
    company.add("amy", "admin", place=Place(site_ids=(1,)))
    assert company.actor("amy").sites == frozenset({1})
    for sites in ((), (2,), (1, 2)):
        with pytest.raises(Forbidden, match="within these"):
            company.add("sam", "warehouse", by="amy", place=Place(site_ids=sites))
    company.add("sam", "warehouse", by="amy", place=Place(site_ids=(1,)))


def test_who_is_not_there_is_not_found(company: Company) -> None:
    for act in (users.approve_user, users.change_user, roles.approve_role):
        with pytest.raises(NotFound):
            company.does("ada", lambda u, act=act: act(u, 999))  # type: ignore[misc]  # the loop's value


def test_a_language_is_ones_own_choice(company: Company) -> None:
    company.does("wanda", lambda u: users.choose_language(u, "zh"))
    assert company.actor("wanda").language == "zh"
