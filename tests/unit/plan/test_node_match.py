from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.accelerator import NodeOperator, NodeRequirement
from mixserve.plan.node_match import is_match, satisfies

H100 = {
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.memory": "81559",
    "empty": "",
}
SHARED = {**H100, "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-SHARED", "nvidia.com/gpu.sharing-strategy": "mps"}
MIG = {
    **H100,
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
    "nvidia.com/gpu.memory": "9728",
    "nvidia.com/mig.strategy": "single",
}


def needs(key: str, operator: NodeOperator, *values: str) -> NodeRequirement:
    return NodeRequirement(key=key, operator=operator, values=values)


MAJOR, MEMORY = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.memory"


@pytest.mark.parametrize(
    ("key", "operator", "values", "holds"),
    [
        (MAJOR, NodeOperator.IN, ("9", "10"), True),
        (MAJOR, NodeOperator.IN, ("8",), False),
        ("absent", NodeOperator.IN, ("9",), False),
        ("empty", NodeOperator.IN, ("",), True),
        (MAJOR, NodeOperator.NOT_IN, ("8",), True),
        (MAJOR, NodeOperator.NOT_IN, ("9",), False),
        ("absent", NodeOperator.NOT_IN, ("9",), True),
        (MAJOR, NodeOperator.EXISTS, (), True),
        ("empty", NodeOperator.EXISTS, (), True),
        ("absent", NodeOperator.EXISTS, (), False),
        (MAJOR, NodeOperator.DOES_NOT_EXIST, (), False),
        ("absent", NodeOperator.DOES_NOT_EXIST, (), True),
        (MEMORY, NodeOperator.GREATER, ("81558",), True),
        (MEMORY, NodeOperator.GREATER, ("81559",), False),
        (MEMORY, NodeOperator.LESS, ("81560",), True),
        (MEMORY, NodeOperator.LESS, ("81559",), False),
        ("absent", NodeOperator.GREATER, ("0",), False),
        ("absent", NodeOperator.LESS, ("1",), False),
        ("nvidia.com/gpu.product", NodeOperator.GREATER, ("0",), False),
        ("empty", NodeOperator.LESS, ("1",), False),
    ],
)
def test_a_requirement_means_what_it_means_to_the_scheduler(
    key: str, operator: NodeOperator, values: tuple[str, ...], holds: bool
) -> None:
    assert is_match(H100, [needs(key, operator, *values)]) is holds


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("+7", True),
        ("007", True),
        ("-7", False),
        ("7.0", False),
        ("1_0", False),
        (" 7", False),
        ("7Gi", False),
        ("\u0667", False),
        (str(2**63 - 1), True),
        (str(2**63), False),
        (str(-(2**63)), False),
    ],
)
def test_only_what_go_reads_as_a_number_is_one(value: str, holds: bool) -> None:
    assert satisfies(value, needs("a", NodeOperator.GREATER, "0")) is holds


def test_what_is_no_number_to_go_is_also_not_small() -> None:
    below = needs("a", NodeOperator.LESS, "1")
    assert satisfies(str(-(2**63)), below)
    assert not satisfies(str(-(2**63) - 1), below)


@pytest.mark.parametrize(("labels", "matches"), [(H100, True), (SHARED, False), (MIG, False), ({}, False)])
def test_partitioned_and_shared_gpus_are_told_apart_by_labels(labels: dict[str, str], matches: bool) -> None:
    whole = [
        needs(MAJOR, NodeOperator.IN, "9"),
        needs(MEMORY, NodeOperator.GREATER, "80000"),
        needs("nvidia.com/gpu.sharing-strategy", NodeOperator.NOT_IN, "mps", "time-slicing"),
    ]
    assert is_match(labels, whole) is matches


def test_a_class_of_mig_slices_finds_them() -> None:
    slices = [needs("nvidia.com/gpu.product", NodeOperator.IN, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb")]
    assert [is_match(labels, slices) for labels in (H100, SHARED, MIG)] == [False, False, True]


KEYS, VALUES = st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "0", "5", "x", "12", "0x1"])
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(
        lambda key, operator, values: needs(key, operator, *values),
        KEYS,
        st.sampled_from([NodeOperator.IN, NodeOperator.NOT_IN]),
        st.lists(VALUES, min_size=1, max_size=3),
    ),
    st.builds(needs, KEYS, st.sampled_from([NodeOperator.EXISTS, NodeOperator.DOES_NOT_EXIST])),
    st.builds(needs, KEYS, st.sampled_from([NodeOperator.GREATER, NodeOperator.LESS]), st.integers(0, 20).map(str)),
)

OPPOSITES = {
    NodeOperator.IN: NodeOperator.NOT_IN,
    NodeOperator.NOT_IN: NodeOperator.IN,
    NodeOperator.EXISTS: NodeOperator.DOES_NOT_EXIST,
    NodeOperator.DOES_NOT_EXIST: NodeOperator.EXISTS,
}


@given(LABELS, REQUIREMENTS)
def test_opposites_never_agree(labels: dict[str, str], requirement: NodeRequirement) -> None:
    opposite = OPPOSITES.get(requirement.operator)
    if opposite is not None:
        other = needs(requirement.key, opposite, *requirement.values)
        assert is_match(labels, [requirement]) is not is_match(labels, [other])


@given(LABELS, st.lists(REQUIREMENTS, max_size=4), st.lists(REQUIREMENTS, max_size=4))
def test_all_requirements_count_in_any_order(
    labels: dict[str, str], some: list[NodeRequirement], more: list[NodeRequirement]
) -> None:
    both = is_match(labels, some) and is_match(labels, more)
    assert is_match(labels, [*some, *more]) is is_match(labels, [*more, *some]) is both


@given(LABELS, REQUIREMENTS, VALUES)
def test_other_labels_make_no_difference(labels: dict[str, str], requirement: NodeRequirement, value: str) -> None:
    assert is_match({**labels, "other": value}, [requirement]) is is_match(labels, [requirement])


@given(LABELS, KEYS, st.integers(0, 20))
def test_a_number_is_greater_or_less_or_the_bound(labels: dict[str, str], key: str, bound: int) -> None:
    greater = is_match(labels, [needs(key, NodeOperator.GREATER, str(bound))])
    less = is_match(labels, [needs(key, NodeOperator.LESS, str(bound))])
    assert not (greater and less)
    if greater or less:
        assert int(labels[key]) != bound
