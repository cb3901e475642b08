"""Pools that are applied together; a pool by itself is what the checks' own tests are about."""

from dataclasses import replace

from mixserve.api.names import Reason
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.model_source import Repository
from mixserve.validate.judgement import findings_together, judge
from support.manifests import LLAMA_8B, pool, variant

MODEL = {"source": "host:///m", "facts": LLAMA_8B.to_wire()}


def manifest(name, *variants, namespace="llm", **spec):
    made = pool(*variants, name=name, created="", model=MODEL, **{"engine": {"maxModelLen": 4096}, **spec})
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"namespace": namespace})})


def found(*pools):
    judged = [judge(one, catalog=built_in_catalog(), configs={}) for one in pools]
    return findings_together(judged)


def test_pools_that_share_nothing_are_valid():
    assert [one.violations for one in found(manifest("a"), manifest("b"))] == [(), ()]


def test_a_name_belongs_to_the_first_of_the_alphabet_where_nobody_is_older():
    first, second = found(manifest("b", servedNames=["chat"]), manifest("a", servedNames=["chat"]))

    assert [one.reason for one in first.violations] == [Reason.SERVED_NAME_TAKEN]
    assert first.violations[0].cause == "the pool a answers for the model name chat"
    assert second.violations == ()


def test_namespaces_are_apart():
    pools = [manifest(name, namespace=name, servedNames=["chat"]) for name in ("a", "b")]

    assert [one.violations for one in found(*pools)] == [(), ()]


def test_a_pool_with_violations_takes_no_name_and_gets_none():
    wrong = manifest("a", variant(quantization="fp9"), servedNames=["chat"])

    first, second = found(wrong, manifest("b", servedNames=["chat"]))

    assert [one.reason for one in first.violations] == [Reason.UNKNOWN_QUANTIZATION]
    assert second.violations == ()


def test_violations_are_told_by_variant_also_where_their_field_is_the_pools():
    wrong = manifest("a", variant("h100"), variant("l4", accelerator="l4"), engine={"maxModelLen": 131072})
    judgement = judge(wrong, catalog=built_in_catalog(), configs={})

    assert judgement.by_variant["h100"] == ()
    assert [one.field_path for one in judgement.by_variant["l4"]] == ["spec.engine.maxModelLen"]
    assert judgement.violations == judgement.by_variant["l4"]


def test_what_variants_share_is_told_once():
    wrong = manifest("a", variant("one"), variant("two"), engine={"maxModelLen": 200_000})
    judgement = judge(wrong, catalog=built_in_catalog(), configs={})

    assert all(judgement.by_variant.values())
    assert len(judgement.violations) == len(set(judgement.violations))
    assert replace(judgement, by_variant={}).violations == ()


def test_a_pool_is_judged_with_the_number_of_gpus_that_auto_stands_for():
    engine = {"maxModelLen": 131072}
    judgement = judge(
        manifest("a", variant(accelerator="l4", tensorParallel="auto"), engine=engine),
        catalog=built_in_catalog(),
        configs={},
    )

    assert judgement.violations == ()
    assert judgement.pool.spec.variants[0].is_auto
    assert judgement.resolved.spec.variants[0].gpus == 2


def waits(outlook, **fields):
    made = pool(variant(**fields), model={"source": "pvc://models/m"})
    absence = Absence(outlook=outlook, detail="it is not known", remedy="wait")
    absences = {Repository("pvc://models/m"): absence}
    judged = judge(made, catalog=built_in_catalog(), configs={}, absences=absences)
    return judged.waits, [one.reason for one in judged.violations]


def test_a_pool_waits_while_its_files_are_being_read():
    assert waits(Outlook.SOON) == (True, [])
    assert waits(Outlook.LATER) == (False, [])


def test_auto_waits_until_they_are_read():
    assert waits(Outlook.SOON, tensorParallel="auto") == (True, [])
    assert waits(Outlook.LATER, tensorParallel="auto") == (True, [])


def test_what_nobody_reads_is_wrong_with_auto_and_what_is_not_there_always():
    assert waits(Outlook.NEVER, tensorParallel="auto")[1] == [Reason.UNKNOWN_MODEL_FACTS]
    assert waits(Outlook.NEVER)[1] == []
    assert waits(Outlook.NOT_THERE)[1] == [Reason.CHECKPOINT_NOT_FOUND]


def test_numbers_that_are_given_wait_for_nothing():
    judged = judge(manifest("a"), catalog=built_in_catalog(), configs={})

    assert not judged.waits
