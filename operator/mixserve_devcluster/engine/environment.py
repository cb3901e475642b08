"""What the environment says about the simulation; the local node sets it for pods."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE_LABELS = "MIXSERVE_SIMULATED_NODE_LABELS"
POD_ANNOTATIONS = "MIXSERVE_SIMULATED_POD_ANNOTATIONS"
TIME_SCALE = "MIXSERVE_SIMULATED_TIME_SCALE"
COLD_START_S = "MIXSERVE_SIMULATED_COLD_START_S"
FAILURE = "MIXSERVE_SIMULATED_FAILURE"
ACCEPTANCE = "MIXSERVE_SIMULATED_ACCEPTANCE"
API_KEY = "VLLM_API_KEY"


class ForcedFailure(StrEnum):
    """A start that fails whatever the memory is, to test who reads the log."""

    NO_KV_MEMORY = "no-kv-memory"
    MAX_SEQ_LEN = "max-seq-len"
    CUDA_OOM = "cuda-oom"
    FREE_MEMORY = "free-memory"


@dataclass(frozen=True, kw_only=True)
class SimulationEnvironment:
    """The environment, read and checked.

    Attributes:
        node_labels: labels of the node, GPU Feature Discovery's among them; empty if not said.
        pod_annotations: annotations of the pod; empty if not said.
        time_scale: real seconds per simulated second: 1 is real time, 0.1 ten times as fast.
        cold_start_s: simulated seconds until the engine is ready, or None to derive them from the weights.
        failure: fail like this instead of starting.
        api_key: a key that /v1 asks for.
        acceptance: probability that a proposed token is kept if the one before it was, 0 to 1; None for the method's.
    """

    node_labels: Mapping[str, str]
    pod_annotations: Mapping[str, str]
    time_scale: float = 1.0
    cold_start_s: float | None = None
    failure: ForcedFailure | None = None
    api_key: str | None = None
    acceptance: float | None = None


def read(environment: Mapping[str, str]) -> SimulationEnvironment:
    """Read the process's environment.

    Raises:
        ConfigurationError: names the variable.
    """
    return SimulationEnvironment(
        node_labels=_strings(environment, NODE_LABELS),
        pod_annotations=_strings(environment, POD_ANNOTATIONS),
        time_scale=_time_scale(environment),
        cold_start_s=_cold_start_s(environment),
        failure=_failure(environment),
        api_key=environment.get(API_KEY) or None,
        acceptance=_acceptance(environment),
    )


def _strings(environment: Mapping[str, str], name: str) -> Mapping[str, str]:
    text = environment.get(name) or "{}"
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{name}: not JSON ({error})") from error
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ConfigurationError(f"{name}: must be a JSON object whose values are strings")
    return value


def _time_scale(environment: Mapping[str, str]) -> float:
    scale = _number(environment, TIME_SCALE)
    if scale is None:
        return 1.0
    if scale <= 0:
        raise ConfigurationError(f"{TIME_SCALE}: must be above 0, is {scale}; 0.1 is ten times as fast as real time")
    return scale


def _cold_start_s(environment: Mapping[str, str]) -> float | None:
    cold_start_s = _number(environment, COLD_START_S)
    if cold_start_s is not None and cold_start_s < 0:
        raise ConfigurationError(f"{COLD_START_S}: must be 0 or more seconds, is {cold_start_s}")
    return cold_start_s


def _acceptance(environment: Mapping[str, str]) -> float | None:
    acceptance = _number(environment, ACCEPTANCE)
    if acceptance is not None and not 0 <= acceptance <= 1:
        raise ConfigurationError(f"{ACCEPTANCE}: must be from 0 to 1, is {acceptance}")
    return acceptance


def _number(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: must be a number, is {text!r}") from error
    if not math.isfinite(number):
        raise ConfigurationError(f"{name}: must be a finite number, is {text!r}")
    return number


def _failure(environment: Mapping[str, str]) -> ForcedFailure | None:
    text = environment.get(FAILURE)
    if not text:
        return None
    try:
        return ForcedFailure(text)
    except ValueError as error:
        known = ", ".join(ForcedFailure)
        raise ConfigurationError(f"{FAILURE}: unknown failure {text!r}; known: {known}") from error
