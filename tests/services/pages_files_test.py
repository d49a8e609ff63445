"""Files on a record's page: attached, replaced by a next version, downloaded whole, withdrawn; refused in words."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.pages import Browser, filled, pages, text_of
from tests.rules.attachments_rules_test import PDF_FILE, PNG_FILE


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    roles = {"bea": ["buyer"], "aud": ["auditor"], "car": ["display"]}
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles) as found:
        yield found


@pytest.fixture(scope="module")
def partner(people: dict[str, Browser]) -> str:
    fields = {"code": "acme", "name": "Acme", "country": "DE", "roles": ["supplier"]}
    return people["bea"].send("/partners/new", fields).headers["location"]


def hand_in(one: Browser, path: str, data: bytes, name: str, status: int = 303, **fields: str) -> str:
    answer = one.client.post(path, data={**filled(one.form(path)), **fields}, files={"file": (name, data)})
    assert answer.status_code == status, text_of(answer.text)[:1500]
    return answer.text


def test_a_file_is_attached_replaced_downloaded_and_withdrawn(people: dict[str, Browser], partner: str) -> None:
    bea = people["bea"]
    hand_in(bea, f"{partner}/files", PDF_FILE, "licence.pdf", title="Licence", note="of March")
    page = bea.get(partner)
    assert "Licence" in text_of(page)
    assert "of March" in text_of(page)
    one = re.search(rf'href="({partner}/files/\d+)"', page)
    assert one is not None
    hand_in(bea, one[1], PNG_FILE, "scan.png", note="scanned anew")
    assert "Earlier versions (1)" in text_of(bea.get(partner))
    newest, first = (people["aud"].client.get(f"{one[1]}/download{more}") for more in ("", "?version=1"))
    assert (newest.content, first.content) == (PNG_FILE, PDF_FILE)
    assert "attachment" in newest.headers["content-disposition"]
    assert "sandbox" in newest.headers["content-security-policy"]
    bea.send(f"{one[1]}/withdraw", {"reason": "of another firm"})
    assert "of another firm" in text_of(bea.get(partner))
    assert f'href="{one[1]}"' not in bea.get(partner)
    history = text_of(bea.get(partner))
    assert "attachment." not in history


def test_what_may_not_be_attached_is_refused_in_words_and_what_was_typed_stays(
    people: dict[str, Browser], partner: str
) -> None:
    bea, path = people["bea"], f"{partner}/files"
    none = bea.client.post(path, data={"title": "kept title"})
    assert none.status_code == 422
    assert "Choose a file" in text_of(none.text)
    program = hand_in(bea, path, b"MZ\x90\x00" * 40, "setup.exe", 422, title="kept title")
    assert 'value="kept title"' in program
    assert 'role="alert"' in program
    hostile = hand_in(bea, path, PDF_FILE, "a.pdf", title="<script>alert(1)</script>")
    assert hostile == ""
    assert "<script>alert" not in bea.get(partner)


def test_a_form_sent_twice_attaches_once_and_the_same_file_is_not_attached_again(
    people: dict[str, Browser], partner: str
) -> None:
    bea, path = people["bea"], f"{partner}/files"
    sent = filled(bea.form(path)) | {"title": "Twice"}
    both = [bea.client.post(path, data=sent, files={"file": ("b.png", PNG_FILE)}) for _ in range(2)]
    assert [one.status_code for one in both] == [303, 303]
    assert bea.get(partner).count(">Twice<") == 1
    assert "attached there already" in text_of(hand_in(bea, path, PNG_FILE, "c.png", 409))


def test_who_only_reads_attaches_nothing_and_files_hang_on_their_own_record_only(
    people: dict[str, Browser], partner: str
) -> None:
    aud = people["aud"]
    assert "Attach a file" not in aud.get(partner)
    assert aud.client.get(f"{partner}/files").status_code == 403
    assert aud.client.post(f"{partner}/files", files={"file": ("a.pdf", PDF_FILE)}).status_code == 403
    other = people["bea"].send("/partners/new", {"code": "other", "name": "Other", "country": "DE", "roles": ["maker"]})
    link = re.search(rf"{partner}/files/(\d+)/download", aud.get(partner))
    assert link is not None
    assert aud.client.get(f"{other.headers['location']}/files/{link[1]}/download").status_code == 404
    assert people["bea"].client.get("/partners/987654/files").status_code == 404
