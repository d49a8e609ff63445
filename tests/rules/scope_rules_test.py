"""Scopes as conditions: what they say of whom, written by hand, by the SQL they become."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.dialects import postgresql

from core.erp.kernel import permits
from core.erp.kernel.permits import Role, UnknownPermit, permits_of
from core.erp.kernel.scope import Scope, all_of, any_of, everything, inside, own_partner, scoped, sees, sites, through
from core.erp.kernel.unit import Actor, system

GOODS = Table("goods", MetaData(), *(Column(name, Integer) for name in ("id", "site_id", "partner_id")))
NOTES = Table("notes", MetaData(), *(Column(name, Integer) for name in ("id", "goods_id")))

EVERYWHERE = Actor("ann", frozenset({Role.WAREHOUSE}))
AT_TWO = Actor("bob", frozenset({Role.WAREHOUSE}), sites=frozenset({2}))
CARRIER = Actor("cem", frozenset({Role.CARRIER}), partner_id=7)
LOST = Actor("dot", frozenset({Role.SUPPLIER}))
SITES, OWN = sites(GOODS.c.site_id), own_partner(GOODS.c.partner_id)
NOTES_OF_GOODS = through(NOTES.c.goods_id, GOODS.c.id, SITES)
GOODS_NOTED = through(NOTES.c.goods_id, GOODS.c.id, SITES, empty=False)
OWN_NOTES = through(NOTES.c.goods_id, GOODS.c.id, OWN)


def sql(scope: Scope, actor: Actor, rows: Table = GOODS) -> str | None:
    condition = scope(actor)
    if condition is None:
        return None
    asked = select(rows.c.id).where(condition)
    compiled = asked.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects have no annotations
    return " ".join(str(compiled).split()).partition(" WHERE ")[2]


GOODS_OF_ROW = "SELECT goods.id FROM goods WHERE goods.id = notes.goods_id"
ROW_BY_ROW = "LIMIT ALL OFFSET 0"
SITE_TWO = "goods.site_id = 2 OR goods.site_id IS NULL"


@pytest.mark.parametrize(
    ("scope", "actor", "expected"),
    [
        (everything, EVERYWHERE, None),
        (everything, AT_TWO, None),
        (everything, CARRIER, "false"),
        (SITES, EVERYWHERE, None),
        (SITES, AT_TWO, SITE_TWO),
        (SITES, CARRIER, "false"),
        (SITES, LOST, "false"),
        (SITES, system("judge"), None),
        (OWN, EVERYWHERE, None),
        (OWN, AT_TWO, None),
        (OWN, CARRIER, "goods.partner_id = 7"),
        (OWN, LOST, "false"),
        (OWN, system("judge"), None),
        (inside(lambda _: None), CARRIER, "false"),
        (inside(OWN), CARRIER, "false"),
        (all_of(SITES, OWN), AT_TWO, SITE_TWO),
        (all_of(SITES, OWN), EVERYWHERE, None),
        (all_of(SITES, OWN), CARRIER, "false"),
        (any_of(SITES, OWN), EVERYWHERE, None),
        (any_of(SITES, OWN), CARRIER, "goods.partner_id = 7"),
        (any_of(SITES), AT_TWO, SITE_TWO),
        (any_of(), EVERYWHERE, "false"),
    ],
)
def test_a_scope_says(scope: Scope, actor: Actor, expected: str | None) -> None:
    assert sql(scope, actor) == expected


@pytest.mark.parametrize(
    ("scope", "actor", "expected"),
    [
        (NOTES_OF_GOODS, EVERYWHERE, None),
        (
            NOTES_OF_GOODS,
            AT_TWO,
            f"(EXISTS ({GOODS_OF_ROW} AND ({SITE_TWO}) {ROW_BY_ROW})) OR notes.goods_id IS NULL",
        ),
        (GOODS_NOTED, AT_TWO, f"EXISTS ({GOODS_OF_ROW} AND ({SITE_TWO}) {ROW_BY_ROW})"),
        (OWN_NOTES, CARRIER, f"EXISTS ({GOODS_OF_ROW} AND goods.partner_id = 7 {ROW_BY_ROW})"),
        (OWN_NOTES, LOST, f"EXISTS (SELECT goods.id FROM goods WHERE false {ROW_BY_ROW})"),
    ],
)
def test_a_scope_through_another_is_looked_up_row_by_row(scope: Scope, actor: Actor, expected: str | None) -> None:
    assert sql(scope, actor, NOTES) == expected


def test_a_statement_gets_the_condition_once() -> None:
    assert "WHERE" not in str(scoped(select(GOODS), SITES, EVERYWHERE))
    assert "WHERE goods.site_id =" in str(scoped(select(GOODS), SITES, AT_TWO))
    assert str(sees(SITES, EVERYWHERE)) == "true"


OUTSIDE = (Role.SUPPLIER, Role.CUSTOMER, Role.CARRIER, Role.CONTRACT_WAREHOUSE)


@pytest.mark.parametrize("role", OUTSIDE)
def test_outside_people_hold_no_permit_by_default(role: Role) -> None:
    assert permits_of({role}) == frozenset()
    assert Actor("x", frozenset({role})).outside


def test_an_auditor_reads_all_and_writes_nothing_but_reviews_of_the_trail() -> None:
    held = permits_of({Role.AUDITOR})
    assert "audit.review" in held
    held -= {"audit.review"}
    assert {name for name in permits.declared() if name.endswith(".read")} <= held
    assert all(permits.declared()[name].reads for name in held)


def test_a_permit_nobody_declares_or_two_declare_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownPermit, match=r"stock\.fly"):
        permits.check(["stock.read", "stock.fly"])
    permits.declared.cache_clear()
    with monkeypatch.context() as patched:
        from core.erp.custody import permits as custody

        patched.setattr(custody, "PERMITS", (*custody.PERMITS, permits.permit("stock.read")))
        with pytest.raises(ValueError, match="twice"):
            permits.declared()
    permits.declared.cache_clear()
    assert "stock.read" in permits.declared()


def test_a_one_time_password_holds_nothing() -> None:
    assert Actor("x", frozenset({Role.QA}), one_time=True).permits == frozenset()
    assert not Actor("x", frozenset({Role.QA}), one_time=True).may("stock.read")
