"""Servers for tests: one PostgreSQL a session, a fresh database a test; nats-server per test module."""

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certifi
import psycopg
import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from psycopg import sql
from sqlalchemy import Engine, make_url

from core.erp.kernel import passwords
from core.erp.kernel.connections import close_for_good
from core.erp.kernel.rights import APP, OWNER
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened

_numbers = itertools.count(1)

# small by default, so that the whole suite stays within minutes; large in `make test-full`
settings.register_profile("small", max_examples=50, deadline=None)
settings.register_profile("large", max_examples=1000, deadline=None)
settings.load_profile("large" if os.environ.get("LOTWISE_TEST_HEAVY") == "1" else "small")


LONGEST = (
    "stories/demo_story_test.py",
    "services/bench_smoke_test.py",
    "faults/processes_test.py",
    "services/dashboards_demo_test.py",
    "faults/serving_workers_test.py",
    "faults/torture_test.py",
    "stories/web_story_test.py",
    "stories/onboarding_story_test.py",
    "stories/axe_story_test.py",
    "contracts/records_test.py",
    "services/pages_hostile_test.py",
)
"""Files of tests that take half a minute and more, the longest first."""
FOLDERS = ("faults", "stories", "services", "contracts", "rules", "architecture")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that none is left alone at the end; the shortest fill up then."""
    tests = Path(__file__).parent
    absent = [name for name in LONGEST if not (tests / name).exists()]
    assert absent == [], f"LONGEST names files that are not there: {absent}"

    def turn(item: pytest.Item) -> tuple[int, int]:
        name = item.path.as_posix().removeprefix(f"{tests.as_posix()}/")
        folder = name.partition("/")[0]
        return (
            LONGEST.index(name) if name in LONGEST else len(LONGEST),
            FOLDERS.index(folder) if folder in FOLDERS else 0,
        )

    items.sort(key=turn)


def pytest_collection() -> None:
    """What is imported while tests are collected stays: the collector of cycles need not walk it meanwhile."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor walk it again after every test's few objects."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def messages_fit() -> Iterator[None]:
    """A refusal of an unknown id, or with parameters that its text does not have, fails where it is made: what reads
    the source (tests/architecture/words_test.py) does not see an id that comes in a variable.
    """
    from core.erp.kernel.errors import LotwiseError, UnfitValue
    from core.erp.kernel.words import misfit

    def checked(kind: type[LotwiseError] | type[UnfitValue]) -> None:
        make = kind.__init__

        def init(self: Any, *said: Any, **params: Any) -> None:
            make(self, *said, **params)
            wrong = misfit(self.message)
            assert wrong is None, wrong

        patch.setattr(kind, "__init__", init)

    with pytest.MonkeyPatch.context() as patch:
        checked(LotwiseError)
        checked(UnfitValue)
        yield


@pytest.fixture(scope="session", autouse=True)
def few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients of the tests and of the commands they start trust one authority of the web instead of all: reading all
    takes 30 ms a client (measured), and no test asks the web.
    """
    first = tmp_path_factory.mktemp("authorities") / "one.pem"
    first.write_text(_first_certificate(Path(certifi.where()).read_text("utf-8")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(first))
        yield


def _first_certificate(pem: str) -> str:
    _, begins, rest = pem.partition("-----BEGIN CERTIFICATE-----")
    certificate, ends, _ = rest.partition("-----END CERTIFICATE-----")
    return f"{begins}{certificate}{ends}\n"


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """A password's hash takes next to nothing; what a real one costs is said by tests/rules/passwords_test.py."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "hasher", lambda: cheap)
        yield


def in_memory() -> str | None:
    """A folder in memory if there is a large one: a test's database is hundreds of files, made 20 times faster so."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 4 * 2**30
    return str(folder) if roomy else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this worker's own, without fsync.

    Not below pytest's own folder: under root PostgreSQL runs as nobody, and every pytest that starts closes that
    folder to others again.
    """
    with tempfile.TemporaryDirectory(prefix="lotwise-postgres-", dir=in_memory()) as folder:
        # a connection takes 1 ms instead of 5 of our own where a password is hashed once (measured)
        server = EmbeddedPostgres(Path(folder), durable=False, settings={"scram_iterations": "1"})
        server.start()
        _hash_password_once(server)
        yield server
        server.stop()


def _hash_password_once(server: EmbeddedPostgres) -> None:
    """The superuser's too: it was made before the server had its settings."""
    password = make_url(server.url()).password
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with the whole schema, to copy from."""
    from core.erp.kernel.schema import create_schema

    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE lotwise_template OWNER {OWNER}".encode())
    engine = opened(postgres.url_as(OWNER, "lotwise_template"))
    create_schema(engine)
    close_for_good(engine)
    return "lotwise_template"


@contextmanager
def copied(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a database copied from the template, dropped at the end."""
    name = f"t_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())
    yield name
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The name of a fresh database with the whole schema."""
    with copied(postgres, template) as name:
        yield name


@pytest.fixture(scope="module")
def module_engine(postgres: EmbeddedPostgres, template: str) -> Iterator[Engine]:
    """One database for all tests of a module, as the running application sees it: for what is expensive to start."""
    with copied(postgres, template) as name:
        made = opened(postgres.url_as(APP, name), pool_size=10, max_overflow=20)
        yield made
        close_for_good(made)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database: str) -> str:
    """SQLAlchemy URL of a fresh database with the whole schema, as the application's role.

    A test marked `as_owner` owns the server: it tampers, or shows what triggers forbid whoever it is.
    """
    owns = request.node.get_closest_marker("as_owner") is not None
    return postgres.url(database) if owns else postgres.url_as(APP, database)


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """A fresh database with the whole schema, as the running application sees it: its role owns nothing."""
    made = opened(postgres_url, pool_size=10, max_overflow=20)
    yield made
    close_for_good(made)


@pytest.fixture
def owner(postgres: EmbeddedPostgres, database: str) -> Iterator[Engine]:
    """The same database for whoever owns the server: what tampers, switches triggers off, drops."""
    made = opened(postgres.url(database))
    yield made
    close_for_good(made)


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A stream server of this test's own; the test may stop, kill and start it."""
    server = EmbeddedNats(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mqtt_broker(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """The embedded MQTT broker (3.1.1) on `mqtt_port`."""
    server = EmbeddedNats(tmp_path / "broker", mqtt=True)
    server.start()
    yield server
    server.stop()
