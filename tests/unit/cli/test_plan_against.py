"""What a plan says of a cluster; the cluster itself is in tests/integration/operator."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from mixserve.api.names import ANNOTATION_KEPT
from mixserve.api.pool import LLMServingPool
from mixserve.catalog.built_in import built_in_catalog
from mixserve.cli import app, plan_against
from mixserve.cli.plan_against import Cluster, NoClusterError
from mixserve.observe.kept_files import Learned, kept_data
from mixserve.observe.live_pools import LivePool
from mixserve.plan.model_source import Repository
from mixserve.plan.objects import desired_objects
from support import pool_manifests
from support.manifests import facts_for
from support.model_configs import LLAMA_3_8B

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.testing import Result

BEFORE = pool_manifests.pool("chat", pool_manifests.variant(), pool_manifests.variant("old"))


def live(written: dict[str, Any], *, replicas: int = 1, refusal: str = "") -> LivePool:
    """A pool as the operator has made it."""
    parsed = LLMServingPool.parse({**written, "metadata": {"name": "chat", "namespace": "default", "uid": "u"}})
    facts = facts_for(parsed, parsed.spec.model.facts)
    objects = [
        copy.deepcopy(dict(one.body))
        for one in desired_objects(parsed, catalog=built_in_catalog(), facts_by_variant=facts).objects
    ]
    for one in objects:
        if one["kind"] == "Deployment":
            one["spec"]["replicas"] = replicas
    return LivePool({**written, "metadata": {"uid": "u"}}, tuple(objects), refusal)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(found: LivePool | Exception, written: dict[str, Any], *options: str) -> Result:
        def look(context: str | None, pools: Sequence[LLMServingPool]) -> Cluster:
            if isinstance(found, Exception):
                raise found
            return Cluster(built_in_catalog(), (found,))

        monkeypatch.setattr(plan_against, "look", look)
        return CliRunner().invoke(app, ["plan", "-f", "-", "--against", *options], input=yaml.safe_dump(written))

    return run


def test_an_unchanged_pool_changes_nothing(plan: Any) -> None:
    result = plan(live(BEFORE), BEFORE)

    assert result.exit_code == 0
    assert "Changes in the cluster\n  default/chat\n    nothing would change\n" in result.stdout


def test_roll_outs_deletions_and_bounds_are_told(plan: Any) -> None:
    after = pool_manifests.pool("chat", pool_manifests.variant(most=2), engine={"prefixCaching": False})

    against = json.loads(plan(live(BEFORE, replicas=3), after, "-o", "json").stdout)["pools"][0]["against"]

    assert (against["new"], against["refused"]) == (False, None)
    assert [(one["action"], one["kind"], one["name"]) for one in against["objects"]] == [
        ("roll out", "Deployment", "chat-main"),
        ("delete", "Deployment", "chat-old"),
        ("delete", "PodDisruptionBudget", "chat-old"),
    ]
    assert against["replicas"] == [
        {"variant": "main", "before": {"min": 1, "max": 4}, "after": {"min": 1, "max": 2}, "running": 3},
        {"variant": "old", "before": {"min": 1, "max": 4}, "after": None, "running": 3},
    ]


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_people_read_the_same(plan: Any, output: str) -> None:
    after = pool_manifests.pool("chat", pool_manifests.variant(most=2), engine={"prefixCaching": False})

    text = plan(live(BEFORE, replicas=3), after, "-o", output).stdout.replace("\\", "")

    assert "roll out Deployment chat-main (spec.template" in text
    assert "replicas of main: 1-4 -> 1-2, 3 run now" in text
    assert "replicas of old: 1-4 -> none, 3 run now" in text


def test_a_new_pool_is_made(plan: Any) -> None:
    text = plan(LivePool(None, (), ""), BEFORE).stdout

    assert "create Deployment chat-main\n" in text
    assert "replicas of" not in text


def test_what_the_api_server_refuses_is_a_violation(plan: Any) -> None:
    result = plan(live(BEFORE, refusal="a webhook says no"), BEFORE)

    assert result.exit_code == 1
    assert "the API server refuses it: a webhook says no" in result.stdout


def test_what_is_refused_does_not_reach_the_operator(plan: Any) -> None:
    wrong = pool_manifests.pool("chat", pool_manifests.variant(quantization="fp9"))

    text = plan(live(BEFORE, refusal="a webhook says no"), wrong).stdout

    assert "the API server refuses it: a webhook says no" in text
    assert "the operator would" not in text


def test_a_pool_with_violations_changes_nothing(plan: Any) -> None:
    wrong = pool_manifests.pool("chat", pool_manifests.variant(quantization="fp9"))

    text = plan(live(BEFORE), wrong).stdout

    assert "the operator would report its violations, and leave what runs as it is" in text
    assert "create" not in text


UNREAD = pool_manifests.pool("chat", pool_manifests.variant(tensorParallel="auto"))
UNREAD["spec"]["model"] = {"source": "pvc://models/llama"}


def kept(*, uid: str = "u") -> dict[str, Any]:
    """What the cluster's operator has learned of the volume."""
    metadata = {
        "name": "chat-model-files",
        "annotations": {ANNOTATION_KEPT: "model-files"},
        "ownerReferences": [{"uid": uid}],
    }
    data = kept_data([Learned(Repository("pvc://models/llama"), LLAMA_3_8B, "")])
    return {"kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.mark.parametrize("objects", [(), (kept(uid="another"),)])
def test_what_waits_for_a_volume_is_told(plan: Any, objects: tuple[dict[str, Any], ...]) -> None:
    result = plan(LivePool({**UNREAD, "metadata": {"uid": "u"}}, objects, ""), UNREAD)

    assert result.exit_code == 0
    assert "can't be read here: the volume is seen in the cluster only" in result.stdout
    assert "the operator would read the model's files first, and leave what runs as it is until then" in result.stdout
    assert "nothing would change" not in result.stdout


def test_what_the_clusters_operator_has_learned_is_known(plan: Any) -> None:
    found = LivePool({**UNREAD, "metadata": {"uid": "u"}}, (kept(),), "")
    [pool] = json.loads(plan(found, UNREAD, "-o", "json").stdout)["pools"]

    assert pool["parameters"] == 8_030_261_248
    assert pool["against"]["planned"]
    assert {one["kind"] for one in pool["against"]["objects"]} == {
        *("ServiceAccount", "Service", "Deployment", "PodDisruptionBudget")
    }


def test_numbers_that_came_late_are_no_reason_to_roll_out(plan: Any) -> None:
    written = copy.deepcopy(UNREAD)
    written["spec"]["variants"][0]["tensorParallel"] = 1
    parsed = LLMServingPool.parse({**written, "metadata": {"name": "chat", "namespace": "default", "uid": "u"}})
    made = desired_objects(parsed, catalog=built_in_catalog(), facts_by_variant={}).objects
    objects = (*(copy.deepcopy(dict(one.body)) for one in made), kept())
    metadata = {"name": "chat", "namespace": "default", "uid": "u"}
    result = plan(LivePool({**written, "metadata": metadata}, objects, ""), written)

    assert "default/chat\n    nothing would change\n" in result.stdout


def test_without_a_cluster_there_is_no_answer(plan: Any) -> None:
    result = plan(NoClusterError("nobody there"), BEFORE)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "no cluster to compare with: nobody there" in result.stderr


def test_without_a_kubeconfig_it_is_said_which_one_was_looked_for(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'a'}:{tmp_path / 'b'}")

    with pytest.raises(NoClusterError, match=r"there is no kubeconfig .*/a:.*/b; name one in KUBECONFIG"):
        plan_against.look(None, [])


def test_a_kubeconfig_without_the_context_is_no_cluster(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    with pytest.raises(NoClusterError):
        plan_against.look("none", [])
