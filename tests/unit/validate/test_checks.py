import inspect

from mixserve.api.names import Reason
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.validate import CONDITIONS, catalog_checks, model_checks, notes, pool_checks, violations
from mixserve.validate.checks import POOL_CHECKS, VARIANT_CHECKS
from support.manifests import LLAMA_8B, facts_for, pool, variant


def check(manifest, facts=LLAMA_8B, owners=None):
    return violations(manifest, built_in_catalog(), facts_for(manifest, facts), owners or {})


def test_a_right_pool_has_no_violations_and_no_notes():
    manifest = pool(engine={"maxModelLen": 8192})

    assert check(manifest) == ()
    assert notes(manifest, built_in_catalog(), facts_for(manifest)) == ()


def test_everything_that_is_wrong_is_found_at_once():
    manifest = pool(
        variant("a", quantization="fp9", accelerator="h101-80gb"),
        variant("b", tensorParallel=3),
        servedNames=["taken"],
        engine={
            "maxModelLen": 200_000,
            "args": ["--port=1"],
            "batching": {"maxSequences": 9, "maxBatchedTokens": 8},
        },
    )

    found = check(manifest, owners={"taken": "other"})

    assert [(one.reason, one.field_path) for one in found] == [
        (Reason.SERVED_NAME_TAKEN, "spec.servedNames[0]"),
        (Reason.OWNED_FLAG, "spec.engine.args[0]"),
        (Reason.INVALID_SPEC, "spec.engine.batching.maxBatchedTokens"),
        (Reason.UNKNOWN_QUANTIZATION, "spec.variants[0].quantization"),
        (Reason.UNKNOWN_ACCELERATOR, "spec.variants[0].accelerator"),
        (Reason.CONTEXT_TOO_LONG, "spec.engine.maxModelLen"),
        (Reason.INDIVISIBLE_HEADS, "spec.variants[1].tensorParallel"),
    ]


def test_what_is_wrong_for_all_variants_alike_is_said_once():
    manifest = pool(variant("a"), variant("b"))

    assert len(check(manifest, InvalidFacts(("wrong",)))) == 1
    unknown = facts_for(manifest, UnknownFacts("nobody knows"))
    assert len(notes(manifest, built_in_catalog(), unknown)) == 1


def test_a_pool_of_unknown_facts_is_right():
    assert check(pool(variant(tensorParallel=7)), UnknownFacts("nobody knows")) == ()


def test_notes_come_from_the_pool_and_from_its_variants():
    manifest = pool(variant(accelerator="a100-80gb"), engine={"version": "0.99.0"})

    found = notes(manifest, built_in_catalog(), facts_for(manifest, UnknownFacts("nobody knows")))

    assert [one.reason for one in found] == [Reason.UNSUPPORTED_VERSION, Reason.UNKNOWN_MODEL_FACTS, Reason.VALID]


def test_a_finding_is_a_sentence():
    (found,) = check(pool(engine={"args": ["--port=1"], "maxModelLen": 8192}))

    assert found.message == f"spec.engine.args[0]: --port is set by the operator; {found.remedy}"


def test_every_check_is_registered():
    def checks_of(module):
        functions = inspect.getmembers(module, inspect.isfunction)
        return {f for name, f in functions if f.__module__ == module.__name__ and not name.startswith("_")}

    # These two need the other pools.
    assert checks_of(pool_checks) - {pool_checks.served_name_owners, pool_checks.served_names_taken} == set(POOL_CHECKS)
    assert checks_of(catalog_checks) | checks_of(model_checks) == set(VARIANT_CHECKS)


def test_every_reason_of_a_check_belongs_to_a_condition():
    sources = [inspect.getsource(module) for module in (pool_checks, catalog_checks, model_checks)]
    used = {reason for reason in Reason if any(f"Reason.{reason.name}" in source for source in sources)}

    assert len(used) > 5
    assert used <= set(CONDITIONS)
