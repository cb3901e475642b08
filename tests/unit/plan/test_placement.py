from decimal import Decimal

import pytest

from mixserve.api.engine import EngineType
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.placement import PlacementError, engine_row, placement_of
from support.manifests import pool, variant


def test_a_variants_names_are_resolved():
    manifest = pool(variant(quantization="int4-awq", accelerator="l4", tensorParallel=2))
    found = placement_of(manifest, variant=manifest.spec.variants[0], catalog=built_in_catalog())

    assert found.weights.bits_per_weight < 5
    assert found.row.type is EngineType.VLLM
    assert found.accelerator.compute_capability == "8.9"
    assert found.tensor_parallel == 2


@pytest.mark.parametrize("names", [{"quantization": "fp9"}, {"accelerator": "h999"}])
def test_a_name_that_is_not_in_the_catalogue_is_an_error(names):
    manifest = pool(variant(**names))

    with pytest.raises(PlacementError, match="variant main"):
        placement_of(manifest, variant=manifest.spec.variants[0], catalog=built_in_catalog())


def test_an_engine_that_is_not_listed_does_not_run_the_format():
    catalog = built_in_catalog()
    weights = catalog.formats["fp8"].spec

    assert engine_row(weights, EngineType.VLLM) is not None
    assert engine_row(weights.model_copy(update={"engines": ()}), EngineType.VLLM) is None
    assert engine_row(catalog.formats["kv-fp8"].spec, EngineType.VLLM) is None


@pytest.mark.parametrize(("written", "bits"), [("auto", "16"), ("fp8", "8"), ("nvfp4", "4.5")])
def test_keys_and_values_have_the_bits_of_their_format(written, bits):
    manifest = pool(engine={"kvCache": {"format": written}})
    found = placement_of(manifest, variant=manifest.spec.variants[0], catalog=built_in_catalog())

    assert found.kv_bits == Decimal(bits)


def test_a_kv_cache_format_that_is_not_in_the_catalogue_is_an_error():
    manifest = pool(engine={"kvCache": {"format": "fp9"}})

    with pytest.raises(PlacementError, match="there is no QuantizationFormat kv-fp9"):
        placement_of(manifest, variant=manifest.spec.variants[0], catalog=built_in_catalog())
