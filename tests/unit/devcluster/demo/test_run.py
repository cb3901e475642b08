from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mixserve_devcluster.demo.run import ManifestError, demo_pool

EXAMPLE = Path(__file__).parents[4] / "examples/quickstart/pool.yaml"
WINDOW = timedelta(seconds=15)


def test_the_window_is_short_and_the_rest_as_in_the_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(
        EXAMPLE.read_text() + "  drainTimeout: 7m\n  autoscaling: {targets: {waitingRequestsPerReplica: 9}}\n"
    )
    spec = demo_pool(manifest, stabilization=WINDOW)["spec"]
    assert spec["autoscaling"] == {
        "targets": {"waitingRequestsPerReplica": 9},
        "scaleDown": {"stabilization": "15s"},
    }
    assert spec["drainTimeout"] == "7m"


def test_what_is_null_counts_as_absent(tmp_path: Path) -> None:
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(EXAMPLE.read_text() + "  autoscaling:\n")
    assert demo_pool(manifest, stabilization=WINDOW)["spec"]["autoscaling"] == {"scaleDown": {"stabilization": "15s"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "can't be read as the YAML of one LLMServingPool"),
        (b"\xff\xfe\x00", "can't be read as the YAML of one LLMServingPool"),
        (b"a: 1\n---\na: 2\n", "can't be read as the YAML of one LLMServingPool"),
        (b"- 1\n", "is no good LLMServingPool"),
        (b"", "is no good LLMServingPool"),
        (b"kind: LLMServingPool\n", "is no good LLMServingPool: .*spec: is needed"),
        (EXAMPLE.read_bytes() + b"  foo: 1\n", "is no good LLMServingPool: spec.foo: there is no such field"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_name(tmp_path: Path, content: bytes, message: str) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_bytes(content)
    with pytest.raises(ManifestError, match=f"bad.yaml {message}"):
        demo_pool(manifest, stabilization=WINDOW)
