from __future__ import annotations

from typing import Any

import pytest

from mixserve.plan.mtp import mtp_layers


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        ({"model_type": "deepseek_v3", "num_nextn_predict_layers": 1}, 1),
        ({"model_type": "qwen3_5", "text_config": {"mtp_num_hidden_layers": 2}}, 2),
        ({"model_type": "inkling_model", "mtp_config": {"num_nextn_predict_layers": 3}}, 3),
        ({"model_type": "minimax_m3", "num_mtp_modules": 4}, 4),
        ({"model_type": "llama", "num_nextn_predict_layers": 0}, 0),
        ({"model_type": "llama"}, 0),
        ({"model_type": "gemma3"}, 0),
        # vLLM knows such layers in kinds of models that have no key for it.
        ({"model_type": "longcat_flash"}, None),
        ({}, None),
        ({"model_type": ["llama"]}, None),
        ({"model_type": "x", "num_nextn_predict_layers": "1"}, None),
        ({"model_type": "x", "num_nextn_predict_layers": True}, None),
        ({"model_type": "x", "num_nextn_predict_layers": -1}, None),
        ({"model_type": "x", "num_nextn_predict_layers": 10**9}, None),
        ({"model_type": "x", "text_config": "y"}, None),
    ],
)
def test_layers_that_predict_more_are_counted(config: dict[str, Any], layers: int | None) -> None:
    assert mtp_layers(config) == layers
