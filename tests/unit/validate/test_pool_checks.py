import pytest

from mixserve.api.names import Reason
from mixserve.validate.pool_checks import chat_template_not_taken, owned_flags, owned_variables
from support.manifests import pool


def test_every_owned_flag_is_refused_with_its_field_and_without_its_value():
    args = ["--dtype=half", "--max-model-len=10", "--hf-token=hf_secret"]

    first, second = owned_flags(pool(engine={"args": args}))

    assert first.reason is Reason.OWNED_FLAG
    assert first.field_path == "spec.engine.args[1]"
    assert first.cause == "--max-model-len is set by the operator"
    assert first.remedy == "use spec.engine.maxModelLen"
    assert second.field_path == "spec.engine.args[2]"
    assert "secret" not in second.message


def test_other_flags_are_right():
    assert list(owned_flags(pool(engine={"args": ["--enforce-eager"]}))) == []


def test_every_owned_variable_is_refused_without_its_value():
    env = [{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": "HF_TOKEN", "value": "hf_secret"}]

    [found] = owned_variables(pool(engine={"env": env}))

    assert found.reason is Reason.OWNED_FLAG
    assert found.message == "spec.engine.env[1]: HF_TOKEN is not to be set here; use spec.model.tokenSecretRef"


TEMPLATE = {"name": "templates", "key": "llama.jinja"}


def test_a_version_without_chat_templates_is_refused_with_those_that_take_them():
    manifest = pool(engine={"type": "tensorrt-llm", "version": "1.1.0", "chatTemplate": TEMPLATE})

    [found] = chat_template_not_taken(manifest)

    assert found.field_path == "spec.engine.chatTemplate"
    assert found.cause == "tensorrt-llm 1.1.0 takes no chat template"
    assert found.remedy.startswith("choose a version of 1.2, 1.3, or")


@pytest.mark.parametrize(
    "engine",
    [{"chatTemplate": TEMPLATE}, {"type": "tensorrt-llm", "version": "1.1.0"}],
)
def test_other_chat_templates_are_taken(engine):
    assert list(chat_template_not_taken(pool(engine=engine))) == []
