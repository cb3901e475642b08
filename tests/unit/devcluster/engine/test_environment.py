from __future__ import annotations

import pytest

from mixserve_devcluster.engine.environment import ForcedFailure, read
from mixserve_devcluster.engine.errors import ConfigurationError


def test_nothing_said_is_real_time_on_an_unknown_node() -> None:
    simulation = read({})
    assert (simulation.node_labels, simulation.pod_annotations) == ({}, {})
    assert (simulation.time_scale, simulation.cold_start_s) == (1.0, None)
    assert (simulation.failure, simulation.api_key) == (None, None)


def test_everything_can_be_said() -> None:
    simulation = read(
        {
            "MIXSERVE_SIMULATED_NODE_LABELS": '{"nvidia.com/gpu.product": "NVIDIA-L4"}',
            "MIXSERVE_SIMULATED_POD_ANNOTATIONS": '{"a": "b"}',
            "MIXSERVE_SIMULATED_TIME_SCALE": "0.1",
            "MIXSERVE_SIMULATED_COLD_START_S": "0",
            "MIXSERVE_SIMULATED_FAILURE": "cuda-oom",
            "MIXSERVE_SIMULATED_ACCEPTANCE": "0.8",
            "VLLM_API_KEY": "key",
        }
    )
    assert simulation.node_labels == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert simulation.pod_annotations == {"a": "b"}
    assert (simulation.time_scale, simulation.cold_start_s) == (0.1, 0.0)
    assert (simulation.failure, simulation.api_key) == (ForcedFailure.CUDA_OOM, "key")
    assert simulation.acceptance == 0.8


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("MIXSERVE_SIMULATED_NODE_LABELS", "{", "not JSON"),
        ("MIXSERVE_SIMULATED_NODE_LABELS", "[]", "must be a JSON object whose values are strings"),
        ("MIXSERVE_SIMULATED_POD_ANNOTATIONS", '{"a": 1}', "must be a JSON object whose values are strings"),
        ("MIXSERVE_SIMULATED_ACCEPTANCE", "1.1", "must be from 0 to 1, is 1.1"),
        ("MIXSERVE_SIMULATED_TIME_SCALE", "fast", "must be a number, is 'fast'"),
        ("MIXSERVE_SIMULATED_TIME_SCALE", "0", "must be above 0, is 0.0"),
        ("MIXSERVE_SIMULATED_TIME_SCALE", "nan", "must be a finite number"),
        ("MIXSERVE_SIMULATED_COLD_START_S", "-1", "must be 0 or more seconds, is -1.0"),
        ("MIXSERVE_SIMULATED_FAILURE", "tired", "unknown failure 'tired'; known: no-kv-memory, max-seq-len"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variables_name(variable: str, value: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as error:
        read({variable: value})
    assert str(error.value).startswith(f"{variable}: ")
