"""What an engine is started with: a test names only what it is about."""

from __future__ import annotations

from typing import Any

from mixserve.api.engine import Engine, EngineType
from mixserve.api.quantization_engine import QuantizationEngine
from mixserve.engines.protocol import Launch
from mixserve.engines.registry import adapter_for


def launch(of: EngineType = EngineType.VLLM, **changes: Any) -> Launch:
    """A checkpoint of the hub under the names chat and talk, on one GPU, for the newest version, unless told."""
    given: dict[str, Any] = {
        "engine": Engine(type=of, version=f"{adapter_for(of).supported_versions[-1]}.0"),
        "model": "example/Model",
        "revision": "a" * 40,
        "served_names": ("chat", "talk"),
        "quantization": QuantizationEngine(type=of, minimum_compute_capability="7.5"),
        "kv_cache": None,
        "tensor_parallel": 1,
        "shutdown_timeout_s": 15,
        "cache_path": "/cache",
        "options_path": "/options.yaml",
        "occupied_share": None,
    }
    return Launch(**{**given, **changes})
