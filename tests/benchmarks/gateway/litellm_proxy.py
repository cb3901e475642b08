"""LiteLLM's proxy, for comparison only: in an environment of its own in the user's cache, never in the project's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import platformdirs

from mixserve_devcluster.lock_file import locked
from mixserve_devcluster.progress import ProgressLine

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "1.110.2"
# These hold its database and its paid features, and not every package index has them. The proxy starts without them.
_LEFT_OUT = ("litellm-proxy", "litellm-proxy-extras", "litellm-enterprise")


def launch(directory: Path, *, port: int, engines: list[int]) -> tuple[list[str], dict[str, str]]:
    """Its command line with one worker, and its environment; it is installed if it is not there.

    As cheap as it can be had: no database, no key to check, no cost map from the network, no telemetry.
    """
    deployments = [
        {
            "model_name": "chat",
            "litellm_params": {
                "model": "openai/chat",
                "api_base": f"http://127.0.0.1:{engine}/v1",
                "api_key": "none",
            },
        }
        for engine in engines
    ]
    path = directory / "litellm.yaml"
    path.write_text(json.dumps({"model_list": deployments}))  # JSON is YAML
    options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    return [str(_installed() / "bin" / "litellm"), "--config", str(path), *options], _environment(directory)


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }


def _installed() -> Path:
    home = platformdirs.user_cache_path("mixserve") / f"litellm-{VERSION}-{sys.implementation.cache_tag}"
    with locked(home.with_name(f"{home.name}.lock"), waiting="waiting for another installation of LiteLLM"):
        if not (home / "complete").exists():
            _install(home)
    return home


def _install(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is None:
        raise FileNotFoundError("uv is not on PATH; `make bench-gateway` puts it there")
    line = ProgressLine(f"installing LiteLLM {VERSION} (600 MB, once, it is cached)")
    with line, tempfile.NamedTemporaryFile("w") as out:
        out.writelines(f"{name} ; sys_platform == 'never'\n" for name in _LEFT_OUT)
        out.flush()
        python = str(home / "bin" / "python")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
        wanted = ["--compile-bytecode", "--override", out.name, f"litellm[proxy]=={VERSION}"]
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *wanted], check=True)
    (home / "complete").touch()
