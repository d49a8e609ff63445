"""`lotwise watch` against real servers: what it sees from outside, whom it tells, what it keeps when nobody hears."""

import json
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from sqlalchemy import Engine
from typer.testing import CliRunner

from core.app import create_app
from core.outbound.watching import ANSWER, Policy
from core.settings import Settings
from lotwise.cli import app as lotwise
from lotwise.watching.look import Place
from lotwise.watching.memory import BadMemory, load
from lotwise.watching.watch import BadChannel, Watch, channel
from tests.processes import Command, until
from tests.servers import free_port
from tests.services.outbound_servers import receiver
from tests.serving import serving


class Letters:
    """An SMTP server's mailbox."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        del server, session
        self.kept.append(envelope)
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[str, Letters]]:
    letters = Letters()
    server = Controller(letters, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield f"mailto://127.0.0.1:{server.port}?from=watch@lotwise.example&to=engineer@lotwise.example", letters
    finally:
        server.stop()


class Authority:
    """Vouches for a server of 127.0.0.1 whose certificate ends in ten days."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.pem = self._made(self._key, self._name, authority=True).public_bytes(serialization.Encoding.PEM)

    def _made(self, key: ec.EllipticCurvePrivateKey, name: x509.Name, *, authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=10))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def server(self, folder: Path) -> ssl.SSLContext:
        """What a server ends TLS with."""
        key, name = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "core")]),
        )
        plain = serialization.NoEncryption()
        pem = self._made(key, name, authority=False).public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (folder / "server.pem").write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        return context


@contextmanager
def answering(said: Any, tls: ssl.SSLContext | None = None, asked: list[str] | None = None) -> Iterator[str]:
    """A server that gives one answer to every GET; its address."""

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

        def do_GET(self) -> None:
            if asked is not None:
                asked.append(self.path)
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def subjects(server: Any) -> list[str]:
    return [json.loads(body)["title"] for _, body in server.received]


@contextmanager
def core(engine: Engine, folder: Path, port: int | None = None) -> Iterator[str]:
    settings = Settings(instance="test", secret_key=SecretStr("k" * 40), data_dir=folder)
    with serving(create_app(settings, engine, run_background=False), port) as client:
        yield str(client.base_url)


@pytest.fixture
def place() -> Iterator[Callable[..., Place]]:
    made = []

    def make(url: str, **given: Any) -> Place:
        made.append(Place(url, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_core_that_is_well_has_nothing_wrong(engine: Engine, tmp_path: Path, place: Callable[..., Place]) -> None:
    with core(engine, tmp_path) as url:
        found = place(url).look()
    assert {name for name, trouble in found.items() if trouble} == set()
    assert {ANSWER, "database", "ingest", "gateways", "own_clock", "served_certificate"} <= found.keys()


def test_a_clock_that_is_an_hour_off_is_seen(engine: Engine, tmp_path: Path, place: Callable[..., Place]) -> None:
    with core(engine, tmp_path) as url:
        found = place(url, clock=lambda: datetime.now(UTC).timestamp() + 3600).look()
    assert found["own_clock"] in {"3600 s behind the watch's", "3601 s behind the watch's"}


def test_nobody_there_and_somebody_else_there_are_no_answer(place: Callable[..., Place]) -> None:
    nobody = place(f"http://127.0.0.1:{free_port()}").look()
    assert nobody.keys() == {ANSWER}
    assert "refused" in str(nobody[ANSWER]).lower()
    with receiver() as other:
        assert place(other.url).look().keys() == {ANSWER}
    with socket.create_server(("127.0.0.1", 0)) as closes:
        url = f"http://127.0.0.1:{closes.getsockname()[1]}"
        closes.close()
        assert place(url).look().keys() == {ANSWER}


def watch(places: list[Place], channels: list[Any], folder: Path, **given: Any) -> Watch:
    return Watch(places, channels, folder / "memory.json", **{"policy": Policy(looks=1), **given})


def test_the_core_dies_and_the_engineer_has_mail_and_mail_when_it_is_back(
    engine: Engine, tmp_path: Path, place: Callable[..., Place], mailbox: tuple[str, Letters]
) -> None:
    address, letters = mailbox
    port = free_port()
    looked = place(f"http://127.0.0.1:{port}")
    it = watch([looked], [channel(address)], tmp_path)
    with core(engine, tmp_path, port):
        assert it.round()
    assert letters.kept == []
    assert not it.round()
    assert not it.round(), "it still is, and is not told anew"
    assert len(letters.kept) == 1
    assert b"no answer" in letters.kept[0].content
    with core(engine, tmp_path, port):
        assert it.round()
    assert len(letters.kept) == 2
    assert b"well again" in letters.kept[1].content


def test_what_no_channel_took_is_kept_over_a_restart_and_told_in_order(
    tmp_path: Path, place: Callable[..., Place]
) -> None:
    gone, also = place(f"http://127.0.0.1:{free_port()}"), place(f"http://127.0.0.1:{free_port()}")
    with receiver() as server:
        address = server.url.replace("http://", "json://")
        server.fail = [503, 503]
        assert not watch([gone], [channel(address)], tmp_path).round()
        assert not watch([gone, also], [channel(address)], tmp_path).round()
        assert len(load(tmp_path / "memory.json").untold) == 2
        watch([gone, also], [channel(address)], tmp_path).round()
        assert len(server.received) == 2
        first, second = (url.removeprefix("http://") for url in (gone.url, also.url))
        assert [first in subjects(server)[0], second in subjects(server)[1]] == [True, True]
        watch([gone, also], [channel(address)], tmp_path).round()
        assert len(server.received) == 2, "told is told"


def test_one_of_two_channels_is_enough_and_both_are_tried(tmp_path: Path, place: Callable[..., Place]) -> None:
    gone = place(f"http://127.0.0.1:{free_port()}")
    with receiver() as broken, receiver() as works:
        broken.fail = [500]
        ways = [channel(one.url.replace("http://", "json://")) for one in (broken, works)]
        watch([gone], ways, tmp_path).round()
        assert len(works.received) == 1
    assert load(tmp_path / "memory.json").untold == []


def test_the_all_clear_comes_after_a_restart_of_the_watch_too(
    engine: Engine, tmp_path: Path, place: Callable[..., Place]
) -> None:
    port = free_port()
    with receiver() as server:
        way = channel(server.url.replace("http://", "json://"))
        watch([place(f"http://127.0.0.1:{port}")], [way], tmp_path).round()
        with core(engine, tmp_path, port):
            watch([place(f"http://127.0.0.1:{port}")], [way], tmp_path).round()
            watch([place(f"http://127.0.0.1:{port}")], [way], tmp_path).round()
        assert ["well again" in one for one in subjects(server)] == [False, True]


def test_a_place_that_is_watched_no_longer_leaves_nothing_standing(tmp_path: Path, place: Callable[..., Place]) -> None:
    watch([place(f"http://127.0.0.1:{free_port()}")], [lambda _: True], tmp_path).round()
    other = place(f"http://127.0.0.1:{free_port()}")
    watch([other], [lambda _: True], tmp_path).round()
    assert load(tmp_path / "memory.json").standing.keys() == {other.url}


def test_a_round_that_told_everything_pings_whoever_watches_the_watch(
    tmp_path: Path, place: Callable[..., Place], engine: Engine
) -> None:
    asked: list[str] = []
    with core(engine, tmp_path) as url, answering({}, asked=asked) as outside:
        watch([place(url)], [lambda _: True], tmp_path, ping=f"{outside}/ping").round()
        gone = place(f"http://127.0.0.1:{free_port()}")
        watch([gone], [lambda _: False], tmp_path, ping=f"{outside}/ping").round()
    assert asked == ["/ping"], "not while something is untold"


def test_a_memory_that_is_not_ours_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text('{"standing": 3}')
    with pytest.raises(BadMemory):
        watch([], [], tmp_path).round()
    assert (tmp_path / "memory.json").read_text() == '{"standing": 3}'


def test_an_address_that_is_no_channel_is_refused_without_its_secret() -> None:
    with pytest.raises(BadChannel) as refused:
        channel("nonsense://user:secret@host")
    assert "secret" not in str(refused.value)
    assert "nonsense://…" in str(refused.value)


def run(*words: str, channels: str | None = None) -> Any:
    environment = {} if channels is None else {"LOTWISE_WATCH_CHANNELS": channels}
    return CliRunner().invoke(lotwise, ["watch", *words], env=environment)


def test_once_and_test_say_how_it_is_by_their_exit(engine: Engine, tmp_path: Path) -> None:
    memory = ("--memory", str(tmp_path / "m.json"))
    with receiver() as server, core(engine, tmp_path) as url:
        address = server.url.replace("http://", "json://")
        assert run(url, "--once", *memory, channels=address).exit_code == 0
        assert run(f"http://127.0.0.1:{free_port()}", "--once", *memory, channels=address).exit_code == 1
        assert run(url, "--test", channels=address).exit_code == 0
        assert subjects(server)[-1].startswith("TEST, no action needed")
        server.fail = [500]
        failed = run(url, "--test", channels=address)
        assert (failed.exit_code, "did not take it" in failed.output) == (1, True)
    assert run("http://127.0.0.1:1", "--once").exit_code == 2, "without a channel it tells nobody"
    assert "no channel" in str(run("http://127.0.0.1:1", "--once", channels=" ").exception)


def test_a_watch_that_is_killed_tells_again_rather_than_never(tmp_path: Path) -> None:
    """It is killed while the channel has the message and has not answered yet."""
    memory = tmp_path / "m.json"
    words = ("watch", f"http://127.0.0.1:{free_port()}", "--every", "1", "--looks", "1", "--memory", str(memory))
    with receiver() as server:
        address = server.url.replace("http://", "json://")
        server.delay = 3.0
        first = Command(tmp_path / "data", *words, LOTWISE_WATCH_CHANNELS=address)
        until(lambda: memory.exists() and load(memory).untold, "it knows what to tell")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
        server.delay = 0.0
        second = Command(tmp_path / "data", *words, LOTWISE_WATCH_CHANNELS=address)
        until(lambda: memory.exists() and not load(memory).untold, "it is told")
        second.process.terminate()
        assert second.process.wait(20) == 0
        told = [one for one in subjects(server) if "no answer" in one]
    assert len(told) in {1, 2}


def test_a_certificate_that_is_shown_and_ends_soon_is_told(tmp_path: Path, place: Callable[..., Place]) -> None:
    authority = Authority()
    with answering({"status": "ok", "checks": {}}, authority.server(tmp_path)) as url:
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        soon = place(url, ca=tmp_path / "ca.pem").look()
        stranger = place(url).look()
    assert soon[ANSWER] is None
    assert (soon["served_certificate"] or "").startswith("the certificate ends on ")
    assert "certificate" in str(stranger[ANSWER]).lower(), "one that nobody vouches for is no answer"
