"""What one administrator does alone, or one of one site: nobody is a second person to whom they made, nor acts beyond
their own sites. Written by hand.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, text

from core.erp.catalog.model import Site
from core.erp.kernel import passwords
from core.erp.kernel.access import roles, users
from core.erp.kernel.access.users import Place
from core.erp.kernel.errors import Forbidden, Refused
from core.erp.kernel.model import User
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.unit import unit
from tests.services.access_world import SYSTEM, Company

ONE_TIME = "given by an administrator"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


@pytest.fixture
def company(engine: Engine) -> Company:
    """Made at the command line: two administrators, a QA. Two sites, and an administrator of each."""
    made = Company(engine)
    for login, role in (("ada", "admin"), ("bea", "admin"), ("quinn", "qa")):
        made.add(login, role)
    with unit(engine, SYSTEM, made.events) as u:
        u.session.add_all([Site(code="A", name="A"), Site(code="B", name="B")])
    for login, site in (("amy", 1), ("ben", 2)):
        made.add(login, "admin", place=Place(site_ids=(site,)))
    return made


def approves(company: Company, login: str, whom: str) -> None:
    user = _id(company, whom)
    company.does(login, lambda u: users.approve_user(u, user))


def changes(company: Company, login: str, whom: str, **change: Any) -> None:
    user = _id(company, whom)
    company.does(login, lambda u: users.change_user(u, user, **change))


def _id(company: Company, login: str) -> int:
    with company.engine.connect() as conn:
        return int(conn.scalar(text("SELECT id FROM app_user WHERE login = :login"), {"login": login}) or 0)


# --- the second person


@pytest.mark.parametrize("role", ["admin", "qa"])
def test_nobody_makes_their_own_second_person(company: Company, role: str) -> None:
    company.add("sock", role, by="ada")
    assert company.actor("sock").permits == frozenset()
    company.add("sockqa", "qa", by="ada")
    for login in ("ada", "sock"):
        with pytest.raises(Forbidden):
            approves(company, login, "sockqa")
    assert not company.actor("sockqa").may("excursion.disposition")


@pytest.mark.parametrize("permit", ["user.manage", "user.approve"])
def test_a_composed_role_that_manages_or_approves_users_waits_too(company: Company, permit: str) -> None:
    company.approved("people", permit)
    company.add("sock", "people", by="ada")
    assert company.actor("sock").permits == frozenset()
    approves(company, "bea", "sock")
    assert company.actor("sock").may(permit)


def test_who_was_made_by_the_proposer_approves_nothing_of_theirs(company: Company) -> None:
    company.add("carl", "admin", by="ada")
    approves(company, "bea", "carl")
    company.add("nora", "qa", by="ada")
    with pytest.raises(Forbidden, match="carl is no second person to ada"):
        approves(company, "carl", "nora")
    approves(company, "quinn", "nora")


def test_who_was_approved_by_the_proposer_approves_nothing_of_theirs(company: Company) -> None:
    company.add("carl", "admin", by="bea")
    approves(company, "ada", "carl")
    company.add("nora", "qa", by="ada")
    with pytest.raises(Forbidden, match="carl is no second person to ada"):
        approves(company, "carl", "nora")


def test_who_gave_the_approver_a_password_could_be_the_approver(company: Company) -> None:
    changes(company, "ada", "quinn", password=ONE_TIME)
    approves(company, "bea", "quinn")
    company.add("nora", "qa", by="ada")
    with pytest.raises(Forbidden, match="quinn is no second person to ada"):
        approves(company, "quinn", "nora")


def test_who_gave_the_proposer_a_password_could_be_the_proposer(company: Company) -> None:
    changes(company, "ada", "bea", password=ONE_TIME)
    approves(company, "quinn", "bea")
    company.add("nora", "qa", by="bea")
    with pytest.raises(Forbidden, match="ada is no second person to bea"):
        approves(company, "ada", "nora")


def test_who_made_a_user_is_no_second_person_for_it_whoever_proposes(company: Company) -> None:
    company.add("nora", "warehouse", by="ada")
    changes(company, "bea", "nora", roles=["warehouse", "qa"])
    with pytest.raises(Forbidden, match="ada has made that user"):
        approves(company, "ada", "nora")
    approves(company, "quinn", "nora")


def test_a_role_is_approved_by_who_is_independent_of_its_composer(company: Company) -> None:
    company.add("carl", "admin", by="ada")
    approves(company, "bea", "carl")
    role = company.role("helper", "batch.release")
    with pytest.raises(Forbidden, match="carl is no second person to ada"):
        company.does("carl", lambda u: roles.approve_role(u, role))
    company.does("bea", lambda u: roles.approve_role(u, role))


def test_an_administrator_let_in_again_waits(company: Company) -> None:
    changes(company, "ada", "bea", active=False)
    changes(company, "ada", "bea", active=True)
    assert company.actor("bea").permits == frozenset()


def test_the_only_administrator_does_not_lose_the_role_by_a_password(company: Company) -> None:
    for login in ("bea", "amy", "ben"):
        changes(company, "ada", login, active=False)
    with pytest.raises(Refused, match="nobody else could manage users"):
        changes(company, "ada", "ada", password=ONE_TIME)


def test_the_machine_approves_where_nobody_else_can_and_frees_from_what_bound(company: Company) -> None:
    changes(company, "ada", "quinn", password=ONE_TIME)
    with unit(company.engine, SYSTEM, company.events) as u:
        users.approve_user(u, _id(company, "quinn"))
    company.add("nora", "qa", by="ada")
    approves(company, "quinn", "nora")
    assert company.actor("nora").may("excursion.disposition")


# --- beyond one's own sites


@pytest.mark.parametrize("whom", ["ada", "ben", "both", "cem"])
@pytest.mark.parametrize(
    "change",
    [{"password": ONE_TIME}, {"active": False}, {"roles": ["auditor"]}, {"place": Place(site_ids=(1,))}],
    ids=["password", "active", "roles", "place"],
)
def test_an_administrator_of_one_site_changes_nobody_beyond_it(
    company: Company, whom: str, change: dict[str, Any]
) -> None:
    company.add("both", "warehouse", place=Place(site_ids=(1, 2)))
    company.add("cem", "carrier", place=Place(partner_id=7))
    with pytest.raises(Forbidden, match="to others or to all"):
        changes(company, "amy", whom, **change)


def test_an_administrator_of_one_site_changes_its_own_people(company: Company) -> None:
    company.add("sam", "warehouse", by="amy", place=Place(site_ids=(1,)))
    changes(company, "amy", "sam", password=ONE_TIME, roles=["planner"])
    assert company.actor("sam").roles == {"planner"}


def test_an_approver_of_one_site_approves_and_refuses_only_there(company: Company) -> None:
    company.add("quentin", "qa", place=Place(site_ids=(1,)))
    for login, site_ids in (("far", (2,)), ("all", ()), ("near", (1,))):
        company.add(login, "qa", by="ada", place=Place(site_ids=site_ids))
    for user in (_id(company, "far"), _id(company, "all")):
        for act in (partial(users.approve_user, user_id=user), partial(users.refuse_user, user_id=user, reason="no")):
            with pytest.raises(Forbidden, match="to others or to all"):
                company.does("quentin", act)
    approves(company, "quentin", "near")


def test_an_administrator_of_one_site_ends_no_session_beyond_it(company: Company) -> None:
    company.add("sam", "warehouse", by="amy", place=Place(site_ids=(1,)))
    for login in ("ada", "sam"):
        with company.engine.connect() as conn:
            row = conn.execute(text("SELECT * FROM app_user WHERE login = :login"), {"login": login}).one()
        sessions.begin(company.engine, User(**row._mapping), datetime.now(UTC), "here")
    with pytest.raises(Forbidden, match="to others or to all"):
        company.does("amy", lambda u: sessions.end_for(u, 1, reason="left open"))
    company.does("amy", lambda u: sessions.end_for(u, 2, reason="left open"))


def test_roles_count_at_every_site_so_nobody_of_one_makes_them(company: Company) -> None:
    with pytest.raises(Forbidden, match="roles count at all"):
        company.role("helper", "stock.read", by="amy")
    role = company.role("helper", "stock.read")
    for act in (
        lambda u: roles.approve_role(u, role),
        lambda u: roles.change_role(u, role, name="other"),
        lambda u: roles.withdraw_role(u, role, reason="no"),
    ):
        with pytest.raises(Forbidden, match="roles count at all"):
            company.does("amy", act)
