import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve_devcluster.node.expansion import expand

VALUES = {"A": "1", "B": "$(A)"}


# The cases are those of the test of expansion in Kubernetes.
@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$(B)", "$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $(A", "$A ${A} $(A"),
        ("$", "$"),
        ("$()", "$()"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, VALUES) == expanded


@given(st.text())
def test_what_has_no_dollar_stays(text: str) -> None:
    assert expand(text.replace("$", ""), VALUES) == text.replace("$", "")


@given(st.text())
def test_doubled_dollars_stand_for_themselves(text: str) -> None:
    assert expand(text.replace("$", "$$"), VALUES) == text
