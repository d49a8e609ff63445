"""Roles and permits. A permit belongs to the module that asks for it, which declares it in its `permits.py`.

The kernel collects the declarations. What is asked for and declared nowhere, or declared twice, must not start. Default
roles are shipped here; a site composes its own (`roles`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from core.erp.kernel import modules


class Role(StrEnum):
    """Who people are at work: the default roles."""

    PLANT_ENGINEER = "plant_engineer"
    QA = "qa"
    RESPONSIBLE_PERSON = "responsible_person"
    WAREHOUSE = "warehouse"
    LOGISTICS = "logistics"
    BUYER = "buyer"
    SALES = "sales"
    PLANNER = "planner"
    OPERATOR = "operator"
    TESTER = "tester"
    AUDITOR = "auditor"
    """Reads everything and writes nothing."""
    DISPLAY = "display"
    """A screen on a wall: it reads and does nothing else, so its session may be renewed without a person."""
    ADMIN = "admin"
    SUPPLIER = "supplier"
    CUSTOMER = "customer"
    CARRIER = "carrier"
    CONTRACT_WAREHOUSE = "contract_warehouse"


OUTSIDE = frozenset({Role.SUPPLIER, Role.CUSTOMER, Role.CARRIER, Role.CONTRACT_WAREHOUSE})
"""Roles of people of other firms. They hold no permit by default and see only what is their own partner's."""
INSIDE = frozenset(Role) - OUTSIDE
"""Roles of a site's own people, wall displays among them."""
PEOPLE = INSIDE - {Role.DISPLAY}
"""As INSIDE, without wall displays."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What somebody may do or read, and the default roles that may.

    `signing`: its acts are signed, so whoever holds it can free goods. `outside`: a site may give it to a role of
    outside people too, since every read that goes by it has a scope for them. `all_sites`: its acts touch what every
    site works with, so it counts only for whoever belongs to all of them.
    """

    name: str
    roles: frozenset[Role] = frozenset()
    signing: bool = False
    outside: bool = False
    all_sites: bool = False

    @property
    def reads(self) -> bool:
        """Whether it lets somebody read and do nothing."""
        return self.name.endswith(".read")


def permit(name: str, *roles: Role, signing: bool = False, outside: bool = False, all_sites: bool = False) -> Permit:
    """A permit that these default roles hold."""
    return Permit(name, frozenset(roles), signing, outside, all_sites)


PERMITS = (
    # Administrators sign no quality decision (design, rule 6): whoever holds this holds no signing permit.
    permit("user.manage", Role.ADMIN),
    permit("user.approve", Role.ADMIN, Role.QA),
    permit("user.read", Role.ADMIN, Role.QA, Role.AUDITOR),
    permit("audit.read", Role.QA, Role.RESPONSIBLE_PERSON, Role.ADMIN, Role.AUDITOR),
    # its act is signed and frees nothing: no second person need vouch for whoever is given it
    permit("audit.review", Role.QA, Role.AUDITOR, all_sites=True),
    permit("signature.read", *PEOPLE),
    permit("restoration.read", *INSIDE),
    permit("restoration.sign", Role.QA, signing=True, all_sites=True),
)
"""The kernel's own."""

MANAGES_USERS = "user.manage"
"""Whoever may do this makes users: none of them may sign as well."""
APPROVES_USERS = "user.approve"
"""Whoever may do this is the second person whom others wait for."""


class UnknownPermit(ValueError):
    """A permit is asked for that no module declares: the core must not start."""


@cache
def declared() -> Mapping[str, Permit]:
    """Every module's permits by name. Raises ValueError where two declare the same one."""
    found: dict[str, Permit] = {}
    for module in modules.found("permits"):
        for one in module.PERMITS:
            if one.name in found:
                raise ValueError(f"the permit {one.name} is declared twice, the second time by {module.__name__}")
            found[one.name] = one
    return MappingProxyType(found)


def check(asked: Iterable[str]) -> None:
    """Raises UnknownPermit for permits that no module declares."""
    unknown = sorted(set(asked) - set(declared()))
    if unknown:
        raise UnknownPermit(f"no module declares the permit {', '.join(unknown)}")


@cache
def _of_role(role: str) -> frozenset[str]:
    return frozenset(one.name for one in declared().values() if role in one.roles)


def permits_of(roles: Iterable[str]) -> frozenset[str]:
    """Every permit that any of these default roles carries; what a composed role carries, the database says."""
    return frozenset[str]().union(*(_of_role(role) for role in roles))


def signing() -> frozenset[str]:
    """Permits whose acts are signed: who holds one can free goods, so giving it to somebody takes a second person."""
    return frozenset(name for name, one in declared().items() if one.signing)


def of_all_sites() -> frozenset[str]:
    """Permits that count only for whoever belongs to all sites: nobody of some changes what the others work with."""
    return frozenset(name for name, one in declared().items() if one.all_sites)


def guarded() -> frozenset[str]:
    """Permits that nobody gives alone: those that sign, and those by which others get them. Whoever could make an
    approver alone would be their own second person.
    """
    return signing() | {MANAGES_USERS, APPROVES_USERS}


def roles_with(permit: str) -> frozenset[Role]:
    """The default roles that hold the permit."""
    return declared()[permit].roles


def conflicting(permits: Iterable[str]) -> list[str]:
    """Those of the permits that nobody may hold together, in order; none where they go together.

    Whoever makes users could make a signer of themselves: managing users excludes every signing permit.
    """
    held = set(permits)
    signs = held & signing()
    return sorted({MANAGES_USERS, *signs}) if signs and MANAGES_USERS in held else []


def is_display(roles: Iterable[str]) -> bool:
    """Whether somebody with these roles is a wall display and nothing else."""
    return set(roles) == {Role.DISPLAY}
