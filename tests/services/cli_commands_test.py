"""The command line as people type it."""

import asyncio
import os
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner, Result

from core.ingest import worker
from core.ingest.stream import NatsSettings, connect, ensure_stream
from core.telemetry.connection import disconnect_within
from core.telemetry.stream import StreamSettings
from lotwise.embedded.nats import EmbeddedNats
from lotwise.runtime import Servers
from tests.conftest import in_memory
from tests.services.series_http_test import Influx, serving

ROOT = Path(__file__).parents[2]


def lotwise(*words: str, **environment: str) -> Result:
    """Runs the command with nothing of LOTWISE_* but what is given: in this process, for starting one takes seconds."""
    from lotwise.cli import app

    clean: dict[str, str | None] = {key: None for key in os.environ if key.startswith("LOTWISE_")}
    return CliRunner().invoke(app, words, env=clean | {"COLUMNS": "200"} | environment)


def started(*words: str) -> str:
    """What the installed command prints, in a process of its own."""
    command = [str(Path(sys.executable).with_name("lotwise")), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


def test_every_command_explains_itself() -> None:
    said = started("--help")
    for command in ("demo", "edge", "ingest", "serve", "simulate", "import", "prove", "bench", "dashboards", "doctor"):
        assert command in said


def test_it_says_which_version_it_is() -> None:
    assert started("--version").strip() == f"lotwise {version('lotwise')}"


def test_a_doctor_without_settings_names_the_embedded_servers(tmp_path: Path) -> None:
    done = lotwise("doctor", LOTWISE_DATA_DIR=str(tmp_path))
    assert done.exit_code == 0, done.stdout
    assert "LOTWISE_DATABASE_URL is not set: the embedded one would start" in done.stdout
    assert "LOTWISE_NATS_URL is not set: the embedded one would start" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOTWISE_INSTANCE", "prod", "LOTWISE_INSTANCE"),
        ("LOTWISE_SECRET_KEY", "change-me", "placeholder"),
        ("LOTWISE_DATABASE_URL", "mysql://x", "only PostgreSQL"),
        ("LOTWISE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "LOTWISE_DATABASE_URL"),
        ("LOTWISE_INFLUX_URL", "http://127.0.0.1:1", "InfluxDB"),
    ],
)
def test_a_doctor_says_what_is_wrong(tmp_path: Path, variable: str, value: str, said: str) -> None:
    done = lotwise("doctor", LOTWISE_DATA_DIR=str(tmp_path), **{variable: value})
    assert done.exit_code == 1
    assert said in done.stdout


def test_a_doctor_asks_influx_for_the_bucket_and_not_only_whether_it_lives(tmp_path: Path) -> None:
    influx = Influx()
    with serving(influx):
        given = {"LOTWISE_DATA_DIR": str(tmp_path), "LOTWISE_INFLUX_URL": influx.url}
        assert "bucket lotwise can be read" in lotwise("doctor", **given).stdout
        influx.query_status, influx.answers = 401, '{"error": "authorization failed"}'
        refused = lotwise("doctor", **given)
        influx.query_status, influx.answers = 200, '{"results": [{"error": "database not found: lotwise"}]}'
        missing = lotwise("doctor", **given)
    assert (refused.exit_code, missing.exit_code) == (1, 1)
    assert "401" in refused.stdout
    assert "database not found" in missing.stdout


def test_a_doctor_tells_a_stream_that_is_not_there_a_misspelt_variable_and_no_password(tmp_path: Path) -> None:
    done = lotwise(
        "doctor",
        LOTWISE_DATA_DIR=str(tmp_path),
        LOTWISE_NATS_URL="nats://core:hush@127.0.0.1:1",
        LOTWISE_NATS_CREDENTALS="x",
        LOTWISE_SPOOL="x",
    )
    assert done.exit_code == 1
    assert "was LOTWISE_NATS_CREDENTIALS meant?" in done.stdout
    assert "LOTWISE_NATS_URL: stream at nats://127.0.0.1:1" in done.stdout
    assert "hush" not in done.stdout
    assert "LOTWISE_SPOOL" not in done.stdout


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_data_folder_that_cannot_be_made_ends_the_command_with_a_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    done = lotwise(command, LOTWISE_DATA_DIR=str(tmp_path / "file" / "data"))
    assert done.exit_code == 1
    assert (
        done.output.strip()
        == f"{tmp_path}/file/data/secret.key in LOTWISE_DATA_DIR cannot be read or made: Not a directory"
    )


def test_a_site_says_at_its_start_which_variable_is_misspelt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    right = dict.fromkeys(("LOTWISE_PASSWORD", "LOTWISE_MQTT_PASSWORD", "LOTWISE_OPCUA_PASSWORD", "LOTWISE_LOGIN"), "x")
    wrong = {"LOTWISE_DATADIR": "x", "LOTWISE_WEBHOOK_URLS": "x"}
    lotwise("up", LOTWISE_DATA_DIR=str(tmp_path / "file" / "data"), **right, **wrong)
    assert "LOTWISE_DATADIR is no setting and changes nothing; was LOTWISE_DATA_DIR meant?" in caplog.text
    assert "was LOTWISE_WEBHOOK_URL meant?" in caplog.text
    assert caplog.text.count("changes nothing") == len(wrong)


def test_a_doctor_finds_a_stream_on_fewer_nodes_than_meant(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    given = {"LOTWISE_DATA_DIR": str(tmp_path), "LOTWISE_NATS_URL": nats_server.url, "LOTWISE_NATS_REPLICAS": "3"}
    assert lotwise("doctor", **given).exit_code == 0, "none is there: it will be made as meant"

    async def make() -> None:
        client = await connect(NatsSettings((nats_server.url,)), "test")
        await ensure_stream(client, StreamSettings(replicas=1))
        await disconnect_within(client)

    asyncio.run(make())
    done = lotwise("doctor", **given)
    assert done.exit_code == 1
    assert "lives on 1 node(s), LOTWISE_NATS_REPLICAS says 3" in " ".join(done.stdout.replace("│", " ").split())
    assert lotwise("doctor", **{**given, "LOTWISE_NATS_REPLICAS": "1"}).exit_code == 0


@pytest.mark.parametrize("words", [["ingest"], ["ingest", "replay"], ["migrate"], ["serve"]])
def test_a_database_that_is_not_there_is_told_in_words(tmp_path: Path, words: list[str]) -> None:
    done = lotwise(
        *words,
        LOTWISE_DATA_DIR=str(tmp_path),
        LOTWISE_SECRET_KEY="k" * 40,
        LOTWISE_LOG_LEVEL="ERROR",
        LOTWISE_DATABASE_URL="postgresql://me:hush@127.0.0.1:1/x",
        LOTWISE_NATS_URL="nats://127.0.0.1:1",
    )
    assert done.exit_code == 1
    assert 'server at "127.0.0.1", port 1 failed' in done.output
    assert "Traceback" not in done.output
    assert "hush" not in done.output


def test_a_stream_that_is_not_there_is_told_in_words(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first connection is waited for
    monkeypatch.setattr(worker, "connect", partial(connect, within=0.2))
    monkeypatch.setattr(Servers, "prepare", lambda _: None)
    done = lotwise(
        "ingest",
        LOTWISE_DATABASE_URL=postgres_url,
        LOTWISE_NATS_URL="nats://core:hush@127.0.0.1:1",
        LOTWISE_DATA_DIR=str(tmp_path),
        LOTWISE_LOG_LEVEL="ERROR",
    )
    assert done.exit_code == 1
    assert "stream at nats://127.0.0.1:1" in done.output
    assert "hush" not in done.output


def test_edge_check_says_everything_that_is_wrong_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("gateway: g 1\nsite: s1\nsources:\n  - {name: a, protocol: mqt}\n")
    done = lotwise("edge", "--check", str(file))
    assert done.exit_code == 1
    assert f"{file}:1" in done.stdout
    assert f"{file}:4" in done.stdout
    assert lotwise("edge", "check", str(file)).stdout == done.stdout


def test_edge_check_takes_every_example(tmp_path: Path) -> None:
    for example in sorted((ROOT / "edge" / "examples").glob("*.yaml")):
        done = lotwise(
            "edge",
            "--check",
            str(example),
            LOTWISE_FILLING_2_PASSWORD="x",
            LOTWISE_MQTT_PASSWORD="x",
            LOTWISE_STREAM_PASSWORD="x",
        )
        assert done.exit_code == 0, (example, done.stdout)
    assert not list(tmp_path.iterdir())


def test_simulators_refuse_an_instance_that_is_not_a_test_instance() -> None:
    done = lotwise("simulate", "truck_door", LOTWISE_INSTANCE="live")
    assert done.exit_code == 2
    assert "refused" in done.stdout


def test_a_server_with_a_database_of_its_own_needs_a_secret_key() -> None:
    done = lotwise("serve", LOTWISE_DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert done.exit_code == 2
    assert "LOTWISE_SECRET_KEY" in done.stdout


@pytest.mark.parametrize("address", ["mqtt://[::1", "modbus://plc:port", "opc.tcp://[plc"])
def test_browsing_what_is_no_address_is_told_in_words(tmp_path: Path, address: str) -> None:
    done = lotwise("edge", "browse", address, LOTWISE_DATA_DIR=str(tmp_path), LOTWISE_INSTANCE="test")
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert address.partition("//")[2][:4] in done.output


def test_a_backup_that_cannot_be_written_is_told_in_words() -> None:
    # not below pytest's folder: under root PostgreSQL runs as nobody, and every pytest that starts closes it to others
    with TemporaryDirectory(prefix="lotwise-backup-", dir=in_memory()) as folder:
        done = lotwise("backup", "/proc/no-such-folder", LOTWISE_DATA_DIR=folder, LOTWISE_INSTANCE="test")
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert "no backup" in done.output
    assert "/proc/no-such-folder" in done.output
