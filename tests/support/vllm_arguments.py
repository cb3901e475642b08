"""What a real vLLM says of command lines; `vllm_probe` is its half of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.real_vllm import installation, tiny_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE = Path(__file__).with_name("vllm_probe.py")
# vLLM's imports take a minute on a busy machine with two cores; a command line takes a fraction of a second.
_TIMEOUT_S = 900


def checkpoint(directory: Path, name: str, quantization_config: Mapping[str, Any] | None, **changes: Any) -> Path:
    """The tiny model's files in BF16, with another `quantization_config` and other keys in its config.json."""
    target = directory / name.replace(":", "-")
    if not target.exists():
        shutil.copytree(tiny_model.ensure(installation.cache_directory()), target)
        config = json.loads((target / "config.json").read_text())
        config["dtype"] = "bfloat16"
        if quantization_config is not None:
            config["quantization_config"] = quantization_config
        (target / "config.json").write_text(json.dumps({**config, **changes}))
    return target


def judged(command_lines: Sequence[Sequence[str]], scratch: Path) -> list[dict[str, Any]]:
    """By command line (from `serve` on): `error`, or what vLLM understood."""
    answers = scratch / "answers.json"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [str(installation.find().python), str(PROBE), str(answers)],
        input=json.dumps([list(words) for words in command_lines]),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    found: list[dict[str, Any]] = json.loads(answers.read_text())
    return found
