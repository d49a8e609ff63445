"""What judging costs the database does not grow with the goods, nor with the boxes that they stand in."""

from datetime import timedelta

from sqlalchemy import Engine, event

from core.erp.catalog.model import ZoneNesting
from tests.world import DAY, OVER_8_FOR_60, World, at, every, judging


def statements_of_a_hold(world: World, engine: Engine, truck: str, boxes: int) -> int:
    """How many statements the fold takes that holds what stands in a truck's boxes."""
    around = world.zone(truck)
    item = world.item(OVER_8_FOR_60)
    goods = []
    for number in range(boxes):
        box = world.zone(f"{truck}-{number}", points=())
        world._add(ZoneNesting(zone_id=box, parent_id=around, from_at=DAY))
        goods.append(world.sublot(item, box, at("01:00") + timedelta(seconds=number)))
    world.feed(truck, every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    said: list[str] = []

    def count(*args: object) -> None:
        said.append(str(args[2]))

    event.listen(engine, "before_cursor_execute", count)
    world.feed(truck, every(5, at("02:05"), at("03:05"), 9.0), upto=at("03:05"))
    event.remove(engine, "before_cursor_execute", count)
    assert [world.holds(sublot) for sublot in goods] == [["proven"]] * boxes
    return len(said)


def test_a_hold_in_twelve_boxes_takes_as_many_statements_as_in_two(engine: Engine) -> None:
    world = judging(engine)
    assert statements_of_a_hold(world, engine, "truck", 2) == statements_of_a_hold(world, engine, "trailer", 12)
