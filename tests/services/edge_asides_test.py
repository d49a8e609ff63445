"""What a gateway cannot read is told, counted by topic, and listed from the spool while the gateway runs."""

import asyncio
import logging
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge import asides
from edge.app import Gateway
from edge.health import metrics
from edge.spool import Spool
from edge.supervisor import TOPICS_COUNTED
from tests.services.edge_stage import FedCollector, fed, gateway_config

CONFIG = """\
gateway: gw
site: plant
instance: test
data_dir: {folder}
stream: {{urls: ["nats://localhost:4222"], token: "${{NOT_SET_HERE}}"}}
sources: []
"""


def printed(folder: Path, capsys: pytest.CaptureFixture[str], topic: str | None = None, limit: int = 100) -> list[str]:
    file = folder.parent / "gateway.yaml"
    file.write_text(CONFIG.format(folder=folder))
    assert asides.main(file, topic, limit) == 0
    return capsys.readouterr().out.splitlines()


def test_what_is_put_aside_is_said_once_counted_by_topic_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"

    async def story() -> None:
        collector = FedCollector()
        config = gateway_config(folder, "nats://localhost:4")
        async with await Spool.open(folder, "gw", "plant") as spool:
            gateway = Gateway(config, spool, fed(collector))
            (source,) = gateway.supervisor.sources
            for number in range(3):
                await source.aside("tele/a/SENSOR", b'{"t": %d' % number, f"not JSON: char {number}")
            await source.aside("tele/a/SENSOR", b"\xff\x00", "not UTF-8 at byte 0")
            await source.aside("tele/b/SENSOR", b"\x1b[2J", "not JSON: at 0")
            health = await gateway.health()
            assert health.sources[0].asides_by_topic == {"tele/a/SENSOR": 4, "tele/b/SENSOR": 1}
            families = {family.name: family for family in text_string_to_metric_families(metrics(health).decode())}
            counted = families["lotwise_edge_source_topic_asides"].samples
            assert {sample.labels["topic"]: sample.value for sample in counted} == health.sources[0].asides_by_topic
            # while the gateway runs
            listed = printed(folder, capsys)
            assert [line.split()[0] for line in listed] == ["1", "1", "3"]
            assert "tele/b/SENSOR" in listed[0]
            ours = printed(folder, capsys, "tele/a/+")
            assert len(ours) == 8
            assert "ff 00" in ours[1]
            assert "'{\"t\": 2'" in ours[3]
            assert "\x1b" not in "".join(printed(folder, capsys, "tele/b/SENSOR"))
            assert printed(folder, capsys, "tele/c/SENSOR") == ["nothing of tele/c/SENSOR was put aside"]
            assert len(printed(folder, capsys, "#", 2)) == 5
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len([line for line in told if "put aside what came by" in line]) == 3

    asyncio.run(story())


def test_a_device_that_makes_up_topics_does_not_grow_the_counts(tmp_path: Path) -> None:
    async def story() -> None:
        collector = FedCollector()
        async with await Spool.open(tmp_path, "gw", "plant") as spool:
            gateway = Gateway(gateway_config(tmp_path, "nats://localhost:4"), spool, fed(collector))
            (source,) = gateway.supervisor.sources
            for number in range(TOPICS_COUNTED + 20):
                await source.aside(f"made/up/{number}", b"x", "not JSON")
            counted = (await gateway.health()).sources[0].asides_by_topic
            assert len(counted) == TOPICS_COUNTED + 1
            assert counted["other"] == 20
            assert source.asides == TOPICS_COUNTED + 20

    asyncio.run(story())


def test_where_there_is_no_spool_the_operator_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.format(folder=tmp_path / "nowhere"))
    assert asides.main(file, None, 10) == 1
    assert "has the gateway run?" in capsys.readouterr().out
    file.write_text("gateway: gw\n")
    assert asides.main(file, None, 10) == 1
    assert "data_dir: is required" in capsys.readouterr().out
