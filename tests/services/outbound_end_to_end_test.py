"""From a warm room to Grafana and back: the served app's own outbox runner tells a real HTTP server."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel.access.users import create_user
from core.erp.kernel.permits import Role
from core.outbound.grafana import Annotator
from core.outbound.handlers import register_grafana
from core.settings import Settings
from core.wiring import build_events, build_outbox
from tests.services.outbound_servers import TOKEN, grafana
from tests.serving import serving
from tests.world import OVER_8_FOR_60, World, at, every

PASSWORD = "correct horse battery"


def until(found: Callable[[], list[Any]], what: str) -> Any:
    """The first of what is found within 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if rows := found():
            return rows[0]
        time.sleep(0.05)
    raise AssertionError(f"no {what}")


def ms(clock: str) -> int:
    return int(at(clock).timestamp() * 1000)


def test_a_hold_that_the_judge_places_is_annotated_and_ended_by_its_disposition(engine: Engine, tmp_path: Path) -> None:
    world = World(engine, build_events())
    world.do(lambda u: create_user(u, "qa", "QA Person", PASSWORD, [Role.QA]))
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("00:30"))
    with grafana() as server:
        annotator = Annotator(f"{server.url}/grafana", TOKEN, timeout=2)
        outbox = build_outbox()
        register_grafana(outbox, annotator)
        settings = Settings(secret_key=SecretStr("k" * 40), instance="test", data_dir=tmp_path)
        app = create_app(settings, engine, events=world.events, outbox=outbox)

        def tagged(*tags: str) -> Callable[[], list[Any]]:
            return lambda: [row for row in list(server.annotations.values()) if set(tags) <= set(row["tags"])]

        with serving(app) as http:
            server.fail = [503]  # a Grafana that is away for a moment is asked again
            world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
            world.feed("room", every(10, at("02:10"), at("03:30"), 9.5), upto=at("03:30"))
            world.feed("room", every(10, at("03:40"), at("04:00"), 5.0), upto=at("04:00"))
            assert world.holds(sublot) == ["proven"]
            excursion = until(tagged("lotwise", "excursion", "begun", "ended"), "annotation of the excursion")
            hold = until(tagged("lotwise", "hold", f"sublot_id:{sublot}"), "annotation of the hold")
            assert excursion["time"] == ms("03:10")
            assert excursion["timeEnd"] == ms("03:40"), "when it was so, not when it was learned"
            assert "limit broken at 2026-03-02 03:10:00Z" in hold["text"]

            number = next(tag.partition(":")[2] for tag in excursion["tags"] if tag.startswith("excursion:"))
            signed = http.post("/api/v1/token", data={"username": "qa", "password": PASSWORD}).json()
            http.headers["Authorization"] = f"Bearer {signed['access_token']}"
            said = http.post(f"/api/v1/excursions/{number}/assess", json={"assessment": "compressor"})
            assert said.is_success, said.text
            decision = {"decision": "accept", "reason": "stable", "login": "qa", "password": PASSWORD}
            said = http.post(f"/api/v1/excursions/{number}/dispositions", json=decision)
            assert said.is_success, said.text
            until(tagged("hold", "lifted"), "end of the hold's annotation")
            until(tagged("lotwise", "disposition"), "annotation of the decision")
        assert len(server.annotations) == 3
        annotator.close()
