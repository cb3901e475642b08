from mixserve.api.names import Reason
from mixserve.validate.pool_checks import owned_flags
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
