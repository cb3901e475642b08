from mixserve.api.engine import EngineType
from mixserve.engines.registry import adapter_for
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter
from mixserve.engines.vllm import VLLMAdapter


def test_vllm_is_run_by_its_adapter():
    assert isinstance(adapter_for(EngineType.VLLM), VLLMAdapter)


def test_tensorrt_llm_is_run_by_its_adapter():
    assert isinstance(adapter_for(EngineType.TENSORRT_LLM), TensorRTLLMAdapter)
