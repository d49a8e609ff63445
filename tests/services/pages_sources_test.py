"""What a source offers: asked within the plant's networks or pasted, shown as a section, taken into the catalog."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.settings import Settings
from core.web.desks.sources.port import AskedSource, CannotAsk, NotOfThePlant
from lotwise.embedded.nats import EmbeddedNats
from lotwise.sources.asking import SourcesBeside
from tests.pages import Browser, filled, pages, text_of
from tests.servers import free_port
from tests.world import judging

PEOPLE = {"eng": ["plant_engineer", "admin"], "qa": ["qa"], "wes": ["warehouse"]}
SOURCE = """
- name: boxes
  protocol: modbus
  transport: {kind: tcp, host: 10.1.2.3}
  units:
    - id: 1
      points:
        - {point: s1/a/room/box/temperature, table: input, address: 0, type: int16, scale: "0.1", unit: Cel}
        - {point: s1/a/attic/box/temperature, table: input, address: 1, type: int16, scale: "0.1", unit: Cel}
"""
SECRET = "nobody-may-read-this"


def beside(networks: str = "") -> SourcesBeside:
    return SourcesBeside(Settings(instance="test", secret_key=SecretStr("s" * 40), plant_networks=networks))


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    judging(module_engine).zone("room", points=())
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE, sources=beside()) as found:
        yield found


@pytest.fixture
def speaking(mqtt_broker: EmbeddedNats) -> Iterator[str]:
    """The address of a broker on which a sensor speaks."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "probe")
    assert mqtt_broker.mqtt_port is not None
    client.connect("127.0.0.1", mqtt_broker.mqtt_port)
    client.loop_start()
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.2):
            payload = {"Time": "2026-03-02T08:00:00", "DS18B20": {"Temperature": 5.5}, "TempUnit": "C"}
            client.publish("tele/fridge-1/SENSOR", json.dumps(payload))

    thread = threading.Thread(target=speak)
    thread.start()
    yield f"mqtt://127.0.0.1:{mqtt_broker.mqtt_port}"
    over.set()
    thread.join()
    client.loop_stop()
    client.disconnect()


def test_a_broker_is_asked_and_its_points_are_taken_into_the_catalog(
    people: dict[str, Browser], speaking: str, module_engine: Engine
) -> None:
    eng = people["eng"]
    asked = {"_key": "ask-1", "address": speaking, "zone": "s1/a/room", "seconds": "3", "topics": "#", "units": "1"}
    answer = eng.client.post("/setup/sources/ask", data={**asked, "password": SECRET, "user": "u"})
    assert answer.status_code == 200, text_of(answer.text)[:1500]
    read = text_of(answer.text)
    assert "s1/a/room/fridge-1/" in read
    assert "protocol: mqtt" in answer.text
    assert SECRET not in answer.text
    form = answer.text[answer.text.index('action="/setup/sources/points"') - 100 :].partition("</form>")[0]
    taken = eng.client.post("/setup/sources/points", data=filled(form))
    assert taken.status_code == 303, text_of(taken.text)[:1500]
    assert "Points made: 1" in text_of(eng.get(taken.headers["location"]))
    with module_engine.connect() as conn:
        addresses = conn.scalars(text("SELECT address FROM point WHERE address LIKE 's1/a/room/fridge-1/%'")).all()
        told = conn.scalars(text("SELECT after::text FROM audit WHERE action = 'source.browse'")).all()
    assert len(addresses) == 1
    assert speaking in told[-1]
    assert SECRET not in told[-1]


def test_a_pasted_part_of_a_configuration_shows_what_is_missing(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    answer = eng.client.post("/setup/sources/paste", data={"_key": "p1", "text": SOURCE})
    read = text_of(answer.text)
    assert "s1/a/room/box/temperature" in read
    assert "Its zone is not there" in read
    assert 'href="/zones/new?address=s1/a/attic"' in answer.text
    sent = {"_key": "p2", "point": "s1/a/room/box/temperature temperature required Cel"}
    assert eng.client.post("/setup/sources/points", data=sent).status_code == 303
    again = text_of(eng.client.post("/setup/sources/paste", data={"_key": "p3", "text": SOURCE}).text)
    assert "There already" in again


def test_zones_that_are_missing_are_made_with_their_points_by_who_may(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    eng, pasted = people["eng"], SOURCE.replace("s1/a/attic", "p1/a/loft").replace("s1/a/room", "p1/a/cellar")
    eng.send("/sites/new", {"code": "p1", "name": "Plant 1"})
    answer = eng.client.post("/setup/sources/paste", data={"_key": "z1", "text": pasted})
    assert "p1/a/cellar, p1/a/loft" in text_of(answer.text)
    form = answer.text[answer.text.index('action="/setup/sources/points"') - 100 :].partition("</form>")[0]
    taken = eng.client.post("/setup/sources/points", data=filled(form))
    assert taken.status_code == 303, text_of(taken.text)[900:2200]
    with module_engine.connect() as conn:
        names = conn.scalars(text("SELECT name FROM zone WHERE address IN ('p1/a/loft', 'p1/a/cellar') ORDER BY 1"))
        assert names.all() == ["cellar", "loft"]
    nowhere = {"_key": "z2", "zones": "yes", "point": "s9/a/b/box/temperature temperature required Cel"}
    assert eng.client.post("/setup/sources/points", data=nowhere).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        "- {name: x, protocol: modbus}",
        "gateway: [",
        "nothing: here",
        "- 7",
        "<script>alert(1)</script>",
        "a: &a [x, x]\nb: &b [*a, *a]\nsources: [*b]",
        "\u202e\x00",
    ],
)
def test_what_is_no_configuration_is_refused_with_why_and_stays(people: dict[str, Browser], wrong: str) -> None:
    answer = people["eng"].client.post("/setup/sources/paste", data={"_key": f"w{hash(wrong)}", "text": wrong})
    assert answer.status_code == 422, text_of(answer.text)[:500]
    assert "It could not be read" in text_of(answer.text)
    assert "<script>alert" not in answer.text


def test_points_that_cannot_be_are_refused_and_none_is_made(people: dict[str, Browser], module_engine: Engine) -> None:
    eng = people["eng"]
    for number, chosen in enumerate(
        (["s1/a/room/new/temperature temperature required Cel", "nonsense"], [], ["a b c d"])
    ):
        answer = eng.client.post("/setup/sources/points", data={"_key": f"n{number}", "point": chosen})
        assert answer.status_code == 422
    with module_engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM point WHERE address LIKE 's1/a/room/new/%'")) == 0


def test_nothing_is_sent_outside_the_plants_networks(people: dict[str, Browser]) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.2)
        for address in (f"mqtt://127.0.0.1:{port}", f"modbus://localhost:{port}", f"opc.tcp://127.0.0.1:{port}"):
            with pytest.raises(NotOfThePlant):
                asyncio.run(beside("10.0.0.0/8").ask(AskedSource(address, "s1/a/room", "", seconds=1.0)))
        with pytest.raises(TimeoutError):
            listener.accept()
    sent = {"_key": "out", "address": "mqtt://192.0.2.1", "zone": "s1/a/room", "seconds": "1"}
    answer = people["eng"].client.post("/setup/sources/ask", data=sent)
    assert answer.status_code == 403
    assert "none of the plant's networks" in text_of(answer.text)
    assert 'value="mqtt://192.0.2.1"' in answer.text


def test_a_source_that_is_away_or_no_address_says_so_in_time() -> None:
    began = time.monotonic()
    for address in (f"mqtt://127.0.0.1:{free_port()}", "nonsense", "http://127.0.0.1/", "mqtt://"):
        with pytest.raises((CannotAsk, NotOfThePlant)):
            asyncio.run(beside().ask(AskedSource(address, "s1/a/room", "", seconds=1.0)))
    assert time.monotonic() - began < 60


def test_only_who_makes_points_may_and_a_live_instance_asks_nowhere(people: dict[str, Browser], tmp_path: Path) -> None:
    assert 'href="/setup/sources"' in people["eng"].get("/setup")
    people["wes"].get("/setup/sources", 403)
    for path in ("ask", "paste", "points"):
        assert people["wes"].client.post(f"/setup/sources/{path}", data={"_key": "k"}).status_code == 403
    live = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    assert SourcesBeside(live).networks == ()
