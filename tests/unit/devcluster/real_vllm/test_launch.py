from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.real_vllm import launch

if TYPE_CHECKING:
    from pathlib import Path

OWN = ["--load-format=dummy", "--dtype=float32", "--enforce-eager", "--kv-cache-memory-bytes=134217728"]


def test_serves_the_tiny_model_with_the_pools_other_flags() -> None:
    asked = ["serve", "example/Model", "--revision=0123", "--host=127.1.0.2", "--max-num-seqs=4"]

    assert launch.adapted(asked, "/tiny") == ["serve", "/tiny", "--host=127.1.0.2", "--max-num-seqs=4", *OWN]


@pytest.mark.parametrize("flag", ["--revision", "--tokenizer-revision", "--code-revision"])
def test_a_revision_goes_with_its_value(flag: str) -> None:
    assert launch.adapted(["serve", "m", flag, "0123", "--port", "8000"], "/tiny") == [
        "serve",
        "/tiny",
        "--port",
        "8000",
        *OWN,
    ]


def test_own_flags_come_last_since_the_last_of_equal_flags_wins() -> None:
    assert launch.adapted(["serve", "m", "--dtype=bfloat16"], "/tiny")[-4:] == OWN


@pytest.mark.parametrize("arguments", [[], ["--version"], ["serve"], ["serve", "--help"], ["bench", "serve"]])
def test_any_other_command_is_left_alone(arguments: list[str]) -> None:
    assert launch.adapted(arguments, "/tiny") == arguments


def test_becomes_vllm_without_mixserve_at_hand(tmp_path: Path) -> None:
    vllm = tmp_path / "vllm"
    vllm.write_text(f"#!{sys.executable} -IS\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    vllm.chmod(0o755)
    script = [sys.executable, "-I", "-S", launch.__file__, str(vllm), "/tiny"]

    answer = subprocess.run([*script, "serve", "m", "--port=1"], capture_output=True, check=True, timeout=60)

    assert json.loads(answer.stdout) == ["serve", "/tiny", "--port=1", *OWN]
