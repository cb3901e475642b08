from dataclasses import replace

import pytest

from mixserve.api.names import Reason
from mixserve.catalog.built_in import Catalog
from mixserve.validate.catalog_checks import (
    engine_too_old,
    more_gpus_than_a_node,
    owned_by_format,
    unknown_accelerator,
    unknown_quantization,
    unsupported_by_accelerator,
    unsupported_by_engine,
)
from support.manifests import accelerator_like, format_like, pool, subjects, variant

OLD_GPU = accelerator_like("v100", computeCapability="7.0")
T4 = accelerator_like("t4", computeCapability="7.5")


def subject(*entries, **fields):
    return subjects(pool(variant("first"), variant("second", **fields)), *entries)[1]


def in_an_empty_cluster(**fields):
    nothing = Catalog(formats={}, accelerators={})
    return replace(subject(**fields), catalog=nothing)


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
        assert found.remedy.startswith("did you mean int4-awq? choose one of bf16, fp16, fp8, ")
        assert "kv-fp8" not in found.remedy

    def test_the_beginning_of_a_name_is_recognised(self):
        (found,) = unknown_accelerator(subject(accelerator="h100"))

        assert found.remedy.startswith("did you mean h100-80gb? choose one of a100-40gb, ")

    def test_a_name_like_no_other_gets_the_list(self):
        (found,) = unknown_accelerator(subject(accelerator="tpu-v7"))

        assert found.reason is Reason.UNKNOWN_ACCELERATOR
        assert found.field_path == "spec.variants[1].accelerator"
        assert found.remedy == (
            "choose one of a100-40gb, a100-80gb, a10g, b200, h100-80gb, h200, l4, l40s, rtx-pro-6000, or apply a "
            "manifest for tpu-v7"
        )

    @pytest.mark.parametrize(
        ("check", "remedy"),
        [
            (unknown_quantization, "apply a manifest for fp8; there is no other QuantizationFormat either"),
            (unknown_accelerator, "apply a manifest for h100-80gb; there is no other AcceleratorClass either"),
        ],
    )
    def test_an_empty_catalogue_has_nothing_to_choose_from(self, check, remedy):
        (found,) = check(in_an_empty_cluster())

        assert found.remedy == remedy

    def test_entries_of_ones_own_are_known(self):
        mine = subject(T4, format_like("mine"), accelerator="t4", quantization="mine")

        assert [*unknown_quantization(mine), *unknown_accelerator(mine)] == []


class TestEngine:
    def test_a_format_that_it_does_not_run_is_refused_with_those_it_runs(self):
        (found,) = unsupported_by_engine(subject(foreign(), quantization="other"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == "vllm does not run other"
        assert found.remedy.startswith("choose one that it runs: bf16, fp16, fp8, ")

    def test_a_format_of_the_kv_cache_is_none_of_weights(self):
        (found,) = unsupported_by_engine(subject(quantization="kv-fp8"))

        assert found.cause == "kv-fp8 is a format of the KV cache, not of weights"
        assert "kv-" not in found.remedy

    def test_where_it_runs_none_of_the_catalogue_one_has_to_be_applied(self):
        alone = Catalog(formats={"other": foreign()}, accelerators={})

        (found,) = unsupported_by_engine(replace(subject(quantization="other"), catalog=alone))

        assert found.remedy == "apply a QuantizationFormat that vllm runs, as none in the catalogue is one"

    @pytest.mark.parametrize("quantization", ["fp8", "no-such-format"])
    def test_formats_that_it_runs_or_that_do_not_exist_are_not_its_business(self, quantization):
        assert list(unsupported_by_engine(subject(quantization=quantization))) == []


class TestAccelerator:
    def test_a_gpu_that_is_too_old_is_refused_with_what_would_run(self):
        (found,) = unsupported_by_accelerator(subject(T4, OLD_GPU, quantization="bf16", accelerator="t4"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == "bf16 needs compute capability 8.0 with vllm, and t4 has 7.5"
        assert "a quantization that t4 runs (fp16, fp8, " in found.remedy
        assert "an accelerator that runs bf16 (a100-40gb, a100-80gb, a10g, b200, " in found.remedy

    def test_int8_on_blackwell_is_refused_with_the_reason(self):
        (found,) = unsupported_by_accelerator(subject(quantization="int8-smoothquant", accelerator="b200"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.variants[1].quantization"
        assert found.cause == (
            "vllm does not run int8-smoothquant on b200 (compute capability 10.0): vLLM has no INT8 kernels for "
            "Blackwell, and fails with the first request"
        )
        assert "(a100-40gb, a100-80gb, a10g, h100-80gb, h200, l4, l40s)" in found.remedy
        assert "int8-smoothquant, " not in found.remedy

    @pytest.mark.parametrize("accelerator", ["h100-80gb", "l4"])
    def test_it_runs_elsewhere(self, accelerator):
        mine = subject(quantization="int8-smoothquant", accelerator=accelerator)

        assert list(unsupported_by_accelerator(mine)) == []

    def test_nvfp4_is_allowed_where_it_saves_only_memory(self):
        assert list(unsupported_by_accelerator(subject(quantization="nvfp4", accelerator="l4"))) == []

    def test_a_gpu_that_runs_nothing_says_so(self):
        (found,) = unsupported_by_accelerator(subject(foreign(), OLD_GPU, quantization="fp8", accelerator="v100"))

        assert "a quantization that v100 runs (none in the catalogue)" in found.remedy

    def test_capabilities_compare_as_numbers(self):
        assert list(unsupported_by_accelerator(subject(quantization="bf16", accelerator="b200"))) == []

    def test_the_minimum_itself_runs(self):
        assert list(unsupported_by_accelerator(subject(T4, quantization="fp8", accelerator="t4"))) == []

    def test_a_gpu_that_only_widens_the_weights_is_no_violation(self):
        assert list(unsupported_by_accelerator(subject(quantization="fp8", accelerator="a100-80gb"))) == []

    @pytest.mark.parametrize("names", [{"quantization": "fp9"}, {"accelerator": "h999"}])
    def test_what_does_not_exist_is_not_its_business(self, names):
        assert list(unsupported_by_accelerator(subject(**names))) == []


class TestVersion:
    @staticmethod
    def found(version, **fields):
        manifest = pool(variant(**fields), engine={"version": version})
        return list(engine_too_old(subjects(manifest)[0]))

    def test_an_engine_without_the_format_is_too_old(self):
        (found,) = self.found("0.29.1", quantization="fp8-online")

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == "spec.engine.version"
        assert found.cause == "fp8-online in variant main needs vllm 0.30.0, and this is 0.29.1"
        assert found.remedy == (
            "set it to 0.30.0 or newer, or choose another quantization in spec.variants[0].quantization"
        )

    @pytest.mark.parametrize(
        ("version", "quantization"), [("0.30.0", "fp8-online"), ("0.1.0", "fp8"), ("0.1.0", "no-such-format")]
    )
    def test_a_newer_one_and_a_format_of_every_version_are_right(self, version, quantization):
        assert self.found(version, quantization=quantization) == []


class TestGpusOfANode:
    def test_a_replica_has_no_more_gpus_than_a_node(self):
        small = accelerator_like("workstation", gpusPerNode=2)

        (found,) = more_gpus_than_a_node(subject(small, accelerator="workstation", tensorParallel=4))

        assert found.reason is Reason.INVALID_SPEC
        assert found.field_path == "spec.variants[1].tensorParallel"
        assert found.cause == "one replica's GPUs are on one node, and nodes with workstation have 2 at most, not 4"
        assert found.remedy == (
            "set it to 2 or less, choose another accelerator, or correct gpusPerNode of the AcceleratorClass "
            "workstation"
        )

    @pytest.mark.parametrize("fields", [{"tensorParallel": 8}, {"accelerator": "h999", "tensorParallel": 64}])
    def test_a_whole_node_is_right_and_an_unknown_gpu_not_its_business(self, fields):
        assert list(more_gpus_than_a_node(subject(**fields))) == []


class TestArguments:
    @staticmethod
    def found(*arguments):
        row = {"type": "vllm", "minimumComputeCapability": "7.5", "nativeComputeCapability": "8.9"}
        mine = format_like("mine", engines=[{**row, "arguments": arguments}])
        return list(owned_by_format(subject(mine, quantization="mine")))

    def test_a_format_gives_no_flag_that_has_an_owner(self):
        port, size, key = self.found("--port=9", "--tensor-parallel-size=4", "--api-key=secret", "--dtype=half")

        assert port.reason is Reason.OWNED_FLAG
        assert port.field_path == "spec.variants[1].quantization"
        assert port.cause == "the QuantizationFormat mine has the argument --port, which is not a format's to give"
        assert port.remedy == "take it out of that QuantizationFormat, or choose another quantization"
        assert "--tensor-parallel-size" in size.cause
        assert "secret" not in key.message

    @pytest.mark.parametrize(
        "argument", ["--quantization=fp8_per_tensor", "--quantization-config.ignore=a", "--seed=1"]
    )
    def test_a_format_gives_its_own_flag_and_those_without_owner(self, argument):
        assert self.found(argument) == []

    @pytest.mark.parametrize("argument", ["--quant=awq", "--no-quantization", "--quantization.x=1"])
    def test_its_own_flag_has_to_be_written_out(self, argument):
        assert len(self.found(argument)) == 1

    def test_a_format_that_is_not_there_has_no_arguments(self):
        assert list(owned_by_format(subject(quantization="no-such-format"))) == []
