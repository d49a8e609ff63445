"""A file that lands in parts says of the goods what it says in one go, in whatever order its lines are."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.rehearsal import rehearsed
from core.erp.kernel.unit import Unit
from core.ingest import landing
from core.ingest.file_import import answer
from core.ingest.importing import ImportRequest, Series, Value, import_logger
from core.telemetry.quality import Quality, Reason
from core.wiring import build_events
from tests.stories.loggers import AFTER, FILE, Journey
from tests.world import OVER_8_FOR_60, World, at, every

FAR_OFF = at("16:00") + timedelta(days=400)
TOLD = [
    *[Value(when, value) for when, value in FILE],
    Value(at("08:30"), 5.0),  # again
    Value(at("08:35"), 9.9),  # again, and warmer
    Value(at("09:30"), None, Quality.BAD, Reason.NO_VALUE),  # again, without a value
    Value(at("10:42"), 4.0, Quality.UNCERTAIN, Reason.DEVICE),
    Value(FAR_OFF, 4.0),  # never lands
]
ORDERS = {
    "as written": TOLD,
    "newest first": sorted(TOLD, key=lambda one: one.at, reverse=True),
    "mixed": [*TOLD[1::2], *TOLD[::2]],
}


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def dry_run_answer(u: Unit, order: ImportRequest) -> dict[str, Any]:
    """What an import would answer, without the numbers of rows, which a rehearsal uses up."""
    done = rehearsed(u, lambda u: answer(u, import_logger(u, Judge(), order, live=True), dry_run=True)).model_dump()
    for one in [*done["excursions"], *done["holds"]]:
        del one["id"]
    return done


@pytest.mark.parametrize("order", ORDERS)
def test_parts_land_and_judge_as_the_whole_does(world: World, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(world, "R-1")
    journey.leave()
    journey.arrive()
    shed = world.zone("shed", points=())
    world.sublot(world.item(OVER_8_FOR_60), shed, at("05:00"), released=False)
    moist = [Value(when, 50.0) for when, _ in every(10, at("07:00"), at("13:00"), 5.0)]
    series = [Series("temperature", "Cel", ORDERS[order]), Series("humidity", "%", moist)]
    for target in ({"shipment": "SH-1"}, {"zone": "s1/a/shed"}):
        asked = ImportRequest("R-1", series, **target)  # type: ignore[arg-type]  # one of the targets
        found = []
        for part in (landing.READINGS_AT_ONCE, 7, 1):
            monkeypatch.setattr(landing, "READINGS_AT_ONCE", part)
            found.append(world.do(lambda u, asked=asked: dry_run_answer(u, asked), now=AFTER))  # type: ignore[misc]  # as it is now
        assert found[1:] == found[:1] * 2
        whole = found[0]
        assert (whole["landed"], whole["duplicates"], whole["conflicts"]) == (len(FILE) + 1 + len(moist), 1, 2)
        assert (whole["refused"], bool(whole["excursions"])) == ({"absurd_time": 1}, True)
        monkeypatch.setattr(landing, "READINGS_AT_ONCE", 20_000)


def test_parts_that_landed_are_one_batch_and_are_known_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.zone("shed", points=())
    monkeypatch.setattr(landing, "READINGS_AT_ONCE", 10)
    order = ImportRequest("R-1", [Series("temperature", "Cel", TOLD)], zone="s1/a/shed")
    first = world.do(lambda u: import_logger(u, Judge(), order, live=True), now=AFTER)
    again = world.do(lambda u: import_logger(u, Judge(), order, live=True), now=AFTER)
    assert (first.landed, first.duplicates, first.conflicts) == (len(FILE) + 1, 1, 2)
    assert (again.landed, again.duplicates, again.conflicts) == (0, len(FILE) + 2, 2)
    with world.engine.connect() as conn:
        rows = conn.execute(
            text(
                "SELECT count, landed_count, duplicate_count, conflict_count FROM batch WHERE kind = 'core' ORDER BY id"
            )
        ).all()
        assert conn.execute(text("SELECT count(*) FROM dead_letter")).scalar_one() == 1
    assert tuple(rows[0]) == (len(TOLD) - 1, len(FILE) + 1, 1, 2)
