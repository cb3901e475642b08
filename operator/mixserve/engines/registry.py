"""Every engine's adapter."""

from collections.abc import Mapping
from types import MappingProxyType

from mixserve.api.engine import EngineType
from mixserve.engines.protocol import EngineAdapter
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter
from mixserve.engines.vllm import VLLMAdapter

ADAPTERS: Mapping[EngineType, EngineAdapter] = MappingProxyType(
    {EngineType.VLLM: VLLMAdapter(), EngineType.TENSORRT_LLM: TensorRTLLMAdapter()}
)


def adapter_for(engine: EngineType) -> EngineAdapter:
    """The adapter of an engine."""
    return ADAPTERS[engine]
