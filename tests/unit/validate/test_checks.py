import inspect
from importlib import import_module

from mixserve.api.names import Reason
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.quant_method import UNQUANTIZED
from mixserve.validate import CONDITIONS, violations
from mixserve.validate import notes as what_there_is_to_know
from mixserve.validate.checks import POOL_CHECKS, POOL_NOTES, VARIANT_CHECKS, VARIANT_NOTES
from mixserve.validate.speculation_checks import unknown_pair
from support.manifests import LLAMA_8B, facts_for, pool, variant

POOL_MODULES = ("pool_checks", "task_checks", "adapter_checks")
VARIANT_MODULES = ("catalog_checks", "checkpoint_checks", "kv_cache_checks", "model_checks", "speculation_checks")
NOTE_MODULES = ("notes", "speculation_notes")
MODULES = {
    name: import_module(f"mixserve.validate.{name}")
    for name in (*POOL_MODULES, *VARIANT_MODULES, *NOTE_MODULES, "name_checks", "not_known", "unreadable")
}


def check(manifest, facts=LLAMA_8B, quant_method=None):
    return violations(
        manifest,
        catalog=built_in_catalog(),
        facts_by_variant=facts_for(manifest, facts),
        quant_methods=dict.fromkeys(facts_for(manifest), quant_method),
    )


def notes(manifest, facts=LLAMA_8B):
    return what_there_is_to_know(manifest, catalog=built_in_catalog(), facts_by_variant=facts_for(manifest, facts))


def test_a_right_pool_has_no_violations_and_no_notes():
    manifest = pool(engine={"maxModelLen": 8192})

    assert check(manifest) == ()
    assert notes(manifest) == ()


def test_everything_that_is_wrong_is_found_at_once():
    manifest = pool(
        variant("a", quantization="fp9", accelerator="h101-80gb"),
        variant("b", tensorParallel=3),
        engine={"maxModelLen": 200_000, "args": ["--port=1"], "batching": {"maxSequences": 10_000}},
    )

    found = check(manifest, quant_method=UNQUANTIZED)

    assert [(one.reason, one.field_path) for one in found] == [
        (Reason.OWNED_FLAG, "spec.engine.args[0]"),
        (Reason.UNKNOWN_QUANTIZATION, "spec.variants[0].quantization"),
        (Reason.UNKNOWN_ACCELERATOR, "spec.variants[0].accelerator"),
        (Reason.CONTEXT_TOO_LONG, "spec.engine.maxModelLen"),
        (Reason.CHECKPOINT_MISMATCH, "spec.variants[1].quantization"),
        (Reason.INVALID_SPEC, "spec.engine.batching.maxSequences"),
        (Reason.INDIVISIBLE_HEADS, "spec.variants[1].tensorParallel"),
    ]


def test_what_is_wrong_for_all_variants_alike_is_said_once():
    manifest = pool(variant("a"), variant("b"))

    assert len(check(manifest, InvalidFacts(("wrong",)))) == 1
    assert len(notes(manifest, UnknownFacts("nobody knows"))) == 1


def test_a_pool_of_unknown_facts_is_right():
    assert check(pool(variant(tensorParallel=7)), UnknownFacts("nobody knows")) == ()


def test_notes_come_from_the_pool_and_from_its_variants():
    manifest = pool(variant(accelerator="a100-80gb"), engine={"version": "0.99.0"})

    found = notes(manifest, UnknownFacts("nobody knows"))

    assert [one.reason for one in found] == [Reason.VALID, Reason.UNKNOWN_MODEL_FACTS, Reason.VALID]


def test_a_finding_is_a_sentence():
    (found,) = check(pool(engine={"args": ["--port=1"], "maxModelLen": 8192}))

    assert found.message == f"spec.engine.args[0]: --port is set by the operator; {found.remedy}"


def checks_of(*modules):
    found = set()
    for module in map(MODULES.__getitem__, modules):
        functions = inspect.getmembers(module, inspect.isfunction)
        found |= {f for name, f in functions if f.__module__ == module.__name__ and not name.startswith("_")}
    return found


def test_every_check_is_registered():
    assert checks_of(*POOL_MODULES) == set(POOL_CHECKS)
    # That there is such a pair is asked of the pool, with the names of the others.
    assert checks_of(*VARIANT_MODULES) - {unknown_pair} == set(VARIANT_CHECKS)
    assert checks_of(*NOTE_MODULES) == {*POOL_NOTES, *VARIANT_NOTES}


def test_every_reason_of_a_check_or_a_note_belongs_to_a_condition():
    sources = [inspect.getsource(module) for module in MODULES.values()]
    used = {reason for reason in Reason if any(f"Reason.{reason.name}" in source for source in sources)}

    assert used == set(CONDITIONS)
