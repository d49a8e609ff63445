"""Files handed in: permit first, streamed, read by a process of its own that has bounds and knows nothing of ours."""

import asyncio
import gzip
import io
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.errors import Invalid
from core.erp.kernel.unit import system, unit
from core.ingest import file_reading
from core.ingest.file_reading import FileContent, ReadRequest, read_in_process
from core.settings import Settings
from core.telemetry.compact import State, Values, micros_of
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.csv_mapping import CsvMapping
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TABLE = b"when,Temperature (\xc2\xb0C)\n2026-03-02 08:00,5.1\n2026-03-02 08:05,5.2\n2026-03-02 08:10,-\n"


def read(data: bytes, name: str = "R-1.csv") -> tuple[FileContent, list[Values]]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return asyncio.run(read_in_process(file, ReadRequest(name, "auto", "UTC", CsvMapping(), 0.0, NOW)))


def test_what_the_process_read_comes_back_whole() -> None:
    found, (values,) = read(TABLE)
    assert (found.kind, found.readings, found.serial, found.damaged) == ("csv", 3, "R-1", False)
    assert [(one.quantity, one.unit, one.count) for one in found.series] == [("temperature", "Cel", 3)]
    start = micros_of(datetime(2026, 3, 2, 8, tzinfo=UTC))
    assert [((at - start) // 60_000_000, value, state) for at, value, state in values.rows()] == [
        (0, 5.1, State(Quality.GOOD, "", "Cel")),
        (5, 5.2, State(Quality.GOOD, "", "Cel")),
        (10, None, State(Quality.BAD, Reason.NO_VALUE, "Cel")),
    ]


def test_many_values_come_in_order_series_after_series(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"2026-03-{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02},{n % 80 / 10},{n % 30}" for n in range(25_000)]
    found, (warm, moist) = read("\n".join(["when,temp [C],humidity [%]", *lines]).encode())
    assert [value for _, value, _ in warm.rows()] == [n % 80 / 10 for n in range(25_000)]
    assert [value for _, value, _ in moist.rows()] == [float(n % 30) for n in range(25_000)]
    assert {(one.quantity, one.count) for one in found.series} == {("temperature", 25_000), ("humidity", 25_000)}
    assert found.readings == 50_000
    monkeypatch.setattr(file_reading, "SECONDS", 0.01)
    with pytest.raises(Invalid, match="too long"):
        read(TABLE)


def test_a_file_has_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"when,temp [C]\n" + b"2026-03-02 08:00,5.1\n" * 2_500_000, 9)
    assert len(bomb) < 200_000
    monkeypatch.setattr(file_reading, "MEMORY", 160 * 1024 * 1024)
    with pytest.raises(Invalid, match="memory"):
        read(bomb)


def test_the_process_knows_no_secret_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever a file makes its reader do, there is no key to be had there."""
    seen = tmp_path / "seen"
    (tmp_path / "python").write_text(f"#!/bin/sh\nenv > {seen}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("LOTWISE_SECRET_KEY", "k" * 40)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Invalid):
        read(TABLE)
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert names <= {"LOTWISE_ASKED", "PYTHONPATH", "PWD", "_", "SHLVL", "OLDPWD"}


@pytest.fixture
def client(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        for login, role in (("lou", "logistics"), ("wall", "display")):
            create_user(u, login, login, PASSWORD, [role])
    settings = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        yield client


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


FORM = {"Content-Type": "multipart/form-data; boundary=b"}
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="R-1.csv"\r\n\r\n'


def endless(sent: list[int]) -> Iterator[bytes]:
    yield HEAD
    for _ in range(70):
        sent.append(1024 * 1024)
        yield b"x" * sent[-1]
    yield b"\r\n--b--\r\n"


def test_a_file_is_refused_for_the_permit_before_it_is_read_and_for_its_size_while_it_is(client: httpx.Client) -> None:
    sent: list[int] = []
    path = "/api/v1/imports/files"
    answer = client.post(path, content=endless(sent), headers={**FORM, **signed_in(client, "wall")})
    assert answer.status_code == 403
    assert client.post(path, content=endless(sent), headers=FORM).status_code == 401
    lou = signed_in(client, "lou")
    answer = client.post(path, content=endless(sent), headers={**FORM, **lou})
    assert (answer.status_code, "65 MiB" in answer.json()["detail"]) == (413, True)


def test_the_same_file_under_one_key_is_one_request_whatever_its_boundaries(client: httpx.Client) -> None:
    lou = signed_in(client, "lou") | {"Idempotency-Key": "k1"}

    def hand_in(data: bytes, zone: str = "999") -> httpx.Response:
        return client.post(
            "/api/v1/imports/files", files={"file": ("R-1.csv", io.BytesIO(data))}, data={"zone": zone}, headers=lou
        )

    first = hand_in(TABLE)
    assert first.status_code == 404, first.text
    again = hand_in(TABLE)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (404, "true")
    assert (hand_in(TABLE + b"2026-03-02 08:15,5.2\n").status_code, hand_in(TABLE, "998").status_code) == (422, 422)


def test_a_bomb_that_is_handed_in_is_told_and_the_core_goes_on(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reading, "MEMORY", 160 * 1024 * 1024)
    bomb = gzip.compress(b"when,temp [C]\n" + b"2026-03-02 08:00,5.1\n" * 2_500_000, 9)
    lou = signed_in(client, "lou")
    answer = client.post("/api/v1/imports/files", files={"file": ("b.csv.gz", bomb)}, data={"zone": "1"}, headers=lou)
    assert (answer.status_code, "memory" in answer.json()["detail"]) == (422, True)
    assert client.get("/api/v1/me", headers=lou).status_code == 200
