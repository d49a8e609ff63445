"""What may be read together: every point once, no block too long, no hole too wide."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.collectors.modbus_blocks import Block, Plan, plan
from edge.collectors.modbus_config import ModbusUnit

WIDTHS = {"int16": 1, "float32": 2, "int64": 4}
T0 = datetime(2025, 6, 1, tzinfo=UTC)


def unit(cells: list[tuple[str, int, str]], **limits: Any) -> ModbusUnit:
    points = [
        {"point": f"plant/hall/room/unit/q{number}", "table": table, "address": address, "type": kind}
        for number, (table, address, kind) in enumerate(cells)
    ]
    return ModbusUnit.model_validate({"id": 1, "points": points} | limits)


register = st.tuples(st.sampled_from(["holding", "input"]), st.integers(0, 400), st.sampled_from(sorted(WIDTHS)))
bit = st.tuples(st.sampled_from(["coil", "discrete"]), st.integers(0, 400), st.just("bool"))


@given(
    cells=st.lists(register | bit, min_size=1, max_size=40),
    max_registers=st.integers(4, 125),
    max_bits=st.integers(1, 200),
    holes=st.integers(0, 20),
)
def test_blocks(cells: list[tuple[str, int, str]], max_registers: int, max_bits: int, holes: int) -> None:
    configured = unit(cells, max_registers=max_registers, max_bits=max_bits, holes=holes)
    blocks = plan(configured, configured.points)
    placed = sorted(point.point for block in blocks for point in block.points)
    assert placed == sorted(point.point for point in configured.points)
    for block in blocks:
        assert block.count <= (max_bits if block.table.of_bits else max_registers)
        wanted: set[int] = set()
        for point in block.points:
            assert point.table is block.table
            assert block.start <= point.address
            assert point.address + point.width <= block.start + block.count
            wanted |= set(range(point.address, point.address + point.width))
        hole = 0
        for cell in range(block.start, block.start + block.count):
            hole = 0 if cell in wanted else hole + 1
            assert hole <= holes
        assert block.start in wanted
        assert block.start + block.count - 1 in wanted


def spans(blocks: list[Block]) -> list[tuple[str, int, int]]:
    return [(block.table.value, block.start, block.count) for block in blocks]


def test_neighbours_are_joined_and_strangers_are_not() -> None:
    cells = [("holding", 0, "int16"), ("holding", 1, "float32"), ("holding", 7, "int16"), ("holding", 40, "int16")]
    configured = unit(cells, holes=4)
    assert spans(plan(configured, configured.points)) == [("holding", 0, 8), ("holding", 40, 1)]
    narrow = unit(cells, holes=3)
    assert spans(plan(narrow, narrow.points)) == [("holding", 0, 3), ("holding", 7, 1), ("holding", 40, 1)]


def test_a_short_value_inside_a_long_one_does_not_cut_it() -> None:
    configured = unit([("holding", 0, "int64"), ("holding", 1, "int16"), ("holding", 4, "int16")], holes=0)
    assert spans(plan(configured, configured.points)) == [("holding", 0, 5)]


def test_what_was_learnt_is_forgotten_when_it_is_time_to_ask_again() -> None:
    configured = unit([("holding", 0, "int16"), ("holding", 1, "int16")])
    learnt = Plan(configured, timedelta(minutes=5))
    first, second = learnt.blocks[0].halves()
    learnt.learn([first], {second.points[0].point: (second.points[0], "configuration_error")}, T0)
    assert spans(learnt.blocks) == [("holding", 0, 1)]
    learnt.start_over(T0 + timedelta(minutes=4, seconds=59))
    assert learnt.refused
    learnt.start_over(T0 + timedelta(minutes=5))
    assert not learnt.refused
    assert spans(learnt.blocks) == [("holding", 0, 2)]
