import pytest

from mixserve.api.names import Reason
from mixserve.plan.quant_method import UNQUANTIZED
from mixserve.validate.checkpoint_checks import (
    checkpoint_in_another_format,
    checkpoint_in_two_formats,
    checkpoint_not_read,
)
from support.manifests import format_like, pool, subjects, variant

TENSORRT_LLM = {"type": "tensorrt-llm", "version": "1.2.1"}
UNDESCRIBED = format_like("mine", checkpoint=None)


class TestAnotherFormat:
    @staticmethod
    def found(quantization, method, *entries):
        manifest = pool(variant(quantization=quantization), model={"source": "host:///models/m"})
        return list(checkpoint_in_another_format(subjects(manifest, *entries, quant_method=method)[0]))

    def test_unquantized_weights_are_in_no_quantized_format(self):
        (violation,) = self.found("int4-awq", UNQUANTIZED)

        assert violation.reason is Reason.CHECKPOINT_MISMATCH
        assert violation.field_path == "spec.variants[0].quantization"
        assert violation.cause == (
            "the config.json of host:///models/m says that its weights are not quantized, and those of int4-awq are "
            "stored as awq:w4a16 or compressed-tensors:w4a16 or modelopt:w4a16"
        )
        assert violation.remedy == (
            "choose a quantization for it (bf16, fp16, fp8-online), or name a checkpoint in int4-awq in "
            "spec.model.source"
        )

    def test_quantized_weights_are_in_no_unquantized_format(self):
        (violation,) = self.found("bf16", "awq")

        assert violation.cause == (
            "the config.json of host:///models/m says that its weights are stored as awq, and those of bf16 are not "
            "quantized"
        )
        assert violation.remedy.startswith("choose a quantization for it (int4-awq), or ")

    def test_schemes_tell_the_formats_of_one_method_apart(self):
        (violation,) = self.found("fp8", "compressed-tensors:w4a16")

        assert "are stored as compressed-tensors:w4a16, and those of fp8 are stored as fp8:fp8 or" in violation.cause
        assert violation.remedy.startswith("choose a quantization for it (int4-awq, int4-gptq), or ")

    def test_a_method_that_no_format_has_leaves_another_checkpoint(self):
        (violation,) = self.found("bf16", "torchao")

        assert violation.remedy == "name a checkpoint in bf16 in spec.model.source"

    @pytest.mark.parametrize(
        ("quantization", "method"),
        [
            ("bf16", UNQUANTIZED),
            ("fp8-online", UNQUANTIZED),
            ("fp8", "fp8"),
            ("fp8", "fp8:fp8"),
            ("fp8", "modelopt:fp8"),
            ("fp8", "compressed-tensors"),
            ("nvfp4", "modelopt:nvfp4"),
            ("int4-gptq", "gptq:w4a16"),
            ("int4-awq", "compressed-tensors"),
            ("int4-awq", None),
            ("mine", "awq"),
            ("no-such-format", "awq"),
        ],
    )
    def test_what_agrees_or_can_not_be_compared_is_right(self, quantization, method):
        assert self.found(quantization, method, UNDESCRIBED) == []


class TestTwoFormats:
    @staticmethod
    def found(*variants, method=None):
        manifest = pool(*variants)
        return list(checkpoint_in_two_formats(subjects(manifest, quant_method=method)[-1]))

    def test_one_checkpoint_is_not_in_two_formats_whatever_is_known_of_it(self):
        (violation,) = self.found(variant("large", quantization="fp8"), variant("small", quantization="int4-awq"))

        assert violation.reason is Reason.CHECKPOINT_MISMATCH
        assert violation.field_path == "spec.variants[1].quantization"
        assert violation.cause == (
            "hf://example/Model is fp8 in variant large and int4-awq here, and a checkpoint is in one format only"
        )
        assert violation.remedy == (
            "give one of them a source of its own, with a checkpoint in its format, in spec.variants[1].source"
        )

    def test_a_method_that_both_formats_have_does_not_help(self):
        variants = (variant("a", quantization="fp8"), variant("b", quantization="int4-awq"))

        assert len(self.found(*variants, method="compressed-tensors")) == 1

    def test_it_is_said_once_for_each_variant(self):
        variants = (
            variant("a", quantization="fp8"),
            variant("b", quantization="bf16"),
            variant("c", quantization="int4-awq"),
        )

        assert len(self.found(*variants)) == 1

    @pytest.mark.parametrize(
        "second",
        [
            variant("b", quantization="fp8", accelerator="l4"),
            variant("b", quantization="int4-awq", source="pvc://awq"),
            variant("b", quantization="fp8-online"),
            variant("b", quantization="no-such-format"),
        ],
    )
    def test_other_checkpoints_and_formats_made_while_loading_are_right(self, second):
        assert self.found(variant("a", quantization="fp8"), second) == []

    def test_where_the_checkpoint_says_which_one_is_wrong_that_is_enough(self):
        variants = (variant("a", quantization="fp8"), variant("b", quantization="bf16"))

        assert self.found(*variants, method="awq") == []
        assert self.found(*variants, method="fp8") == []


class TestNotRead:
    @staticmethod
    def found(method, engine):
        manifest = pool(variant(quantization="int4-awq"), model={"source": "host:///models/m"}, engine=engine)
        return list(checkpoint_not_read(subjects(manifest, quant_method=method)[0]))

    def test_tensorrt_llm_reads_no_checkpoint_of_autoawq(self):
        (violation,) = self.found("awq:w4a16", TENSORRT_LLM)

        assert violation.reason is Reason.CHECKPOINT_MISMATCH
        assert violation.field_path == "spec.model.source"
        assert violation.cause == "tensorrt-llm does not read weights that are stored as awq:w4a16"
        assert "ModelOpt" in violation.remedy

    @pytest.mark.parametrize(
        ("method", "engine"), [("awq:w4a16", {}), ("modelopt:w4a16", TENSORRT_LLM), (None, TENSORRT_LLM)]
    )
    def test_what_is_read_or_unknown_is_right(self, method, engine):
        assert self.found(method, engine) == []
