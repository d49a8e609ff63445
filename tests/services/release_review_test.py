"""What a batch release signs when the goods have been judged: their exposure is in the record, in plain values."""

from sqlalchemy import Engine

from core.erp.kernel.unit import record_hash
from core.erp.quality import service
from tests.world import OVER_8_FOR_60, at, every, judging


def test_a_review_holds_what_the_goods_went_through(engine: Engine) -> None:
    world = judging(engine)
    room = world.zone("room")
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("00:00"))
    world.feed("room", every(5, at("00:00"), at("02:00"), 5.0), upto=at("02:00"))
    record = world.do(lambda u: service.review(u, goods), now=at("02:00"))
    told = record["exposure"]["totals"]
    assert (told["sublot_id"], told["lowest"], told["highest"], told["mean"]) == (goods, 5.0, 5.0, 5.0)
    (limit,) = told["limits"]
    assert (limit["proven"], limit["worst"], limit["longest"]) == (0.0, 0.0, 0.0)
    assert record["exposure_hash"] == record_hash(record["exposure"]).hex()
