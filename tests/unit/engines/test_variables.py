from __future__ import annotations

import pytest

from mixserve.api.engine import EngineType
from mixserve.engines.registry import adapter_for
from support.launches import launch


@pytest.mark.parametrize("engine", EngineType)
class TestOwned:
    @pytest.mark.parametrize(
        ("name", "advice"),
        [
            ("POD_IP", "the operator sets it"),
            ("HF_TOKEN", "use spec.model.tokenSecretRef"),
            ("HUGGING_FACE_HUB_TOKEN", "use spec.model.tokenSecretRef"),
            ("HF_HOME", "use spec.engine.cache"),
            ("CUDA_VISIBLE_DEVICES", "spec.variants[].tensorParallel"),
            ("VLLM_API_KEY", "can be read by everyone"),
            ("AWS_SECRET_ACCESS_KEY", "can be read by everyone"),
            ("db_password", "can be read by everyone"),
            ("TOKEN", "can be read by everyone"),
        ],
    )
    def test_says_what_to_use_instead(self, engine, name, advice):
        assert advice in adapter_for(engine).owner_of_variable(name)

    @pytest.mark.parametrize(
        "name", ["NCCL_DEBUG", "NCCL_P2P_DISABLE", "TOKENIZERS_PARALLELISM", "HF_HUB_OFFLINE", "HF_ENDPOINT", "KEYRING"]
    )
    def test_leaves_the_others_to_the_user(self, engine, name):
        assert adapter_for(engine).owner_of_variable(name) is None


@pytest.mark.parametrize(
    ("name", "advice"),
    [("VLLM_ENGINE_READY_TIMEOUT_S", "spec.engine.startupTimeout"), ("VLLM_CACHE_ROOT", "spec.engine.cache")],
)
def test_vllms_own_variables_have_fields(name, advice):
    assert advice in adapter_for(EngineType.VLLM).owner_of_variable(name)
    assert adapter_for(EngineType.TENSORRT_LLM).owner_of_variable(name) is None


@pytest.mark.parametrize("engine", EngineType)
@pytest.mark.parametrize(
    ("gpus", "peers", "disabled"), [(1, False, False), (2, True, False), (2, False, True), (8, False, True)]
)
def test_only_gpus_that_do_not_reach_each_other_go_through_the_nodes_memory(engine, gpus, peers, disabled):
    adapter, of = adapter_for(engine), launch(engine, tensor_parallel=gpus, peer_to_peer=peers)

    assert ("NCCL_P2P_DISABLE" in adapter.environment(of)) is disabled
    said = f"{adapter.command(of)} {adapter.options_file(of)}"
    assert ("--disable-custom-all-reduce" in said or "allreduce_strategy: NCCL" in said) is disabled


@pytest.mark.parametrize("engine", EngineType)
def test_the_hub_is_told_the_same_by_all(engine):
    found = adapter_for(engine).environment(launch(engine, revision=None))

    expected = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": "/cache/huggingface"}
    assert {**expected, "HF_HUB_OFFLINE": "1"}.items() <= found.items()
    assert list(found)[-1] == "HF_HUB_OFFLINE"


@pytest.mark.parametrize(("engine", "flag"), [("vllm", "--chat-template"), ("tensorrt-llm", "--chat_template")])
def test_a_chat_template_is_a_file(engine, flag):
    adapter = adapter_for(EngineType(engine))
    command = adapter.command(launch(EngineType(engine), chat_template_path="/t.jinja"))

    assert command[command.index(flag) + 1] == "/t.jinja"
    assert flag not in adapter.command(launch(EngineType(engine)))


@pytest.mark.parametrize(("version", "takes"), [("1.0.0", False), ("1.1.0", False), ("1.2.1", True), ("1.3.0", True)])
def test_tensorrt_llm_takes_one_since_1_2(version, takes):
    assert adapter_for(EngineType.TENSORRT_LLM).takes_chat_template(version) is takes


def test_vllm_takes_one_in_every_version():
    assert adapter_for(EngineType.VLLM).takes_chat_template("0.30.0")
