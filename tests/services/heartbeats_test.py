"""Signs of life: what hangs or is gone while the others go on is told, and by /healthz."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text

from core.app import create_app
from core.background import Loop
from core.foreseen import FillingDisk, certificate_probe, ending
from core.heartbeats import CORE, Signs, SignsOfLife, beat, read_signs
from core.settings import Settings
from tests.serving import serving

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def signs(engine: Engine) -> Signs:
    with engine.connect() as conn:
        return read_signs(conn)


@pytest.fixture
def quiet(engine: Engine) -> Iterator[Engine]:
    """Nothing has given a sign of life."""
    _forget(engine)
    yield engine
    _forget(engine)


def _forget(engine: Engine) -> None:
    with engine.begin() as conn:
        for name in ("heartbeat", "ingest_worker", "source_watermark"):
            conn.execute(text(f"DELETE FROM {name}"))


def test_a_loop_that_hangs_is_named_and_the_others_are_not(quiet: Engine) -> None:
    beat(quiet, {CORE: (0.0, MINUTE), "outbox": (90.0, MINUTE), "sealer": (2.0, MINUTE)})
    found = signs(quiet)
    assert found.background_trouble == "no sign of life of outbox"
    assert found.core is not None
    assert found.outbox is not None
    assert found.core - found.outbox == timedelta(seconds=90)
    beat(quiet, {CORE: (0.0, MINUTE), "outbox": (0.1, MINUTE), "sealer": (2.0, MINUTE)})
    assert signs(quiet).background_trouble is None


def test_nobody_leads_any_more(quiet: Engine) -> None:
    beat(quiet, {CORE: (0.0, MINUTE)})
    with quiet.begin() as conn:
        conn.execute(text("UPDATE heartbeat SET at = now() - interval '3 minutes'"))
    assert signs(quiet).background_trouble == "no sign of life of core"


def test_a_part_that_is_there_no_longer_is_forgotten(quiet: Engine) -> None:
    beat(quiet, {CORE: (0.0, MINUTE), "of an older version": (0.0, MINUTE)})
    beat(quiet, {CORE: (0.0, MINUTE)})
    with quiet.connect() as conn:
        assert conn.execute(text("SELECT part FROM heartbeat")).scalars().all() == [CORE]


def hear(engine: Engine, gateway: str, ago: str, *, retired: bool = False, zone: int = 1) -> None:
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO source_watermark"
                " (zone_id, gateway, source, redundancy_group, upto, received_at, retired_at) VALUES"
                " (:z, :g, 's', '', now(), now() - CAST(:ago AS interval), CASE WHEN :r THEN now() END)"
            ),
            {"z": zone, "g": gateway, "ago": ago, "r": retired},
        )


def test_silent_gateways_are_counted_and_one_that_was_retired_is_not(quiet: Engine) -> None:
    hear(quiet, "one", "1 second")
    hear(quiet, "two", "10 minutes")
    hear(quiet, "two", "3 minutes", zone=2)
    hear(quiet, "gone", "3 days", retired=True)
    found = signs(quiet)
    assert (found.gateway_count, found.silent_gateways) == (2, 1)
    assert found.gateway_trouble is not None
    assert found.gateway_trouble.startswith("1 of 2 silent, the longest since ")
    assert found.gateways is not None
    assert timedelta(minutes=3) <= found.database - found.gateways < timedelta(minutes=4), "its newest word counts"


def test_readings_that_nobody_takes_are_told_once_there_are_gateways(quiet: Engine) -> None:
    assert signs(quiet).ingest_trouble is None
    hear(quiet, "one", "1 second")
    assert signs(quiet).ingest_trouble == "no worker takes readings"
    with quiet.begin() as conn:
        conn.execute(text("INSERT INTO ingest_worker VALUES ('w', now() + interval '10 seconds')"))
    assert signs(quiet).ingest_trouble is None
    with quiet.begin() as conn:
        conn.execute(text("UPDATE ingest_worker SET until = now() - interval '2 minutes'"))
    assert (signs(quiet).ingest_trouble or "").startswith("no worker takes readings since ")


def test_a_clock_that_is_wrong_is_told_with_its_side(quiet: Engine) -> None:
    with quiet.connect() as conn:
        ahead = read_signs(conn, lambda: time.time() + 40)
        behind = read_signs(conn, lambda: time.time() - 40)
    assert ahead.clock_trouble == "40 s ahead of the database's"
    assert behind.clock_trouble == "40 s behind the database's"
    assert signs(quiet).clock_trouble is None


def test_the_signs_are_read_once_for_all_who_look_within_a_second(quiet: Engine) -> None:
    asked = []

    def connect() -> Connection:
        asked.append(1)
        return quiet.connect()

    life = SignsOfLife(connect)
    for trouble in (lambda now: now.clock_trouble, lambda now: now.ingest_trouble):
        assert life.probe(trouble)() is None
    assert asked == [1]


def test_a_loop_says_how_long_ago_it_came_round() -> None:
    go, may = threading.Event(), threading.Event()
    may.set()
    loop = Loop("hangs", lambda: go.wait(30), 1.0, may)
    loop.start()
    time.sleep(0.3)
    ago, within = loop.sign_of_life
    assert ago >= 0.25, "it has not come round since it began"
    assert within == timedelta(seconds=62)
    go.set()
    loop.stop()
    assert loop.sign_of_life[0] < 5


def test_healthz_warns_and_tells_each_sign(quiet: Engine, tmp_path: Path) -> None:
    hear(quiet, "one", "10 minutes")
    settings = Settings(instance="test", secret_key=SecretStr("k" * 40), data_dir=tmp_path)
    with serving(create_app(settings, quiet)) as client:
        deadline = time.monotonic() + 60
        while True:  # on a busy machine a question may have no answer in time, and that is told meanwhile
            answer = client.get("/healthz")
            told, checks = answer.json(), answer.json()["checks"]
            late = [said for said in checks.values() if "no answer" in said]
            if not late and {"core", "outbox"} <= told["heartbeats"].keys() and checks["heartbeat"] == "ok":
                break
            assert time.monotonic() < deadline, told
            time.sleep(0.3)
    assert answer.status_code == 200
    assert told["status"] == "warning"
    assert checks["gateways"].startswith("1 of 1 silent")
    assert told["heartbeats"].keys() == {"database", "core", "outbox", "gateways"}


class Disk:
    """A disk whose free room and clock are set."""

    def __init__(self, free: int) -> None:
        self.free, self.now = free, 0.0

    def probe(self, folder: Path) -> FillingDisk:
        return FillingDisk(folder, lambda _: self.free, lambda: self.now)


GIB = 2**30


def test_a_disk_that_will_be_full_within_a_day_is_told(tmp_path: Path) -> None:
    disk = Disk(100 * GIB)
    look = disk.probe(tmp_path)
    for _ in range(29):
        assert look() is None, "too little was seen to say"
        disk.now += 60
        disk.free -= GIB // 4
    disk.now += 60
    told = look()
    assert told is not None
    assert "is full in 6." in told
    for _ in range(120):
        disk.now += 60
        look()
    assert look() is None, "it has stopped filling"


def test_little_room_is_told_at_once_and_a_folder_that_is_not_there_yet_is_asked_of_its_parent(tmp_path: Path) -> None:
    assert Disk(GIB // 2).probe(tmp_path / "not" / "yet")() == "512 MiB free in the data folder"


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (timedelta(days=31), None),
        (timedelta(days=29, hours=1), "the certificate ends on 2026-03-30, in 29 days"),
        (-timedelta(days=1), "the certificate ended on 2026-02-28"),
    ],
)
def test_a_certificate_that_ends_is_told_30_days_before(ends: timedelta, told: str | None) -> None:
    assert ending(NOW + ends, NOW) == told


def test_the_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    probe = certificate_probe(file, lambda: NOW)
    assert (probe() or "").startswith("the certificate cannot be read")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "core")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=3))
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    assert probe() == "the certificate ends on 2026-03-04, in 3 days"
    assert certificate_probe(None)() is None
