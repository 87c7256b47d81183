"""Numbers that are too short for anybody outside, and those that only look so."""

import pytest

from models.phone_number import is_internal, read_number


@pytest.mark.parametrize(
    ("raw", "region"),
    [("12", "DE"), ("112", "DE"), ("2041", "DE"), ("20411", "DE"), ("204", "US"), ("253000", "US")],
)
def test_extensions_and_short_codes_are_of_nobody_outside(raw: str, region: str) -> None:
    value, _ = read_number(raw, region)

    assert is_internal(value)


@pytest.mark.parametrize(
    ("raw", "region"),
    [("22222", "SH"), ("4002", "NU"), ("030 12345", "DE"), ("253-0000", "US"), ("0171 123", "DE")],
)
def test_short_numbers_of_small_places_and_unlikely_ones_may_be(raw: str, region: str) -> None:
    value, _ = read_number(raw, region)

    assert not is_internal(value)
