"""Real models: what is worked out of their config.json against what their makers publish."""

from pathlib import Path

import pytest
import yaml

from mixserve.api.engine import Engine
from mixserve.api.model_facts import ModelFacts
from mixserve.api.scalars import GIB
from mixserve.plan.facts import facts_from_config
from mixserve.plan.parallelism import smallest_tensor_parallel
from mixserve.plan.weights import weights_bytes
from support.manifests import placement

CORPUS = Path(__file__).parent / "model_corpus"
MODELS = {
    name: model
    for file in ("dense.yaml", "experts.yaml")
    for name, model in yaml.safe_load((CORPUS / file).read_text()).items()
}
CHECKPOINTS = yaml.safe_load((CORPUS / "checkpoints.yaml").read_text())
FIT_TABLE = yaml.safe_load((CORPUS / "fit.yaml").read_text())


def facts_of(name):
    facts = facts_from_config(MODELS[name]["config"])
    assert isinstance(facts, ModelFacts)
    return facts


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_the_published_ones_within_a_thousandth(name):
    assert facts_of(name).parameters == pytest.approx(MODELS[name]["parameters"], rel=1e-3)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if "active" in model])
def test_active_parameters_are_what_the_makers_say(name):
    facts = facts_of(name)
    table, said = facts.vocabulary_size * facts.hidden_size, MODELS[name]["active"] * 1e9

    # Some count the table from token to vector, some do not; and they round.
    assert (facts.parameters_per_token - table) * 0.93 < said < facts.parameters_per_token * 1.07


@pytest.mark.parametrize("name", MODELS)
def test_windows_are_those_of_the_models(name):
    found = facts_of(name).sliding_window

    assert (None if found is None else [found.layers, found.tokens]) == MODELS[name].get("sliding")


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_are_fewer_than_the_whole(name):
    facts = facts_of(name)

    assert facts.embedding_parameters + facts.attention + (facts.expert_parameters or 0) < facts.parameters


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_weights_are_those_of_published_checkpoints(name):
    checkpoint = CHECKPOINTS[name]
    facts = facts_of(checkpoint["model"])

    assert weights_bytes(facts, placement(checkpoint["quantization"]).weights) == pytest.approx(
        checkpoint["bytes"], rel=0.05
    )


@pytest.mark.parametrize(
    ("model", "quantization"), [(model, quantization) for model in FIT_TABLE for quantization in FIT_TABLE[model]]
)
def test_the_smallest_group_is_that_of_the_table(model, quantization):
    expected, facts = FIT_TABLE[model][quantization], facts_of(model)
    weights = weights_bytes(facts, placement(quantization).weights)

    found = {
        gpu: smallest_tensor_parallel(facts, engine=Engine(max_model_len=32768), placement=placement(quantization, gpu))
        for gpu in expected["gpus"]
    }

    assert weights / GIB == pytest.approx(expected["gib"], rel=0.01)
    assert found == expected["gpus"]
