from mixserve.api.names import Reason
from mixserve.validate.adapter_checks import adapter_called_as_the_model, adapters_not_served
from support.manifests import pool

TENSORRT_LLM = {"type": "tensorrt-llm", "version": "1.2.1"}


def adapted(*names, **spec):
    adapters = [{"name": name, "source": f"pvc://adapters/{name}"} for name in names]
    return pool(model={"source": "pvc://models/a", "adapters": adapters}, **spec)


def test_vllm_serves_adapters_and_any_engine_none():
    assert list(adapters_not_served(adapted("law"))) == []
    assert list(adapters_not_served(adapted(engine=TENSORRT_LLM))) == []


def test_tensorrt_llm_serves_no_adapters():
    (found,) = adapters_not_served(adapted("law", engine=TENSORRT_LLM))

    assert (found.reason, found.field_path) == (Reason.INVALID_SPEC, "spec.model.adapters")
    assert "tensorrt-llm takes an adapter with each request" in found.cause
    assert found.remedy == "choose vllm as spec.engine.type, or take the adapters out"


def test_an_adapter_has_another_name_than_the_model():
    (found,) = adapter_called_as_the_model(adapted("law", "chat", servedNames=["talk", "chat"]))

    assert (found.reason, found.field_path) == (Reason.SERVED_NAME_TAKEN, "spec.model.adapters[1].name")
    assert list(adapter_called_as_the_model(adapted("law"))) == []


def test_the_pools_own_name_is_the_models_where_it_has_no_other():
    (found,) = adapter_called_as_the_model(adapted("chat"))

    assert found.cause == "chat is a name of the model itself"
