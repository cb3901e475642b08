from __future__ import annotations

import json

import pytest

from mixserve.api.names import (
    ANNOTATION_DESIRED_HASH,
    ANNOTATION_LAST_VALID_SPEC,
    ANNOTATION_MEMORY_PLAN,
    LABEL_POOL,
    LABEL_ROUTABLE,
    LABEL_VARIANT,
)
from mixserve.api.pool import LLMServingPoolSpec
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.objects import deployment_name, desired_hash, desired_objects
from mixserve.plan.placement import PlacementError
from support.manifests import LLAMA_8B, facts_for, pool, variant

TWO = pool(
    variant("fp8", replicas={"min": 2, "max": 4}),
    variant("awq", quantization="int4-awq", accelerator="l4", replicas={"min": 0, "max": 8}),
)


def objects(manifest=TWO, facts=LLAMA_8B):
    return desired_objects(manifest, catalog=built_in_catalog(), facts_by_variant=facts_for(manifest, facts)).objects


def by_name(manifest=TWO, **options):
    return {f"{one.kind}/{one.name}": one for one in objects(manifest, **options)}


def deployment(manifest=None, **options):
    return by_name(manifest or pool(), **options)["Deployment/chat-main"].body


def test_a_pool_consists_of_an_account_a_service_and_two_objects_per_variant():
    assert list(by_name()) == [
        "ServiceAccount/chat",
        "Service/chat",
        *("Deployment/chat-fp8", "PodDisruptionBudget/chat-fp8"),
        *("Deployment/chat-awq", "PodDisruptionBudget/chat-awq"),
    ]


def test_every_object_says_what_it_belongs_to():
    for one in objects():
        metadata = one.body["metadata"]
        assert metadata["namespace"] == "llm"
        assert metadata["labels"][LABEL_POOL] == "chat"
        assert metadata["labels"].get(LABEL_VARIANT) == one.variant
        assert metadata["ownerReferences"] == [
            {
                "apiVersion": "mixserve.dev/v1alpha1",
                "kind": "LLMServingPool",
                "name": "chat",
                "uid": TWO.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]


def test_replicas_are_no_part_of_a_deployment_but_what_it_is_created_with():
    found = by_name()

    assert "replicas" not in found["Deployment/chat-fp8"].body["spec"]
    assert found["Deployment/chat-fp8"].initial_replicas == 2
    assert found["Deployment/chat-awq"].initial_replicas == 0
    assert [one.name for one in objects() if one.initial_replicas is None] == ["chat", "chat", "chat-fp8", "chat-awq"]


def test_pods_are_selected_by_labels_that_never_change():
    body = deployment()
    selector = body["spec"]["selector"]["matchLabels"]
    labels = body["spec"]["template"]["metadata"]["labels"]

    assert selector == {LABEL_POOL: "chat", LABEL_VARIANT: "main"}
    assert selector.items() <= labels.items()


def test_the_service_leads_to_routable_pods_of_all_variants():
    service = by_name()["Service/chat"].body["spec"]

    assert service["selector"] == {LABEL_POOL: "chat", LABEL_ROUTABLE: "true"}
    assert service["ports"] == [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}]


def test_one_replica_of_a_variant_may_be_evicted_at_a_time():
    budget = by_name()["PodDisruptionBudget/chat-awq"].body["spec"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == {LABEL_POOL: "chat", LABEL_VARIANT: "awq"}


def test_the_account_has_no_token():
    assert by_name()["ServiceAccount/chat"].body["automountServiceAccountToken"] is False


def test_a_rollout_may_take_as_long_as_draining_and_starting_do():
    body = deployment(pool(engine={"startupTimeout": "2h"}, drainTimeout="1h"))

    assert body["spec"]["progressDeadlineSeconds"] > 3 * 3600


def test_a_rollout_takes_no_replica_of_a_small_pool_away():
    rolling = deployment()["spec"]["strategy"]["rollingUpdate"]
    share = int(rolling["maxUnavailable"].rstrip("%")) / 100

    # Kubernetes rounds this down, and the surge up.
    assert [int(share * replicas) for replicas in (1, 2, 3, 4, 8)] == [0, 0, 0, 1, 2]


def test_a_rollout_that_must_not_surge_takes_old_replicas_first():
    rolling = deployment(pool(rollout={"surge": False}))["spec"]["strategy"]["rollingUpdate"]

    # A share that comes to nothing counts as one replica.
    assert rolling == {"maxSurge": 0, "maxUnavailable": "25%"}


@pytest.mark.parametrize("facts", [UnknownFacts("nobody knows"), InvalidFacts(("wrong",))])
def test_without_the_models_numbers_there_is_no_memory_plan(facts):
    known = deployment()["spec"]["template"]["metadata"]
    unknown = deployment(facts=facts)["spec"]["template"]["metadata"]

    assert ANNOTATION_MEMORY_PLAN in known["annotations"]
    assert "annotations" not in unknown


def test_a_variant_nobody_has_numbers_of_is_planned_all_the_same():
    found = desired_objects(TWO, catalog=built_in_catalog(), facts_by_variant={})

    assert len(found.objects) == 6


def test_a_pool_that_was_not_checked_is_an_error():
    with pytest.raises(PlacementError):
        objects(pool(variant(quantization="fp9")))


class TestHash:
    def test_is_that_of_the_object_without_it(self):
        for one in objects():
            body = json.loads(json.dumps(one.body))
            annotations = body["metadata"].pop("annotations")
            assert annotations.pop(ANNOTATION_DESIRED_HASH) == one.desired_hash
            body["metadata"] |= {"annotations": annotations} if annotations else {}
            assert desired_hash(body) == one.desired_hash

    def test_stays_with_an_equal_pool_and_differs_between_objects(self):
        first, second = ([one.desired_hash for one in objects()] for _ in range(2))

        assert first == second
        assert len(set(first)) == len(first)

    def test_does_not_depend_on_the_order_of_keys(self):
        assert desired_hash({"a": 1, "b": [{"c": 2, "d": 3}]}) == desired_hash({"b": [{"d": 3, "c": 2}], "a": 1})

    def test_changes_only_where_something_changes(self):
        before, after = by_name(pool()), by_name(pool(engine={"maxModelLen": 4096}))
        changed = [name for name in before if before[name].desired_hash != after[name].desired_hash]

        assert changed == ["ServiceAccount/chat", "Deployment/chat-main"]


def test_replica_bounds_change_no_object_but_the_noted_spec():
    before, after = by_name(pool()), by_name(pool(variant(replicas={"min": 1, "max": 9})))
    changed = [name for name in before if before[name].desired_hash != after[name].desired_hash]

    assert changed == ["ServiceAccount/chat"]


def test_the_service_account_notes_the_spec():
    manifest = pool(variant("one"), variant("two", replicas={"min": 2, "max": 9}))
    account = by_name(manifest)["ServiceAccount/chat"]
    noted = account.body["metadata"]["annotations"][ANNOTATION_LAST_VALID_SPEC]

    assert LLMServingPoolSpec.parse(json.loads(noted)) == manifest.spec


@pytest.mark.parametrize(("letter", "noted"), [("ä", True), ("\U0001f600", False), ("\x01", False)])
def test_a_spec_that_is_longer_than_annotations_may_be_is_not_noted(letter, noted):
    manifest = pool(engine={"args": [f"--template={letter * 1013}"] * (61 if noted else 64)})
    annotations = by_name(manifest)["ServiceAccount/chat"].body["metadata"]["annotations"]

    assert (ANNOTATION_LAST_VALID_SPEC in annotations) is noted
    # What the API server allows, keys and values together.
    assert sum(len((key + value).encode()) for key, value in annotations.items()) < 256 * 1024


def test_objects_share_no_parts_that_a_change_could_spread_through():
    seen: dict[int, object] = {}

    def walk(value):
        if isinstance(value, dict | list):
            assert id(value) not in seen
            seen[id(value)] = value
            for part in value.values() if isinstance(value, dict) else value:
                walk(part)

    for one in objects():
        walk(one.body)


def test_the_longest_names_fit_a_label():
    longest = pool(variant("v" * 20), name="p" * 40)

    assert len(deployment_name(longest, longest.spec.variants[0])) == 61
