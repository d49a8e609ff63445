"""Files on records: over HTTP into the data folder and back, refused, versioned, damaged, swept."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import Request
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.attachments import files, record_attachments, service, uploading
from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.attachments.sweeping import sweep
from core.erp.kernel.attachments.uploading import MAX_BODY
from core.erp.kernel.errors import Busy, Conflict
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit, system, transact, unit
from core.settings import Settings
from core.wiring import build_events
from tests.rules.attachments_rules_test import PDF_FILE, PNG_FILE, XLSX_FILE
from tests.serving import serving

PASSWORD = "correct horse battery"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYSTEM = system("test")


@dataclass(frozen=True)
class Office:
    """The API with one open deviation (1) and one that is concluded (2)."""

    client: httpx.Client
    engine: Engine
    store: FileStore
    qa: dict[str, str]
    wall: dict[str, str]

    def send(self, data: bytes, name: str = "report.pdf", path: str = "/deviations/1/attachments", **more: Any) -> Any:
        headers = self.qa | more.pop("headers", {})
        form = {"files": {"file": (name, io.BytesIO(data))}, "data": more, "headers": headers}
        return self.client.post(f"/api/v1{path}", **form)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"/api/v1{path}", headers=self.qa)

    def on_disk(self) -> list[str]:
        return sorted(path.name for path in self.store.folder.iterdir()) if self.store.folder.exists() else []


@pytest.fixture
def office(engine: Engine, owner: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, SYSTEM, build_events()) as u:
        for login, role in (("quinn", "qa"), ("wall", "display")):
            create_user(u, login, login, PASSWORD, [role])
    with owner.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(
            text(
                "INSERT INTO deviation (title, detail, happened_at, known_at, state, conclusion, closed_by, closed_at)"
                " VALUES ('held', '-', now(), now(), 'open', NULL, NULL, NULL),"
                " ('held', '-', now(), now(), 'closed', '-', 'quinn', now())"
            )
        )
    settings = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        quinn, wall = (signed_in(client, login) for login in ("quinn", "wall"))
        yield Office(client, engine, FileStore(tmp_path / FILES), quinn, wall)


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_file_comes_back_as_it_was(office: Office) -> None:
    answer = office.send(PDF_FILE, "..\\检定 证书.pdf", title="Certificate", kind="certificate", note="of March")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    (version,) = made["versions"]
    digest = hashlib.sha256(PDF_FILE).hexdigest()
    assert (made["title"], made["kind"], made["state"], made["created_by"]) == (
        "Certificate",
        "certificate",
        "current",
        "quinn",
    )
    assert (version["name"], version["media_type"], version["size"], version["sha256"]) == (
        "检定 证书.pdf",
        "application/pdf",
        len(PDF_FILE),
        digest,
    )
    assert office.on_disk() == [digest]
    assert (office.store.folder / digest).stat().st_mode & 0o077 == 0
    assert office.get("/deviations/1/attachments").json() == [made]
    back = office.get(f"/deviations/1/attachments/{made['id']}/file")
    assert back.content == PDF_FILE
    assert back.headers["content-type"] == "application/pdf"
    assert back.headers["x-content-type-options"] == "nosniff"
    assert back.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert back.headers["content-disposition"] == (
        "attachment; filename=\"__ __.pdf\"; filename*=UTF-8''%E6%A3%80%E5%AE%9A%20%E8%AF%81%E4%B9%A6.pdf"
    )
    with office.engine.connect() as conn:
        rows = conn.execute(text("SELECT actor, action, entity, entity_id, after FROM audit ORDER BY id DESC")).first()
    assert rows is not None
    assert (rows.actor, rows.action, rows.entity, rows.entity_id) == ("quinn", "attachment.add", "deviation", "1")
    assert rows.after["sha256"] == digest


def test_versions_follow_one_another_and_none_is_replaced(office: Office) -> None:
    first = office.send(PDF_FILE, "a.pdf").json()
    path = f"/deviations/1/attachments/{first['id']}"
    assert office.send(PDF_FILE, "a.pdf", f"{path}/versions").status_code == 409
    second = office.send(PDF_FILE + b"2 %%EOF", "b.pdf", f"{path}/versions", note="page 2 was missing").json()
    assert [(one["number"], one["name"], one["note"]) for one in second["versions"]] == [
        (1, "a.pdf", None),
        (2, "b.pdf", "page 2 was missing"),
    ]
    assert office.get(f"{path}/file").content == PDF_FILE + b"2 %%EOF"
    assert office.get(f"{path}/file?version=1").content == PDF_FILE
    assert office.get(f"{path}/file?version=3").status_code == 404
    assert office.client.post(f"/api/v1{path}/withdraw", json={}, headers=office.qa).status_code == 422
    gone = office.client.post(f"/api/v1{path}/withdraw", json={"reason": "another lot's"}, headers=office.qa).json()
    assert (gone["state"], gone["withdrawn_reason"]) == ("withdrawn", "another lot's")
    assert office.send(PDF_FILE + b"3 %%EOF", "c.pdf", f"{path}/versions").status_code == 409
    assert office.get(f"{path}/file?version=1").content == PDF_FILE
    assert office.send(PDF_FILE, "a.pdf").status_code == 201  # what is withdrawn stands in nobody's way


def test_the_same_file_hangs_once_on_a_record_and_once_in_the_folder(office: Office) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = office.send(PNG_FILE, "a.png", headers=key)
    again = office.send(PNG_FILE, "a.png", headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert office.send(PDF_FILE, "a.pdf", headers=key).status_code == 422
    assert office.send(PNG_FILE, "b.png").status_code == 409
    other = transact(
        office.engine,
        SYSTEM,
        Events(),
        lambda u: service.attach(u, "shipment", 1, office.store.keep(io.BytesIO(PNG_FILE), "b.png")),
        NOW,
    )
    assert other.newest.name == "b.png"
    assert len(office.on_disk()) == 2  # the picture, and the pdf that was refused for its key


REFUSED = [
    ("invoice\u202efdp.exe", PDF_FILE, "U+202E"),
    ("run.exe", PDF_FILE, "named .exe and contains pdf"),
    ("a.pdf", b"MZ\x90\x00\x03", "only these may be attached"),
    ("a.html", b"<script>alert(1)</script>", "named .html and contains txt"),
    ("a.svg", b"<svg onload='alert(1)'/>", "named .svg"),
    ("a.xlsm", XLSX_FILE, "named .xlsm"),
    ("a.pdf", b"", "empty"),
    ("", PDF_FILE, "the form's field"),
    ("x" * 50_000 + ".pdf", PDF_FILE, "multipart"),
    ('"; filename="b.exe', PDF_FILE, "named .exe"),
]


def test_what_is_refused_leaves_nothing_behind(office: Office) -> None:
    for name, data, said in REFUSED:
        answer = office.send(data, name)
        assert answer.status_code == (400 if said == "multipart" else 422), answer.text
        assert said in answer.json()["detail"]
    assert office.on_disk() == []


HOSTILE = [
    ("../../../etc/cron.d/evil.pdf", "evil.pdf"),
    ("/absolute.pdf", "absolute.pdf"),
    ("x" * 2000 + ".pdf", "x" * 196 + ".pdf"),
    ("NUL.pdf", "_NUL.pdf"),
    ("%2e%2e%2fa.pdf", "%2e%2e%2fa.pdf"),
]


def test_a_hostile_name_stays_in_its_folder(office: Office) -> None:
    for number, (name, kept) in enumerate(HOSTILE):
        answer = office.send(PDF_FILE + b"\n" * number, name)
        assert answer.json()["versions"][0]["name"] == kept
        given = office.get(f"/deviations/1/attachments/{answer.json()['id']}/file").headers["content-disposition"]
        assert "\r" not in given
        assert given.count('"') == 2
    hashes = [hashlib.sha256(PDF_FILE + b"\n" * number).hexdigest() for number in range(len(HOSTILE))]
    assert office.on_disk() == sorted(hashes)
    assert [path.name for path in office.store.folder.parent.iterdir()] == [FILES]


def test_permit_and_record_are_asked_before_a_byte_is_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    upload = uploading.upload

    def watched(request: Request, *rest: Any) -> Any:
        read.append(request.url.path)
        return upload(request, *rest)

    monkeypatch.setattr(record_attachments, "upload", watched)
    first = office.send(PDF_FILE).json()["id"]
    assert len(read) == 1
    assert office.send(PNG_FILE, headers=office.wall).status_code == 403
    assert office.send(PNG_FILE, path="/deviations/7/attachments").status_code == 404
    assert office.send(PNG_FILE, path="/deviations/2/attachments").status_code == 409
    assert len(read) == 1
    assert office.get(f"/deviations/2/attachments/{first}/file").status_code == 404
    assert office.get("/deviations/7/attachments").status_code == 404
    path = f"/api/v1/deviations/1/attachments/{first}"
    assert office.client.get(f"{path}/file").status_code == 401
    answer = office.client.post(f"{path}/withdraw", json={"reason": "x"}, headers=office.wall)
    assert answer.status_code == 403


def test_one_byte_too_many_and_a_full_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert office.send(b"x" * MAX_BODY, "a.txt").status_code == 413
    monkeypatch.setattr(files, "MOST", len(PDF_FILE) - 1)
    assert office.send(PDF_FILE).status_code == 413
    monkeypatch.setattr(files, "LEAST_FREE", 2**62)
    answer = office.send(PDF_FILE)
    assert (answer.status_code, "full" in answer.json()["detail"]) == (503, True)
    assert office.on_disk() == []


def test_damage_is_told_instead_of_the_file(office: Office) -> None:
    made = office.send(PDF_FILE).json()
    path = office.store.folder / made["versions"][0]["sha256"]
    path.chmod(0o600)
    path.write_bytes(PDF_FILE.replace(b"obj", b"jbo"))
    answer = office.get(f"/deviations/1/attachments/{made['id']}/file")
    assert (answer.status_code, answer.json()["title"]) == (500, "File damaged")
    assert b"jbo" not in answer.content
    path.unlink()
    answer = office.get(f"/deviations/1/attachments/{made['id']}/file")
    assert (answer.status_code, "missing" in answer.json()["detail"]) == (500, True)
    office.store.keep(io.BytesIO(PDF_FILE), "a.pdf")  # the same content again brings it back
    assert office.get(f"/deviations/1/attachments/{made['id']}/file").content == PDF_FILE


def age(store: FileStore, name: str, days: float) -> None:
    then = (NOW - timedelta(days=days)).timestamp()
    os.utime(store.folder / name, (then, then))


def attach(u: Unit, store: FileStore, data: bytes) -> service.Attached:
    return service.attach(u, "shipment", 1, store.keep(io.BytesIO(data), "a.txt"))


def test_only_files_that_hang_on_nothing_are_swept_and_not_too_soon(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with unit(engine, SYSTEM, Events(), NOW) as u:
        kept = attach(u, store, b"kept").newest.sha256
    old, young = (store.keep(io.BytesIO(data), "a.txt").sha256 for data in (b"old", b"young"))
    (tmp_path / "strange").write_text("not ours")
    (tmp_path / ".incoming-1").write_text("broken off")
    for name, days in ((kept, 400), (old, 8), (young, 6), ("strange", 400), (".incoming-1", 2)):
        age(store, name, days)
    with engine.begin() as conn:
        columns = "found_at, database_seal, witnessed_seal, receivers"
        conn.execute(text(f"INSERT INTO restoration ({columns}) VALUES (now(), 1, 2, '[]')"))
    assert sweep(engine, store, NOW) == 0
    with engine.begin() as conn:
        conn.execute(text("UPDATE restoration SET signed_at = now()"))
    assert sweep(engine, store, NOW) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept, young, "strange"])
    assert sweep(engine, store, NOW) == 0


def test_a_file_is_attached_or_swept_never_both(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    stored = store.keep(io.BytesIO(b"old"), "a.txt")
    age(store, stored.sha256, 8)
    swept: list[int] = []
    sweeper = threading.Thread(target=lambda: swept.append(sweep(engine, store, NOW)))
    with unit(engine, SYSTEM, Events(), NOW) as u:
        service.attach(u, "shipment", 1, stored)
        sweeper.start()
        sweeper.join(0.5)
        assert sweeper.is_alive()  # it waits for whoever attaches
    sweeper.join()
    assert swept == [0]
    assert stored.path.exists()
    lost = store.keep(io.BytesIO(b"lost"), "a.txt")
    age(store, lost.sha256, 8)
    assert sweep(engine, store, NOW) == 1
    with pytest.raises(Busy, match="again"), unit(engine, SYSTEM, Events(), NOW) as u:
        service.attach(u, "shipment", 1, lost)


def test_of_a_record(engine: Engine, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with unit(engine, SYSTEM, Events(), NOW) as u:
        one, two = (attach(u, store, data) for data in (b"one", b"two"))
        with pytest.raises(Conflict):
            attach(u, store, b"one")
        service.replace(u, "shipment", 1, two.document.id, store.keep(io.BytesIO(b"new"), "b.txt"))
        assert [len(found.versions) for found in service.of(u, "shipment", 1)] == [1, 2]
        assert service.of(u, "shipment", 2) == []
        hashes = sorted(hashlib.sha256(data).hexdigest() for data in (b"one", b"new"))
        assert service.fingerprint(u, "shipment", 1) == hashes
        service.withdraw(u, "shipment", 1, one.document.id, "wrong")
        assert service.fingerprint(u, "shipment", 1) == [hashlib.sha256(b"new").hexdigest()]


VERSION = (
    "INSERT INTO attachment_version (attachment_id, number, name, media_type, size, sha256, added_at, added_by)"
    " VALUES ({attachment}, {number}, 'a', 'b', 1, repeat('0', 64), now(), 'x')"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attachment_version SET sha256 = repeat('0', 64)",
        "DELETE FROM attachment_version",
        "TRUNCATE attachment_version",
        "DELETE FROM attachment",
        "UPDATE attachment SET entity_id = 2",
        "UPDATE attachment SET title = 'another'",
        "UPDATE attachment SET state = 'deleted'",
        VERSION.format(attachment=1, number=3),
        VERSION.format(attachment=2, number=1),
    ],
)
def test_the_database_keeps_what_was_attached(engine: Engine, owner: Engine, tmp_path: Path, statement: str) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        attach(u, FileStore(tmp_path), b"kept")
    with pytest.raises(DBAPIError) as refused, owner.begin() as conn:
        conn.execute(text(statement))
    assert (getattr(refused.value.orig, "sqlstate", "") or "").startswith("LW")
