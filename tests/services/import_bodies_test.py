"""The JSON of an import, large or small: what is asked is the same, and nobody else waits for it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.ingest import import_bodies
from core.ingest.import_bodies import AT_ONCE, AllValues, MisfitBody, _read, read_body
from core.ingest.import_shapes import ImportIn
from core.telemetry.compact import State, micros_of
from core.telemetry.quality import Quality, Reason

HEAD = {"serial": "R-1", "zone": "plant/cold/room-1", "source": "R-1.csv"}
START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def body(*series: list[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({**HEAD, "series": [{"unit": "Cel", "values": values} for values in series], **more}).encode()


def many(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"at": f"2026-03-02T{n // 60 % 24:02}:{n % 60:02}:00Z", "value": n % 80 / 10, **more} for n in range(count)]


def rows(read: AllValues) -> list[list[tuple[int, float | None, State]]]:
    return [list(values.rows()) for _, values in read]


def faults(data: bytes) -> list[tuple[list[str | int], str]]:
    with pytest.raises(MisfitBody) as misfit:
        asyncio.run(read_body(data))
    return [(where, kind) for kind, where, _ in misfit.value.faults]


def test_a_large_one_comes_back_whole_series_after_series() -> None:
    warm = [*many(3000), {"at": "2026-03-02T08:00:00.5+01:00", "value": None}]
    moist = [{"at": "2026-03-02T08:00:00Z", "value": 7, "quality": "uncertain"}, *many(2000, quality="bad", reason="x")]
    data = body(warm, moist, dry_run=True, start="2026-03-02T08:00:00Z")
    assert len(data) > AT_ONCE
    asked, read = asyncio.run(read_body(data))
    assert (asked.serial, asked.zone, asked.source, asked.dry_run) == ("R-1", "plant/cold/room-1", "R-1.csv", True)
    assert asked.start == START
    first, second = rows(read)
    assert [value for _, value, _ in first] == [*(n % 80 / 10 for n in range(3000)), None]
    assert first[-1] == (micros_of(START) - 3_599_500_000, None, State(Quality.BAD, Reason.NO_VALUE, "Cel"))
    assert second[0] == (micros_of(START), 7.0, State(Quality.UNCERTAIN, Reason.DEVICE, "Cel"))
    assert {state for _, _, state in second[1:]} == {State(Quality.BAD, "x", "Cel")}


ORDINARY = st.fixed_dictionaries(
    {"at": st.sampled_from(["2026-03-02T08:00:00Z", "2026-03-02T08:00:00.123456-04:30", "2026-02-28T23:59:59.1Z"])}
    | {"value": st.none() | st.integers(-5, 99) | st.floats(-300, 300)},
    optional={"quality": st.sampled_from(["good", "uncertain", "bad"]), "reason": st.text("ab_é温", max_size=64)},
)
UNUSUAL = st.sampled_from(
    [
        {"at": 1772438400, "value": 5},
        {"at": "2026-03-02 08:00:00Z", "value": 5},
        {"at": "2026-03-02T08:00:00.1234567Z", "value": 5},
        {"at": "2026-03-02T08:00:00", "value": 5},
        {"at": "2026-02-30T08:00:00Z", "value": 5},
        {"at": "2026-03-02T08:00:00+24:00", "value": 5},
        {"at": "20260302T080000Z", "value": 5},
        {"at": "2026-03-02T08:00:00Z", "value": "5"},
        {"at": "2026-03-02T08:00:00Z", "value": True},
        {"at": "2026-03-02T08:00:00Z", "value": 1e300},
        {"at": "2026-03-02T08:00:00Z"},
        {"at": "2026-03-02T08:00:00Z", "value": 5, "quality": "fair"},
        {"at": "2026-03-02T08:00:00Z", "value": 5, "reason": "a\u202eb"},
        {"at": "2026-03-02T08:00:00Z", "value": 5, "reason": "a" * 65},
        {"at": "2026-03-02T08:00:00Z", "value": 5, "extra": 1},
        5,
    ]
)
VALUES = st.lists(ORDINARY, min_size=1, max_size=4) | st.lists(ORDINARY | UNUSUAL, max_size=4)


def decided(read: Callable[[], tuple[ImportIn, AllValues]]) -> Any:
    """What came of a body, to be compared: what was asked and every series, or the faults."""
    try:
        asked, found = read()
    except MisfitBody as misfit:
        return misfit.faults
    return asked.model_dump(exclude={"series"}), [head for head, _ in found], rows(found)


def by_the_process(data: bytes) -> tuple[ImportIn, AllValues]:
    shortened, found = _read(data)
    return ImportIn.model_validate_json(shortened), found


@given(series=st.lists(VALUES, max_size=3), head=st.sampled_from([{}, {"serial": ""}, {"zone": "a\u202eb"}, {"x": 1}]))
def test_the_process_decides_as_the_shape_does(series: list[list[Any]], head: dict[str, Any]) -> None:
    data = body(*series, **head)
    assert decided(lambda: by_the_process(data)) == decided(lambda: asyncio.run(read_body(data)))


def test_a_large_one_that_is_none_is_told_by_its_places() -> None:
    wrong = many(3000)
    wrong[2500] = {"at": "2026-03-02T08:00:00Z", "value": "5"}
    assert faults(body(wrong)) == [(["series", 0, "values", 2500, "value"], "float_type")]
    assert faults(b"[" * (AT_ONCE + 1)) == [([], "json_invalid")]
    assert faults(b'"' + b"\xff" * AT_ONCE + b'"') == [([], "json_invalid")]
    assert len(faults(body(many(3000, quality="fair")))) == import_bodies.MISFITS_TOLD


def test_it_has_no_more_time_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_process.run, "__kwdefaults__", {"seconds": 0.01})
    with pytest.raises(Invalid, match="too long"):
        asyncio.run(read_body(body(many(3000))))


def test_others_are_answered_while_a_large_one_is_read() -> None:
    data = body(many(100_000))

    async def main() -> tuple[int, int]:
        answered, reading = 0, asyncio.create_task(read_body(data))
        while not reading.done():
            await asyncio.sleep(0.005)
            answered += 1
        _, read = await reading
        return answered, len(read[0][1])

    answered, values = asyncio.run(main())
    assert values == 100_000
    assert answered > 40, "read here, it would be a handful"
