"""Two gateways that read the same devices: what both say lands once, and neither waits for the other."""

from datetime import timedelta

from msgspec.structs import replace
from sqlalchemy import Engine, text

from core.ingest.transaction import IngestTransaction
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from tests.services.ingest_support import POINT, Gateway, RecordingJudge, add_points, fold, reading


def _rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def _later(of: Reading, seconds: float) -> Reading:
    """The same value of the device, received by the other gateway a little later."""
    return replace(of, edge_at=of.edge_at + timedelta(seconds=seconds))


def test_the_same_value_by_both_gateways_is_one_reading_and_a_duplicate(engine: Engine) -> None:
    add_points(engine)
    one, two, judge = Gateway("edge-a"), Gateway("edge-b"), RecordingJudge()
    folder = IngestTransaction(judge=judge, live=False)
    said = [reading(n, 4.0 + n) for n in range(5)]
    first = fold(engine, folder, one.cut(said))
    second = fold(engine, folder, two.cut([_later(each, 0.3) for each in said]), two.cut([reading(5)]))
    third = fold(engine, folder, one.cut([_later(reading(5), 2.0)]))
    assert [(each.new, each.duplicates, each.conflicts) for each in (first, second, third)] == [
        (5, 0, 0),
        (1, 5, 0),
        (0, 1, 0),
    ]
    assert [r.at for r in judge.readings] == [reading(n).at for n in range(6)], "judged once"
    assert judge.conflicts == []
    assert _rows(engine, "SELECT gateway, through FROM batch_progress ORDER BY 1") == [("edge-a", 2), ("edge-b", 2)]


def test_both_in_one_transaction_are_no_conflict_either(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    folder = IngestTransaction(judge=judge, live=False)
    done = fold(engine, folder, Gateway("edge-a").cut([reading(1)]), Gateway("edge-b").cut([_later(reading(1), 1.0)]))
    assert (done.new, done.duplicates, done.conflicts) == (1, 1, 0)


def test_another_value_or_quality_of_the_same_time_is_a_conflict(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    folder = IngestTransaction(judge=judge, live=False)
    fold(engine, folder, Gateway("edge-a").cut([reading(1), reading(2)]))
    other = replace(reading(2), quality=Quality.UNCERTAIN, reason=Reason.DEVICE)
    done = fold(engine, folder, Gateway("edge-b").cut([reading(1, 9.0), other]))
    assert (done.new, done.duplicates, done.conflicts) == (0, 0, 2)
    assert [first.value for first, _ in judge.conflicts] == [4.0, 4.0]
    assert _rows(
        engine, f"SELECT count(*) FROM reading r JOIN series_point p ON p.id = r.point_id WHERE p.address = '{POINT}'"
    ) == [(2,)]
