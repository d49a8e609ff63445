"""A report's signature: as the device wrote it, by another key, changed since, not of the known form."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from typer.testing import CliRunner

from core.telemetry.readers.signature import Authenticity
from core.telemetry.readers.text import decode
from lotwise.importing import app
from tests.rules.logger_reports import SIGNED, configuration, day, history, log, parse_fridgetag, report

SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fridgetag-2l_130500109088.txt"
absent = pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is absent")
KEY = ec.generate_private_key(ec.SECP256R1())


def _hex(first: int, second: int) -> str:
    return (first.to_bytes(32, "little") + second.to_bytes(32, "little")).hex()


def _signature(text: str) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(text.replace("\n", "\r\n").encode())
    return _hex(*decode_dss_signature(KEY.sign(digest.finalize()[::-1], ec.ECDSA(Prehashed(hashes.SHA256())))))


def signed_by_somebody() -> str:
    """A report that fits its signature, by a key that no maker certifies."""
    body = report(configuration(), history(day(1, "2024-03-05")), log([5.0] * 288))
    numbers = KEY.public_key().public_numbers()
    cert = f"Cert:\n Vers: 1.0\n Issuer: somebody\n Public Key: {_hex(numbers.x, numbers.y)}\n"
    body += f"{cert}Sig Cert: {_signature(cert)}\n"
    return f"{body}Sig: {_signature(body)}\n"


@absent
def test_the_sample_is_as_its_device_wrote_it() -> None:
    whole = decode(SAMPLE.read_bytes())
    for text in (whole, whole.replace("\r\n", "\n"), "\ufeff" + whole):
        assert parse_fridgetag(text.removeprefix("\ufeff")).authenticity is Authenticity.AUTHENTIC


@absent
@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("\t2022-05-12 14:01\t9.6\tx", "\t2022-05-12 14:01\t7.6"),
        ("T AL: +8.0", "T AL: +9.0"),
        ("Serial: 130500109088", "Serial: 130500109089"),
        ("TS A: 14:55", "TS A: 14:56"),
    ],
)
def test_a_changed_figure_is_found(was: str, now: str) -> None:
    changed = decode(SAMPLE.read_bytes()).replace(was, now, 1)
    parsed = parse_fridgetag(changed)
    assert parsed.authenticity is Authenticity.ALTERED
    assert [doubt.line for doubt in parsed.doubts if doubt.kind == "altered"] == [changed.count("\n")]


def test_the_command_says_so_and_is_strict_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "changed.txt"
    path.write_text(signed_by_somebody().replace("\t5.0\n", "\t5.1\n", 1))
    for more, code in (([], 0), (["--strict"], 1)):
        run = CliRunner().invoke(app, ["logger", str(path), "--json", *more])
        assert run.exit_code == code
        assert json.loads(run.stdout)["device"]["authenticity"] == "altered"
        assert "changed after it was signed" in run.stderr


def test_another_key_is_not_the_makers() -> None:
    text = signed_by_somebody()
    assert parse_fridgetag(text).authenticity is Authenticity.UNCERTIFIED
    assert parse_fridgetag(text.replace("\t5.0\n", "\t5.1\n", 1)).authenticity is Authenticity.ALTERED


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("", Authenticity.UNSIGNED),
        (SIGNED, Authenticity.UNCHECKED),
        ("Sig: " + "ab" * 64 + "\n", Authenticity.UNCHECKED),
        (
            "Cert:\n Public Key: " + "00" * 64 + "\nSig Cert: " + "ab" * 64 + "\nSig: " + "ab" * 64 + "\n",
            Authenticity.UNCHECKED,
        ),
    ],
    ids=["none", "too short", "no certificate", "no point of the curve"],
)
def test_what_cannot_be_checked_is_not_called_altered(end: str, expected: Authenticity) -> None:
    assert parse_fridgetag(report(configuration(), log([5.0] * 3), end)).authenticity is expected
