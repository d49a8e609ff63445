"""Rules of partners, pure: what may be written of one, when a contact is reached, and what a certificate covers."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol, TypedDict
from zoneinfo import ZoneInfo

from babel import Locale

from core.erp.kernel.errors import Invalid
from core.erp.kernel.gs1 import check_digit
from core.erp.kernel.words import Message

GLN_DIGITS = 13
COUNTRIES = frozenset(code for code in map(str, Locale("en").territories) if re.fullmatch("[A-Z]{2}", code))
"""Country codes that there are (CLDR has ISO 3166-1)."""
END_OF_DAY = "24:00"
ROLES = {
    "supplier": Message("partners.role.supplier"),
    "maker": Message("partners.role.maker"),
    "customer": Message("partners.role.customer"),
    "carrier": Message("partners.role.carrier"),
    "contract_warehouse": Message("partners.role.contract_warehouse"),
    "service_firm": Message("partners.role.service_firm"),
}
"""What a partner can be to us, as people say it."""


class OpenHours(TypedDict):
    """Weekdays (1 Monday … 7) with their hours, HH:MM."""

    weekdays: Sequence[int]
    opens: str
    closes: str


class Covering(Protocol):
    """What a certificate says it covers, and when."""

    state: str
    valid_from: date
    valid_until: date
    item_ids: Sequence[int]
    partner_site_ids: Sequence[int]


def check_country(code: str) -> None:
    """Raises Invalid for what is no ISO 3166-1 code."""
    if code not in COUNTRIES:
        raise Invalid("partners.no_country", code=code)


def check_gln(gln: str) -> None:
    """Raises Invalid for a Global Location Number that has not 13 digits, of which the last checks the others."""
    if not gln:
        return
    if len(gln) != GLN_DIGITS or not (gln.isascii() and gln.isdecimal()):
        raise Invalid("partners.gln_digits", gln=gln, digits=GLN_DIGITS)
    if check_digit(gln[:-1]) != int(gln[-1]):
        raise Invalid("partners.gln_check", gln=gln, digit=check_digit(gln[:-1]))


def check_hours(hours: Iterable[OpenHours]) -> None:
    """Raises Invalid where something closes before it opens: hours past midnight are two rows."""
    for row in hours:
        if row["closes"] <= row["opens"]:
            raise Invalid("partners.closes_before_it_opens", opens=row["opens"], closes=row["closes"])


def reached(hours: Sequence[OpenHours], timezone: str, at: datetime) -> bool:
    """Whether somebody with these hours (none: always) can be reached then, by the clock on their own wall."""
    if not hours:
        return True
    there = at.astimezone(ZoneInfo(timezone))
    clock = f"{there:%H:%M}"
    return any(there.isoweekday() in row["weekdays"] and row["opens"] <= clock < row["closes"] for row in hours)


def covers(certificate: Covering, on: date, *, item_id: int | None = None, partner_site_id: int | None = None) -> bool:
    """Whether a certificate speaks for an item and a place on that day: verified, in its days, and of its scope."""
    return (
        certificate.state == "valid"
        and certificate.valid_from <= on <= certificate.valid_until
        and _within(item_id, certificate.item_ids)
        and _within(partner_site_id, certificate.partner_site_ids)
    )


def _within(wanted: int | None, scope: Collection[int]) -> bool:
    return not scope or wanted in scope


def ends(valid_until: date, timezone: str) -> datetime:
    """The instant at which a certificate that is valid through a day is no longer: the next day's beginning there."""
    return datetime.combine(valid_until + timedelta(days=1), time(), ZoneInfo(timezone))
