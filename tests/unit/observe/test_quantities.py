from __future__ import annotations

import pytest

from mixserve.observe.quantities import extended, whole_amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8", 8),
        (8, 8),
        ("0", 0),
        ("1k", 1000),
        ("2M", 2_000_000),
        ("1Ki", 1024),
        ("1.5", 0),
        ("", 0),
        ("-1", 0),
        (None, 0),
    ],
)
def test_whole_numbers_are_read_in_all_notations(text: object, amount: int) -> None:
    assert whole_amount(text) == amount


def test_extended_resources_are_those_of_other_domains() -> None:
    resources = {
        "cpu": "4",
        "memory": "8Gi",
        "hugepages-2Mi": "2Mi",
        "nvidia.com/gpu": "8",
        "nvidia.com/mig-1g.10gb": "7",
        "example.com/none": "0",
        "kubernetes.io/batch-cpu": "1",
        "requests.kubernetes.io/x": "1",
    }
    assert extended(resources) == {"nvidia.com/gpu": 8, "nvidia.com/mig-1g.10gb": 7}
