import pytest

from search.units import count_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (583, "583"),
        (999, "999"),
        (1000, "1k"),
        (1420, "1.42k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (999_932, "1M"),
        (55_521_264, "55.5M"),
        (999_499_999, "999M"),
        (999_500_000, "1G"),
        (3.56e9, "3.56G"),
        (999.6e9, "1000G"),
        (4.57e12, "4570G"),
    ],
)
def test_a_count_has_three_digits_and_a_unit(value: float, text: str) -> None:
    assert count_text(value) == text
