"""`lotwise records`: what is declared of a kind of record, as an engineer or an auditor reads it."""

import pytest

from tests.services.cli_commands_test import lotwise

# Written by hand: what may be asked of a supplier's certificate and by whom, and what holds it.
SHOWN = """
supplier_certificate (module partners, table supplier_certificate)
GET   /api/v1/supplier-certificates  (partner.read)
GET   /api/v1/supplier-certificates/{id}  (partner.read)
GET   /api/v1/supplier-certificates/{id}/history  (partner.read)
GET   /api/v1/supplier-certificates/export  (partner.read)
POST  /api/v1/supplier-certificates  (certificate.manage)
POST  /api/v1/supplier-certificates/{id}/attachments  (certificate.manage)
PATCH /api/v1/supplier-certificates/{id}  (certificate.manage, while draft)
POST  /api/v1/supplier-certificates/{id}/verify  (certificate.verify, while draft)
POST  /api/v1/supplier-certificates/{id}/withdraw  (certificate.manage, while draft or valid)
filtered by partner_id
filtered by valid_until_before
sorted by id, valid_until; -id without a word
searched by the beginning of supplier_certificate.number
verify: draft → valid (certificate.verify, by a second person)
expire: valid → expired (the system)
withdraw: draft or valid → withdrawn (certificate.manage, with a reason)
rows are never removed
never changes: partner_id, kind, number
its state goes the ways of its life cycle (trigger)
seen by somebody of site 1: all
seen by somebody of partner 1: supplier_certificate.partner_id = 1
FROM supplier_certificate
"""


def test_one_kind_of_record_shows_permits_routes_sql_and_guards() -> None:
    done = lotwise("records", "show", "supplier_certificate")
    assert done.exit_code == 0, done.stdout
    said = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in SHOWN.strip().splitlines() if line not in said] == []
    posts = [line for line in said if line.startswith(("POST", "PATCH"))]
    written = [line for line in SHOWN.strip().splitlines() if line.startswith(("POST", "PATCH"))]
    assert [line for line in posts if "import" not in line] == written
    (checked,) = [line for line in said if line.startswith("before it is written: check_certificate")]
    assert "end before it begins" in checked
    (read,) = [line for line in said if line.startswith("SELECT")]
    assert "supplier_certificate.valid_until" in read


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("capa", "close: done → closed (capa.sign, with a reason, signed)"),
        ("audit_row", "seen by somebody of partner 1: CASE audit.entity"),
        ("signature", "GET   /api/v1/signatures  (signature.read)"),
        ("dead_letter", "POST  /api/v1/dead-letters/{id}/replay  (ingest.manage, while open)"),
    ],
)
def test_signed_moves_scopes_and_derived_states_are_shown(name: str, words: str) -> None:
    assert words in lotwise("records", "show", name).stdout


def test_every_kind_is_listed_with_what_is_done_with_it() -> None:
    (line,) = [one for one in lotwise("records", "list").stdout.splitlines() if "supplier_certificate" in one]
    assert line.split() == [
        *("supplier_certificate", "partners", "/api/v1/supplier-certificates", "partner.read"),
        *("create,", "change,", "verify,", "withdraw"),
    ]


def test_an_unknown_kind_says_where_the_names_are() -> None:
    done = lotwise("records", "show", "suplier")
    assert (done.exit_code, "no record is called suplier: lotwise records list" in done.stdout) == (1, True)
