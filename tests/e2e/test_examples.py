"""Every example does what its README promises: it is applied, becomes Ready, answers, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.names import LABEL_VARIANT
from support.pool_sandbox import complete

if TYPE_CHECKING:
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.e2e

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "examples").iterdir() if path.is_dir())


def manifests(example: Path) -> list[dict[str, Any]]:
    return [one for file in sorted(example.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text()) if one]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_comes_up_answers_and_leaves_nothing_behind(example: Path, sandbox: PoolSandbox) -> None:
    applied = manifests(example)
    sandbox.apply(applied)
    pools = [one for one in applied if one["kind"] == "LLMServingPool"]
    assert pools
    for manifest in pools:
        name = manifest["metadata"]["name"]
        pool = sandbox.wait_until_ready(name)
        pods = sandbox.items("pods", pool=name)

        smallest = {variant["name"]: variant["replicas"]["min"] for variant in pool["spec"]["variants"]}
        assert {variant: replicas_of(variant, pods) for variant in smallest} == smallest
        for pod in pods:
            for model in pool["spec"].get("servedNames", [name]):
                assert complete(pod, model=model, max_tokens=5)["usage"]["completion_tokens"] == 5

        sandbox.delete_pool(name)


def replicas_of(variant: str, pods: list[dict[str, Any]]) -> int:
    return sum(pod["metadata"]["labels"][LABEL_VARIANT] == variant for pod in pods)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_says_what_it_is_and_how_to_run_it(example: Path) -> None:
    readme = (example / "README.md").read_text()

    assert f"kubectl apply -f examples/{example.name}/" in readme
    assert f"kubectl delete -f examples/{example.name}/" in readme
