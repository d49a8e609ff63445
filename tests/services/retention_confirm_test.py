"""What a gateway no longer has is not listed as missing: it could not send it again."""

from sqlalchemy import Engine

from core.ingest.confirmation import ConsumerState, answer
from core.ingest.transaction import IngestTransaction
from core.telemetry.batch import ConfirmRequest
from tests.services.ingest_support import PARTITION, Gateway, RecordingJudge, add_points, fold, reading


def test_missing_is_listed_above_what_the_gateway_still_has(engine: Engine) -> None:
    add_points(engine)
    gw = Gateway()
    cut = [gw.cut([reading(n)]) for n in range(12)]
    fold(
        engine, IngestTransaction(judge=RecordingJudge(), live=False), *(cut[n] for n in (0, 1, 5, 9))
    )  # 1, 2, 6 and 10 are there

    def missing(*since: int) -> tuple[int, ...]:
        reply = answer(engine, ConfirmRequest("gw-1", (("e1", PARTITION, 12),), since), ConsumerState())
        (found,) = reply.confirmed
        assert found.through == 2
        return found.missing

    everything = (3, 4, 5, 7, 8, 9, 11, 12)
    assert missing() == missing(0) == missing(1) == everything
    assert missing(4) == (5, 7, 8, 9, 11, 12)
    assert missing(6) == (7, 8, 9, 11, 12)
    assert missing(12) == ()


def test_each_question_has_its_own_since(engine: Engine) -> None:
    ask = ConfirmRequest("gw-1", (("e1", 1, 3), ("e1", 2, 3)), (2,))
    assert [found.missing for found in answer(engine, ask, ConsumerState()).confirmed] == [(3,), (1, 2, 3)]
