"""Rules of shipments, pure: SSCC numbers, and what a journey asks of each kind of shipment."""

from core.erp.kernel.errors import Invalid
from core.erp.kernel.gs1 import check_digit

SSCC_DIGITS = 18
OPEN = ("planned", "picked", "dispatched", "in_transit", "arrived")
"""States in which a hold on its goods stops a shipment."""

PURPOSE = {"sale": "sale", "transfer": "use", "inbound": "quarantine_transfer"}
"""What its goods are taken for, by the shipment's kind (lots.rules.POLICY says what stands against that)."""


def sscc(extension: int, company_prefix: str, serial: int) -> str:
    """An SSCC: extension digit, GS1 company prefix, serial reference, check digit; 18 digits.

    Raises Invalid for an extension that is no digit, a prefix that is not 7 to 10 digits, or a serial too long.
    """
    room = SSCC_DIGITS - 2 - len(company_prefix)
    shortest, longest = 7, 10
    if not company_prefix.isdecimal() or not shortest <= len(company_prefix) <= longest:
        raise Invalid("shipments.company_prefix", given=company_prefix)
    if extension not in range(10) or serial < 0 or len(str(serial)) > room:
        raise Invalid("shipments.no_sscc", extension=extension, prefix=company_prefix, serial=serial)
    body = f"{extension}{company_prefix}{serial:0{room}d}"
    return f"{body}{check_digit(body)}"


def checked_sscc(text: str) -> str:
    """The SSCC, without the application identifier (00) if it stood before it. Raises Invalid (length, check digit)."""
    digits = text.strip().replace(" ", "").removeprefix("(00)")
    if len(digits) == SSCC_DIGITS + 2 and digits.startswith("00"):
        digits = digits[2:]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) != SSCC_DIGITS:
        raise Invalid("shipments.sscc_digits", digits=SSCC_DIGITS, given=text)
    if check_digit(digits[:-1]) != int(digits[-1]):
        raise Invalid("shipments.sscc_check_digit", sscc=digits, digit=str(check_digit(digits[:-1])))
    return digits
