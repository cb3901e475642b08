from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_KEPT
from mixserve.apply.changes import Action, Change, changes
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.objects import desired_objects
from support.manifests import facts_for, pool, variant

if TYPE_CHECKING:
    from mixserve.plan.objects import DesiredObject


def desired(*variants: dict[str, Any], **fields: Any) -> tuple[DesiredObject, ...]:
    manifest = pool(*variants, **fields)
    return desired_objects(manifest, catalog=built_in_catalog(), facts_by_variant=facts_for(manifest)).objects


def applied(objects: tuple[DesiredObject, ...]) -> list[dict[str, Any]]:
    return [copy.deepcopy(dict(one.body)) for one in objects]


def test_what_is_not_there_is_created() -> None:
    assert [(one.action, one.kind, one.name) for one in changes(desired(), [])] == [
        (Action.CREATE, "ServiceAccount", "chat"),
        (Action.CREATE, "Service", "chat"),
        (Action.CREATE, "Deployment", "chat-main"),
        (Action.CREATE, "PodDisruptionBudget", "chat-main"),
    ]


def test_what_is_as_desired_stays() -> None:
    assert changes(desired(), applied(desired())) == ()


def test_another_template_rolls_out() -> None:
    (found,) = changes(desired(engine={"prefixCaching": False}), applied(desired()))

    assert (found.action, found.kind, found.name) == (Action.ROLL_OUT, "Deployment", "chat-main")
    assert found.field_path.startswith("spec.template.spec.containers[name=engine]")


def test_what_does_not_reach_the_pods_is_a_change() -> None:
    live = applied(desired())
    live[2]["spec"]["revisionHistoryLimit"] = 10

    assert changes(desired(), live) == (Change(Action.CHANGE, "Deployment", "chat-main", "spec.revisionHistoryLimit"),)


def test_other_bounds_of_replicas_change_no_object() -> None:
    wider = desired(variant(replicas={"min": 1, "max": 9}))

    assert changes(wider, applied(desired())) == ()


@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget"])
def test_what_is_of_no_variant_any_more_is_deleted(kind: str) -> None:
    live = applied(desired(variant("main"), variant("old")))

    assert Change(Action.DELETE, kind, "chat-old") in changes(desired(), live)


def test_what_was_learned_of_its_models_stays() -> None:
    metadata = {"name": "chat-model-files", "annotations": {ANNOTATION_KEPT: "model-files"}}
    assert changes(desired(), [*applied(desired()), {"kind": "ConfigMap", "metadata": metadata}]) == ()


def test_what_pools_do_not_consist_of_is_left_alone() -> None:
    assert changes(desired(), [*applied(desired()), {"kind": "Pod", "metadata": {"name": "chat-main-1"}}]) == ()
