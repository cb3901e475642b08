import pytest

from mixserve.plan.checkpoint_size import INDEX, checkpoint_bytes


@pytest.mark.parametrize("size", [16060522496, 16060522496.0])
def test_the_index_has_the_size(size):
    assert checkpoint_bytes({INDEX: {"metadata": {"total_size": size}, "weight_map": {}}}) == 16060522496


@pytest.mark.parametrize(
    "index",
    [
        *(None, [], "x", {}, {"metadata": None}, {"metadata": [1]}, {"metadata": {}}),
        *({"metadata": {"total_size": size}} for size in (None, "1", True, 0, -1, 10**16, float("nan"), float("inf"))),
    ],
)
def test_what_is_no_size_is_none(index):
    assert checkpoint_bytes({INDEX: index}) is None


def test_without_an_index_there_is_none():
    assert checkpoint_bytes({}) is None
