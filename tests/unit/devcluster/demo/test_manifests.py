from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.demo.manifests import ManifestError, read

if TYPE_CHECKING:
    from mixserve_devcluster.demo.manifests import Manifests

EXAMPLES = Path(__file__).parents[4] / "examples"
POOL = EXAMPLES / "quickstart/pool.yaml"
POLICY = EXAMPLES / "routing/routing.yaml"


def read_shortly(path: Path) -> Manifests:
    return read(path, stabilization=timedelta(seconds=15))


def test_all_of_a_directory_is_read_and_the_policy_is_asked() -> None:
    manifests = read_shortly(EXAMPLES / "routing")
    assert [pool.metadata.name for pool in manifests.pools] == ["small", "mid", "large"]
    assert manifests.model == "auto"
    assert {one["kind"] for one in manifests.objects} == {"LLMServingPool", "RoutingPolicy"}
    windows = [pool.spec.autoscaling.scale_down.stabilization for pool in manifests.pools]
    assert windows == [timedelta(seconds=15)] * 3


def test_a_pool_alone_is_asked_itself() -> None:
    manifests = read_shortly(POOL)
    assert (manifests.policy, manifests.model) == (None, "qwen-small")


def test_the_window_is_short_and_the_rest_as_in_the_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(
        POOL.read_text() + "  drainTimeout: 7m\n  autoscaling: {targets: {waitingRequestsPerReplica: 9}}\n"
    )
    [applied] = read_shortly(manifest).objects
    assert applied["spec"]["autoscaling"] == {
        "targets": {"waitingRequestsPerReplica": 9},
        "scaleDown": {"stabilization": "15s"},
    }
    assert applied["spec"]["drainTimeout"] == "7m"


def test_what_is_null_counts_as_absent(tmp_path: Path) -> None:
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(POOL.read_text() + "  autoscaling:\n")
    [applied] = read_shortly(manifest).objects
    assert applied["spec"]["autoscaling"] == {"scaleDown": {"stabilization": "15s"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "can't be read as YAML"),
        (b"\xff\xfe\x00", "can't be read as YAML"),
        (b"- 1\n", "holds something that is no Kubernetes object"),
        (b"", "holds no LLMServingPool"),
        (b"a: 1\n---\na: 2\n", "holds no LLMServingPool"),
        (POLICY.read_bytes(), "holds no LLMServingPool"),
        (b"kind: LLMServingPool\n", "has no good LLMServingPool: .*spec: is needed"),
        (POOL.read_bytes() + b"  foo: 1\n", "has no good LLMServingPool: spec.foo: there is no such field"),
        (POOL.read_bytes() + b"\n---\n" + POOL.read_bytes(), "holds 2 LLMServingPools and 0 RoutingPolicies, not one"),
        (
            b"\n---\n".join([POOL.read_bytes(), POLICY.read_bytes(), POLICY.read_bytes()]),
            "holds 1 LLMServingPools and 2 RoutingPolicies, not one",
        ),
    ],
)
def test_wrong_manifests_are_refused_with_their_name(tmp_path: Path, content: bytes, message: str) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_bytes(content)
    with pytest.raises(ManifestError, match=f"bad.yaml {message}"):
        read_shortly(manifest)
