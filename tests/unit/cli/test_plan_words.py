from decimal import Decimal

import pytest

from mixserve.cli.plan_words import usd


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("0", "0.00"),
        ("12.346", "12.35"),
        ("0.8048", "0.805"),
        ("0.0123", "0.012"),
        ("0.00123", "0.0012"),
        ("0.0000567", "0.000057"),
    ],
)
def test_a_price_is_shown_with_the_digits_that_count(price: str, text: str) -> None:
    assert usd(Decimal(price)) == text
