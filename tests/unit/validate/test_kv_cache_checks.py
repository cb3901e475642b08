import pytest

from mixserve.api.names import Reason
from mixserve.validate.kv_cache_checks import (
    kv_cache_flag_owned,
    kv_cache_unsupported_by_accelerator,
    kv_cache_unsupported_by_engine,
    unknown_kv_cache_format,
)
from support.manifests import accelerator_like, format_like, pool, subjects, variant

PATH = "spec.engine.kvCache.format"
TENSORRT_LLM = {"type": "tensorrt-llm", "version": "1.2.1"}
T4 = accelerator_like("t4", computeCapability="7.5")


def subject(written, *entries, version="0.33.0", accelerator="h100-80gb", **engine):
    engine = {"kvCache": {"format": written}, "version": version, **engine}
    return subjects(pool(variant(accelerator=accelerator), engine=engine), *entries)[0]


def stored(**row):
    """A format of the KV cache of one's own, kv-mine."""
    return format_like("kv-mine", "kv-fp8", engines=[{"type": "vllm", "minimumComputeCapability": "8.0", **row}])


def nowhere():
    entry = stored()
    return entry.model_copy(update={"spec": entry.spec.model_copy(update={"engines": ()})})


class TestUnknown:
    def test_a_typing_error_is_recognised(self):
        (found,) = unknown_kv_cache_format(subject("nvpf4"))

        assert found.reason is Reason.UNKNOWN_QUANTIZATION
        assert found.field_path == PATH
        assert found.cause == "there is no QuantizationFormat kv-nvpf4"
        assert found.remedy == ("did you mean nvfp4? choose one of auto, fp8, nvfp4, or apply a manifest for nvpf4")

    @pytest.mark.parametrize("written", ["auto", "fp8", "nvfp4", "mine"])
    def test_what_the_catalogue_has_is_known(self, written):
        assert list(unknown_kv_cache_format(subject(written, stored()))) == []


class TestEngine:
    def test_a_version_without_the_format_is_refused(self):
        (found,) = kv_cache_unsupported_by_engine(subject("nvfp4", version="0.31.0"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == PATH
        assert found.cause == "nvfp4 needs vllm 0.32.0, and spec.engine.version is 0.31.0"
        assert found.remedy == (
            "set spec.engine.version to 0.32.0 or newer, or set it to auto, which every engine and GPU runs"
        )

    def test_an_engine_that_is_not_listed_does_not_run_it(self):
        (found,) = kv_cache_unsupported_by_engine(subject("mine", nowhere()))

        assert found.cause == "vllm does not run kv-mine"

    @pytest.mark.parametrize("written", ["auto", "fp8", "nvfp4", "fp9"])
    def test_what_runs_and_what_does_not_exist_is_not_its_business(self, written):
        assert list(kv_cache_unsupported_by_engine(subject(written))) == []


class TestAccelerator:
    def test_a_gpu_that_is_too_old_is_refused(self):
        (found,) = kv_cache_unsupported_by_accelerator(subject("fp8", T4, accelerator="t4"))

        assert found.reason is Reason.UNSUPPORTED_QUANTIZATION
        assert found.field_path == PATH
        assert found.cause == (
            "vllm does not run a KV cache in fp8 on t4 (compute capability 7.5) of variant main: it needs 8.0"
        )
        assert found.remedy == (
            "set it to auto, which every engine and GPU runs, or choose another accelerator in "
            "spec.variants[0].accelerator"
        )

    def test_a_gpu_that_is_refused_is_refused_with_the_reason(self):
        mine = stored(refused=[{"fromComputeCapability": "9.0", "reason": "the kernels end with Ada"}])

        (found,) = kv_cache_unsupported_by_accelerator(subject("mine", mine))

        assert found.cause.endswith("(compute capability 9.0) of variant main: the kernels end with Ada")

    @pytest.mark.parametrize(
        ("written", "accelerator"), [("auto", "t4"), ("fp8", "l4"), ("fp8", "h999"), ("fp9", "l4"), ("nvfp4", "b200")]
    )
    def test_what_runs_and_what_does_not_exist_is_right(self, written, accelerator):
        assert list(kv_cache_unsupported_by_accelerator(subject(written, T4, accelerator=accelerator))) == []


class TestTensorRTLLM:
    @pytest.mark.parametrize(
        ("written", "accelerator", "runs"),
        [
            ("fp8", "l4", True),
            ("fp8", "a100-80gb", False),
            ("nvfp4", "b200", True),
            ("nvfp4", "h100-80gb", False),
        ],
    )
    def test_its_formats_have_their_own_gpus(self, written, accelerator, runs):
        found = kv_cache_unsupported_by_accelerator(subject(written, accelerator=accelerator, **TENSORRT_LLM))

        assert (list(found) == []) is runs

    def test_an_older_version_stores_no_nvfp4(self):
        (found,) = kv_cache_unsupported_by_engine(subject("nvfp4", **{**TENSORRT_LLM, "version": "1.1.0"}))

        assert found.cause == "nvfp4 needs tensorrt-llm 1.2.0, and spec.engine.version is 1.1.0"

    @pytest.mark.parametrize("written", ["fp8", "nvfp4"])
    def test_they_give_their_own_argument(self, written):
        assert list(kv_cache_flag_owned(subject(written, **TENSORRT_LLM))) == []


class TestArguments:
    def test_a_format_gives_no_flag_that_has_an_owner(self):
        mine = stored(arguments=["--kv-cache-dtype=int8_per_token_head", "--port=9", "--seed=1"])

        (found,) = kv_cache_flag_owned(subject("mine", mine))

        assert found.reason is Reason.OWNED_FLAG
        assert found.field_path == PATH
        assert found.cause == "the QuantizationFormat kv-mine has the argument --port, which is not a format's to give"
        assert found.remedy.startswith("take it out of that QuantizationFormat, or ")

    @pytest.mark.parametrize("written", ["auto", "fp8", "nvfp4", "fp9"])
    def test_the_built_in_ones_give_their_own(self, written):
        assert list(kv_cache_flag_owned(subject(written))) == []
