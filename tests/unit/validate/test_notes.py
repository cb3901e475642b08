import pytest

from mixserve.api.names import Reason
from mixserve.plan.absence import Outlook
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.validate.notes import auto_waits, engine_caveats, facts_unknown, format_falls_back, version_unknown
from support.manifests import LLAMA_8B, format_like, pool, subjects, variant


def subject(facts=LLAMA_8B, **fields):
    return subjects(pool(variant(**fields)), facts=facts)[0]


def test_a_version_without_a_table_is_treated_as_the_nearest():
    (note,) = version_unknown(pool(engine={"version": "0.40.1"}))

    assert note.reason is Reason.VALID
    assert note.field_path == "spec.engine.version"
    assert note.cause == "vllm 0.40.1 is not known, and treated as 0.33"
    assert note.remedy.startswith("choose a version of 0.30, 0.31, 0.32, 0.33")


@pytest.mark.parametrize("version", ["0.30.0", "0.31.2", "0.32.0", "0.33.5"])
def test_a_known_version_needs_no_note(version):
    assert list(version_unknown(pool(engine={"version": version}))) == []


def test_what_a_version_does_not_do_is_noted():
    (note,) = engine_caveats(pool(engine={"type": "tensorrt-llm", "version": "1.2.1"}))

    assert (note.reason, note.field_path) == (Reason.VALID, "spec.engine.version")
    assert "under steady load" in note.cause
    assert "1.3" in note.remedy
    assert list(engine_caveats(pool())) == []


def test_unknown_facts_say_why_and_how_to_give_them():
    (note,) = facts_unknown(subject(UnknownFacts("config.json has experts")))

    assert note.reason is Reason.UNKNOWN_MODEL_FACTS
    assert note.field_path == "spec.model.source"
    assert note.cause == "config.json has experts"
    assert "spec.model.facts" in note.remedy


SOON = UnknownFacts("it is being read", "wait", Outlook.SOON)


def test_facts_that_are_being_read_are_another_reason():
    (note,) = facts_unknown(subject(SOON))

    assert note.reason is Reason.READING_MODEL_FILES
    assert (note.cause, note.remedy) == ("it is being read", "wait")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [(SOON, Reason.READING_MODEL_FILES), (UnknownFacts("down", outlook=Outlook.LATER), Reason.UNKNOWN_MODEL_FACTS)],
)
def test_auto_says_that_it_waits(facts, reason):
    (note,) = auto_waits(subject(facts, tensorParallel="auto"))

    assert (note.reason, note.field_path) == (reason, "spec.variants[0].tensorParallel")
    assert list(auto_waits(subject(facts, tensorParallel=2))) == []
    assert list(auto_waits(subject(LLAMA_8B, tensorParallel="auto"))) == []


@pytest.mark.parametrize("facts", [LLAMA_8B, InvalidFacts(("wrong",))])
def test_facts_that_are_there_need_no_note(facts):
    assert list(facts_unknown(subject(facts))) == []


def test_a_format_that_only_saves_memory_is_noted():
    (note,) = format_falls_back(subject(quantization="fp8", accelerator="a100-80gb"))

    assert note.reason is Reason.VALID
    assert note.field_path == "spec.variants[0].quantization"
    assert "a100-80gb (compute capability 8.0) computes fp8 in 16 bits (Marlin W8A16): it saves" in note.cause
    assert "8.9" in note.remedy


def test_nvfp4_below_blackwell_is_allowed_and_noted():
    (note,) = format_falls_back(subject(quantization="nvfp4", accelerator="l4"))

    assert note.cause == (
        "l4 (compute capability 8.9) computes nvfp4 in 16 bits (Marlin W4A16): it saves memory and no arithmetic"
    )
    assert note.remedy == "nothing has to be done; compute capability 10.0 and newer compute in the format itself"


def test_a_format_of_ones_own_need_not_name_its_kernel():
    row = {"type": "vllm", "minimumComputeCapability": "7.5", "nativeComputeCapability": "10.0"}
    mine = format_like("mine", engines=[row])
    (note,) = format_falls_back(subjects(pool(variant(quantization="mine")), mine)[0])

    assert "computes mine in 16 bits: it saves" in note.cause


@pytest.mark.parametrize("names", [{}, {"quantization": "fp9"}, {"quantization": "fp8", "accelerator": "l4"}])
def test_native_and_unknown_formats_need_no_note(names):
    assert list(format_falls_back(subject(**names))) == []
