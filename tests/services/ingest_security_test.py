"""The ingest signs in to a stream that others keep, as the gateway does: a reading goes all the way on each of the ways
there are, and who may not is told so.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine

from core.ingest.stream import NatsSettings, StreamUnavailable, connect
from core.ingest.worker import IngestWorker
from core.settings import Settings
from core.telemetry.address import PARTITIONS
from core.telemetry.connection import disconnect_within
from edge.carrier import NatsCarrier
from edge.config import StreamConfig, TlsConfig
from edge.forwarder import Forwarder
from edge.spool import Spool
from edge.tasks import end
from lotwise.runtime import Servers, nats_settings
from tests.faults.ingest_running import QUICK, count, publish, until
from tests.servers import free_port
from tests.services.forwarder_servers import operator_settings, server, tls_settings
from tests.services.ingest_support import PARTITION, Gateway, RecordingJudge, add_points, reading


@dataclass(frozen=True)
class Guard:
    """A server's settings, who may come in as core and as gateway, and who may not."""

    server: str
    core: dict[str, Any]
    gateway: dict[str, Any]
    strangers: tuple[dict[str, Any], ...] = ()
    scheme: str = "nats"
    told: str = "authorization"


def password(_: Path) -> Guard:
    users = '{user: "core", password: "c0re"}, {user: "gw", password: "g4te"}'
    wrong = {"nats_user": "core", "nats_password": SecretStr("g4te")}
    return Guard(
        f"authorization {{ users: [{users}] }}",
        {"nats_user": "core", "nats_password": SecretStr("c0re")},
        {"user": "gw", "password": SecretStr("g4te")},
        ({}, wrong, {"nats_token": SecretStr("c0re")}),
    )


def token(_: Path) -> Guard:
    return Guard(
        'authorization { token: "t0ken" }',
        {"nats_token": SecretStr("t0ken")},
        {"token": SecretStr("t0ken")},
        ({}, {"nats_token": SecretStr("token")}),
    )


def credentials(folder: Path) -> Guard:
    settings, creds = operator_settings(folder)
    return Guard(settings, {"nats_credentials": creds}, {"credentials": creds}, ({},))


def tls(folder: Path) -> Guard:
    settings = tls_settings(folder)
    ours = {"cert": folder / "client.pem", "key": folder / "client.key"}
    pair = {"nats_certificate": folder / "client.pem", "nats_key": folder / "client.key"}
    return Guard(
        settings,
        {"nats_ca": folder / "ca.pem", **pair},
        {"tls": TlsConfig(ca=folder / "ca.pem", **ours)},
        ({"nats_ca": folder / "other.pem", **pair}, {"nats_ca": folder / "ca.pem"}, pair),
        scheme="tls",
        told="",
    )


def tls_and_password(folder: Path) -> Guard:
    settings = tls_settings(folder).replace(", verify: true", "")
    wrong = {"nats_user": "core", "nats_password": SecretStr("no"), "nats_ca": folder / "ca.pem"}
    return Guard(
        f'{settings}\nauthorization {{ user: "core", password: "c0re" }}',
        {**wrong, "nats_password": SecretStr("c0re")},
        {"user": "core", "password": SecretStr("c0re"), "tls": TlsConfig(ca=folder / "ca.pem")},
        (wrong, {"nats_ca": folder / "ca.pem"}),
    )


@contextmanager
def guarded(guard: Guard, folder: Path) -> Iterator[str]:
    with server(folder, guard.server) as port:
        yield f"{guard.scheme}://127.0.0.1:{port}"


def as_core(url: str, folder: Path, **given: Any) -> NatsSettings:
    """What the ingest makes of LOTWISE_NATS_*."""
    settings = Settings(instance="test", data_dir=folder, nats_url=url, **given)
    return nats_settings(settings, Servers("", url))


GUARDS = [password, token, credentials, tls, tls_and_password]


@pytest.mark.parametrize("make", GUARDS)
def test_a_reading_goes_all_the_way(engine: Engine, tmp_path: Path, make: Any) -> None:
    guard = make(tmp_path)
    add_points(engine)
    judge = RecordingJudge()

    async def main(url: str) -> None:
        stop = asyncio.Event()
        worker = IngestWorker(engine, as_core(url, tmp_path, **guard.core), judge, "w", options=QUICK)
        carrier = NatsCarrier(StreamConfig(urls=(url,), **guard.gateway), "gw-1")
        async with await Spool.open(tmp_path / "gw", "gw-1", "north") as spool:
            sender = Forwarder(spool, carrier, "gw-1", confirm_every=0.05)
            tasks = [asyncio.create_task(each) for each in (worker.run(stop), carrier.run(), sender.run())]
            try:
                await spool.keep([reading(n) for n in range(5)])
                await spool.flush()
                async with asyncio.timeout(30):
                    while (await spool.depth()).batches:  # noqa: ASYNC110 - the cursor sets no event
                        await asyncio.sleep(0.02)
            finally:
                stop.set()
                await tasks[0]
                await end(tasks)

    with guarded(guard, tmp_path) as url:
        asyncio.run(main(url))
    assert judge.readings == [reading(n) for n in range(5)]


@pytest.mark.parametrize("make", GUARDS)
def test_who_may_not_is_told_so(tmp_path: Path, make: Any) -> None:
    guard = make(tmp_path)
    with guarded(guard, tmp_path) as url:
        for stranger in guard.strangers:
            with pytest.raises(StreamUnavailable) as refusal:
                asyncio.run(connect(as_core(url, tmp_path, **stranger), "core", within=1.0))
            assert guard.told in str(refusal.value).lower(), stranger
            assert url in str(refusal.value)


def test_partitions_that_the_account_does_not_let_be_read_alarm_until_they_are(engine: Engine, tmp_path: Path) -> None:
    add_points(engine)
    judge = RecordingJudge()
    account = 'accounts {{ P {{ jetstream {{ {} }}, users: [{{user: "core", password: "c0re"}}] }} }}'
    port = free_port()

    async def story() -> None:
        stop = asyncio.Event()
        stream = NatsSettings((f"nats://127.0.0.1:{port}",), user="core", password="c0re")
        with server(tmp_path, account.format("max_consumers: 3"), port):
            task = asyncio.create_task(IngestWorker(engine, stream, judge, "w", options=QUICK).run(stop))
            await until(lambda: count(engine, "ingest_alarm WHERE detail LIKE '%maximum consumers%'") == PARTITIONS - 3)
        with server(tmp_path, account.format("max_consumers: 100"), port):
            client = await connect(stream, "gateway")
            try:
                await publish(client, Gateway().cut([reading(0)]))
                await until(lambda: count(engine, "ingest_alarm WHERE cleared_at IS NOT NULL") == 1)
            finally:
                await disconnect_within(client)
            stop.set()
            await task

    asyncio.run(story())
    assert judge.readings == [reading(0)]
    assert PARTITION >= 3  # one of those that were refused


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"nats_user": "core"}, "go together"),
        ({"nats_password": "c0re"}, "go together"),
        ({"nats_user": "core", "nats_password": "c0re", "nats_token": "t"}, "one of"),
        ({"nats_key": "settings.py"}, "go together"),
        ({"nats_credentials": "/nowhere/core.creds"}, "no such file: /nowhere/core.creds"),
        ({"nats_ca": "/nowhere/ca.pem"}, "no such file: /nowhere/ca.pem"),
    ],
)
def test_settings_that_cannot_be_right_are_refused_before_anything_starts(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings.model_validate(given)
