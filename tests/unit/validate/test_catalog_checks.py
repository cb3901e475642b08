import pytest

from mixserve.api.names import Reason
from mixserve.validate.catalog_checks import (
    unknown_accelerator,
    unknown_quantization,
    unsupported_by_accelerator,
    unsupported_by_engine,
)
from mixserve.validate.subject import subjects_of
from support.manifests import accelerator_like, catalog_with, facts_for, format_like, pool, variant

OLD_GPU = accelerator_like("v100", computeCapability="7.0")
T4 = accelerator_like("t4", computeCapability="7.5")


def subject(*entries, **fields):
    manifest = pool(variant("first"), variant("second", **fields))
    return subjects_of(manifest, catalog_with(*entries), facts_for(manifest))[1]


def foreign(name="other"):
    """A format that the pool's engine does not run: the catalogue lists another engine only."""
    entry = format_like(name)
    return entry.model_copy(update={"spec": entry.spec.model_copy(update={"engines": ()})})


class TestUnknownNames:
    def test_a_typing_error_is_recognised(self):
        (found,) = unknown_quantization(subject(quantization="int4-awk"))

        assert found.reason is Reason.UNKNOWN_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == "there is no QuantizationFormat int4-awk"
        assert found.remedy.startswith("did you mean int4-awq? choose one of bf16, fp8, int4-awq")

    def test_a_name_like_no_other_gets_the_list(self):
        (found,) = unknown_accelerator(subject(accelerator="tpu-v7"))

        assert found.reason is Reason.UNKNOWN_ACCELERATOR
        assert found.field_path == "spec.variants[1].accelerator"
        assert found.remedy == "choose one of a100-80gb, h100-80gb, l4, or apply a manifest for tpu-v7"

    def test_entries_of_ones_own_are_known(self):
        mine = subject(T4, format_like("mine"), accelerator="t4", quantization="mine")

        assert [*unknown_quantization(mine), *unknown_accelerator(mine)] == []


class TestEngine:
    def test_a_format_that_it_does_not_run_is_refused_with_those_it_runs(self):
        (found,) = unsupported_by_engine(subject(foreign(), quantization="other"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == "vllm does not run other"
        assert found.remedy == "choose one that it runs: bf16, fp8, int4-awq"

    @pytest.mark.parametrize("quantization", ["fp8", "no-such-format"])
    def test_formats_that_it_runs_or_that_do_not_exist_are_not_its_business(self, quantization):
        assert list(unsupported_by_engine(subject(quantization=quantization))) == []


class TestAccelerator:
    def test_a_gpu_that_is_too_old_is_refused_with_what_would_run(self):
        (found,) = unsupported_by_accelerator(subject(T4, OLD_GPU, quantization="bf16", accelerator="t4"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == "bf16 needs compute capability 8.0 with vllm, and t4 has 7.5"
        assert "a quantization that t4 runs (fp8, int4-awq)" in found.remedy
        assert "an accelerator that runs bf16 (a100-80gb, h100-80gb, l4)" in found.remedy

    def test_a_gpu_that_runs_nothing_says_so(self):
        (found,) = unsupported_by_accelerator(subject(foreign(), OLD_GPU, quantization="fp8", accelerator="v100"))

        assert "a quantization that v100 runs (none in the catalogue)" in found.remedy

    def test_capabilities_compare_as_numbers(self):
        new = accelerator_like("b200", computeCapability="10.0")

        assert list(unsupported_by_accelerator(subject(new, quantization="bf16", accelerator="b200"))) == []

    def test_the_minimum_itself_runs(self):
        assert list(unsupported_by_accelerator(subject(T4, quantization="fp8", accelerator="t4"))) == []

    def test_a_gpu_that_only_widens_the_weights_is_no_violation(self):
        assert list(unsupported_by_accelerator(subject(quantization="fp8", accelerator="a100-80gb"))) == []

    @pytest.mark.parametrize("names", [{"quantization": "fp9"}, {"accelerator": "h999"}])
    def test_what_does_not_exist_is_not_its_business(self, names):
        assert list(unsupported_by_accelerator(subject(**names))) == []
