"""Whether a logger's report is as its device wrote it: the signature at its end, and the certificate of its key.

A report ends with `Cert:` (the key of the device's lot), `Sig Cert:` (the maker's signature of that section) and `Sig:`
(the device's signature of all lines before). Found out on published reports of a Fridge-tag 2, a Fridge-tag 2 L and a
Q-tag CLm doc LR: ECDSA on P-256 over SHA-256 of the lines with CRLF, where the key's x and y, the signature's r and s
and the hash are all written with their least byte first. The maker's key is in none of them; it is the one key under
which the certificates of four lots verify (1792_20_08, 1794_20_08, 1796_20_11, 26102012), computed from their
signatures.
"""

from collections.abc import Sequence
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

_MAKER = (
    0x0AA2BE1B04268B874FC00AAC193A889352F57EED2A46D8C7FC98111BDCAF1966,
    0xE3BE1648B9AE1A7B7E5B9AFC7C4B48FD003C505CB6AF749FABAAC0DA180CF668,
)
_HALF = 32
"""Bytes of one coordinate."""


class Authenticity(StrEnum):
    """What the signature says of the report."""

    AUTHENTIC = "authentic"
    """As the device wrote it, and the device's key is certified by the maker's."""
    UNCERTIFIED = "uncertified"
    """As somebody wrote it who holds the key in the report; the key is not certified by the maker's."""
    ALTERED = "altered"
    """The signature is not of this text: something in it was changed since."""
    UNCHECKED = "unchecked"
    """There is a signature, but not of the form that is known."""
    UNSIGNED = "unsigned"


def authenticity_of(lines: Sequence[str]) -> Authenticity:
    """What the signature says of a report of these lines, whatever ended them and however they were encoded."""
    signed = _last(lines, "Sig:")
    if signed is None:
        return Authenticity.UNSIGNED
    cert, cert_signed = _last(lines, "Cert:"), _last(lines, "Sig Cert:")
    if cert is None or cert_signed is None or not cert < cert_signed < signed:
        return Authenticity.UNCHECKED
    key_line = next((line for line in lines[cert:cert_signed] if line.strip().startswith("Public Key:")), "")
    key, signature, certified = (_bytes(line) for line in (key_line, lines[signed], lines[cert_signed]))
    if key is None or signature is None or certified is None:
        return Authenticity.UNCHECKED
    point = int.from_bytes(key[:_HALF], "little"), int.from_bytes(key[_HALF:], "little")
    try:
        fits = _verified(point, signature, lines[:signed])
    except ValueError:
        return Authenticity.UNCHECKED  # no point of the curve
    if not fits:
        return Authenticity.ALTERED
    return Authenticity.AUTHENTIC if _verified(_MAKER, certified, lines[cert:cert_signed]) else Authenticity.UNCERTIFIED


def _last(lines: Sequence[str], start: str) -> int | None:
    return next((index for index in reversed(range(len(lines))) if lines[index].startswith(start)), None)


def _bytes(line: str) -> bytes | None:
    """The 64 bytes that a line gives in hexadecimal; None if it does not."""
    try:
        found = bytes.fromhex(line.partition(":")[2])
    except ValueError:
        return None
    return found if len(found) == 2 * _HALF else None


def _verified(point: tuple[int, int], signature: bytes, lines: Sequence[str]) -> bool:
    """Whether the key signed these lines. Raises ValueError for a point that is not on the curve."""
    key = ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
    pair = encode_dss_signature(
        int.from_bytes(signature[:_HALF], "little"), int.from_bytes(signature[_HALF:], "little")
    )
    text = "".join(f"{line}\r\n" for line in lines)
    for encoding in ("utf-8", "latin-1"):
        digest = hashes.Hash(hashes.SHA256())
        digest.update(text.encode(encoding, "replace"))
        try:
            key.verify(pair, digest.finalize()[::-1], ec.ECDSA(Prehashed(hashes.SHA256())))
        except InvalidSignature:
            continue
        return True
    return False
