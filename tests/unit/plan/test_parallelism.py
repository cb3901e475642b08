import pytest

from mixserve.api.engine import Engine
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.parallelism import group_sizes, shares_heads, smallest_tensor_parallel, with_tensor_parallel
from support.manifests import (
    LLAMA_8B,
    LLAMA_70B,
    accelerator_like,
    catalog_with,
    facts_for,
    placement,
    pool,
    variant,
)

ENGINE = Engine(max_model_len=32768)


def on(name="l4", **spec):
    place = placement("bf16")
    return type(place)(
        weights=place.weights, row=place.row, accelerator=accelerator_like("x", name, **spec).spec, tensor_parallel=1
    )


@pytest.mark.parametrize(("gpus", "right"), [(1, True), (8, True), (32, True), (3, False), (64, False)])
def test_heads_are_shared_evenly_or_copied(gpus, right):
    assert shares_heads(LLAMA_8B, gpus) is right


def test_key_value_heads_do_not_matter_where_there_are_none():
    latent = LLAMA_8B.model_copy(update={"attention_heads": 40, "key_value_heads": 8, "latent_size": 576})

    assert shares_heads(latent, 5)
    assert not shares_heads(latent.model_copy(update={"latent_size": None}), 5)


def test_groups_stay_on_a_node():
    assert group_sizes(LLAMA_8B, 8) == [1, 2, 4, 8]
    assert group_sizes(LLAMA_8B, 4) == [1, 2, 4]


def test_the_smallest_group_that_fits():
    assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=on("h100-80gb")) == 4
    assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=on("l4")) == 8


def test_more_than_a_node_has_is_no_answer():
    assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=on("h100-80gb", gpusPerNode=2)) is None
    assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=on("h100-80gb", gpusPerNode=6)) == 4


def test_a_power_of_two_that_the_heads_can_not_share_is_skipped():
    # 12 heads: 4 can share them, 8 can't.
    odd = LLAMA_70B.model_copy(update={"attention_heads": 12, "key_value_heads": 4})

    assert smallest_tensor_parallel(odd, engine=ENGINE, placement=on("l4")) is None


class TestAuto:
    @staticmethod
    def resolved(*variants, facts=LLAMA_70B, **fields):
        manifest = pool(*variants, engine={"maxModelLen": 32768}, **fields)
        return manifest, with_tensor_parallel(
            manifest, catalog=catalog_with(), facts_by_variant=facts_for(manifest, facts)
        )

    def test_is_the_smallest_group_of_each_variant(self):
        auto = {"tensorParallel": "auto"}
        _, found = self.resolved(
            variant("a", **auto),
            variant("b", accelerator="l4", quantization="int4-awq", **auto),
            variant("c", tensorParallel=8),
        )

        assert [one.tensor_parallel for one in found.spec.variants] == [2, 4, 8]

    def test_is_the_largest_group_where_none_holds_the_model(self):
        facts = LLAMA_70B.model_copy(update={"parameters": 10**13})

        _, found = self.resolved(variant(tensorParallel="auto"), facts=facts)

        assert found.spec.variants[0].tensor_parallel == 8

    @pytest.mark.parametrize("facts", [UnknownFacts("nobody knows"), InvalidFacts(("wrong",))])
    def test_stays_where_nobody_knows_the_model(self, facts):
        manifest, found = self.resolved(variant(tensorParallel="auto"), facts=facts)

        assert found is manifest
        assert found.spec.variants[0].is_auto
        assert found.spec.variants[0].gpus == 1

    def test_stays_where_the_catalogue_lacks_what_the_variant_names(self):
        manifest, found = self.resolved(variant(tensorParallel="auto", quantization="fp9"))

        assert found is manifest

    def test_a_pool_of_numbers_is_as_it_was(self):
        manifest, found = self.resolved(variant(tensorParallel=3))

        assert found is manifest
