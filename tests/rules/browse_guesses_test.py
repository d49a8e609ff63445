"""What registers may mean: 16-bit, float and text forms by plausibility, and the alternatives that are as plausible."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.browse.guesses import Guess, guesses
from edge.browse.quantities import measured
from edge.collectors.modbus_config import Kind, Order, Table


def guessed(*words: int) -> list[Guess]:
    return guesses(Table.INPUT, [dict(enumerate(words))])


def as_words(value: float, order: Order) -> tuple[int, int]:
    a, b, c, d = struct.pack(">f", value)
    laid = {Order.ABCD: (a, b, c, d), Order.CDAB: (c, d, a, b), Order.BADC: (b, a, d, c), Order.DCBA: (d, c, b, a)}[
        order
    ]
    return laid[0] << 8 | laid[1], laid[2] << 8 | laid[3]


def test_a_transmitter_of_temperature_and_humidity() -> None:
    # SHT20: 01 04 04 01 31 02 22 … = 30.5 °C, 54.6 %RH; 0xFF33 = −20.5
    temperature, humidity = guessed(0x0131, 0x0222 + 400)
    assert (temperature.kind, temperature.scale, temperature.value, temperature.unit) == (
        Kind.INT16,
        "0.1",
        30.5,
        "Cel",
    )
    assert any("30.5 %" in other for other in temperature.others)
    assert (humidity.quantity, humidity.value, humidity.unit) == ("humidity", 94.6, "%")
    (frozen,) = guessed(0xFF33)
    assert (frozen.quantity, frozen.value) == ("temperature", -20.5)


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("value", [5.3, -21.75, 0.4, 54.60001])
def test_a_float_is_one_whatever_its_order(order: Order, value: float) -> None:
    first, *rest = guessed(*as_words(value, order))
    assert not rest
    assert (first.kind, first.order, first.quantity) == (Kind.FLOAT32, order, "temperature")
    assert first.value == pytest.approx(value, rel=1e-6)


def test_hundredths_counters_text_and_no_value() -> None:
    hundredths, counter_high, counter_low, none, *text = guessed(480, 1, 9000, 0x8000, *(0x4C57, 0x2D43, 0x544C))
    assert any("× 0.01: 4.8" in other for other in hundredths.others)
    assert counter_high.quantity == ""
    assert any("uint32 ABCD: 74536" in other for other in counter_high.others)
    assert counter_low.quantity == ""
    assert (none.value, none.quantity) == (None, "")
    assert [one.value for one in text] == ["LW-CTL"]
    assert [(one.kind, one.value) for one in guesses(Table.DISCRETE, [{0: 1, 1: 0}])] == [
        (Kind.BOOL, True),
        (Kind.BOOL, False),
    ]
    assert guessed(0, 1, 3)[2].quantity == "", "a small number is a state as often as a temperature"


@given(st.lists(st.integers(0, 0xFFFF), max_size=40))
def test_every_cell_is_in_exactly_one_guess(words: list[int]) -> None:
    cells = [cell for guess in guessed(*words) for cell in range(guess.address, guess.address + guess.width)]
    assert cells == list(range(len(words)))


@given(st.floats(-90, 60), st.sampled_from(list(Order)))
def test_a_measured_temperature_as_a_float_is_never_taken_for_two_words(value: float, order: Order) -> None:
    told = struct.unpack(">f", struct.pack(">f", value))[0]
    if abs(told) < 0.011:
        return
    first = guessed(*as_words(told, order))[0]
    assert first.kind in {Kind.FLOAT32, Kind.INT16, Kind.UINT16}
    forms = [first.words, *first.others]
    assert any("float32" in form for form in forms)


@pytest.mark.parametrize(
    ("name", "unit", "value", "quantity"),
    [
        ("DS18B20.Temperature", "Cel", 4.5, "temperature"),
        ("tC", "Cel", 4.5, "temperature"),
        ("t", "", 4.5, "temperature"),
        ("SHT3X.Humidity", "%", 40, "humidity"),
        ("battery", "%", 90, None),
        ("DewPoint", "Cel", 1.0, None),
        ("rh", "", 40, "humidity"),
        ("pressure", "", 1013.2, "pressure"),
        ("pressure", "", 7, None),
        ("contact", "", True, "door"),
        ("light", "", True, None),
        ("setpoint", "Cel", 5.0, None),
        ("Power", "W", 7, None),
        ("co2", "[ppm]", 400, "co2"),
        ("state", "", 4, None),
        ("temperature", "", "warm", None),
        ("interval", "", 4.5, None),
        ("target", "", 5.0, None),
        ("sequence", "Cel", 81, None),
        ("rssi", "", -60, None),
    ],
)
def test_what_a_value_measures(name: str, unit: str, value: object, quantity: str | None) -> None:
    what = measured(name, unit, value)
    assert (what.quantity if what else None) == quantity
    assert what is None or bool(what.guesses) == (unit == "" and not isinstance(value, bool))
