"""Bands as people say them."""

import pytest

from lotwise.bands import BadBand, Band, Bands, band_of


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("2..8 Cel", Band(2, 8)),
        ("2..8", Band(2, 8)),
        (" -25 .. -10 °C ", Band(-25, -10)),
        ("..8", Band(None, 8)),
        ("2..", Band(2, None)),
        ("41..50 [degF]", Band(5, 10)),
        ("41..50 F", Band(5, 10)),
        ("freezer", Band(-25, -10)),
        ("refrigerated", Band(2, 8)),
    ],
)
def test_a_band_is_read(text: str, band: Band) -> None:
    assert band_of(text) == band


@pytest.mark.parametrize("text", ["", "..", "8..2", "2-8", "cold", "2..8 hPa", "2..8 parsec", "profile:x", "a..b"])
def test_what_is_no_band_is_refused(text: str) -> None:
    with pytest.raises(BadBand):
        band_of(text)


def test_the_first_pattern_that_fits_counts() -> None:
    bands = Bands(["plant/store/freezer-*=-25..-10 Cel", "2..8 Cel"])
    assert bands.of("plant/store/freezer-1") == Band(-25, -10)
    assert bands.of("plant/store/cold-1") == Band(2, 8)
    assert Bands([]).of("plant/store/cold-1") is None


def test_a_profile_gives_the_narrowest_band_within_its_limits() -> None:
    limits = [
        {"quantity": "temperature", "unit": "Cel", "op": ">", "threshold": 15.0},
        {"quantity": "temperature", "unit": "[degF]", "op": ">=", "threshold": 46.4},
        {"quantity": "temperature", "unit": "Cel", "op": "<", "threshold": 2.0},
        {"quantity": "humidity", "unit": "%", "op": ">", "threshold": 60.0},
    ]
    band = band_of("profile:cold", lambda code: limits if code == "cold" else [])
    assert band.low == 2.0
    assert band.high == pytest.approx(8.0)
    with pytest.raises(BadBand, match="no temperature limits"):
        band_of("profile:other", lambda _code: [])
