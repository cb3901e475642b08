"""What the local node runs for the images of engines: entries of `images` in its configuration, as JSON.

The objects that the operator applies are the same whichever of these is used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine import environment
from mixserve_devcluster.real_vllm import launch, tiny_model
from mixserve_devcluster.real_vllm.installation import cache_directory

if TYPE_CHECKING:
    from mixserve_devcluster.real_vllm.installation import Installation

# vLLM's image has a Python beside it, and its entrypoint is the first two words of every command line.
_IMAGE = {"pattern": "vllm/vllm-openai:*", "entrypoint": ["vllm", "serve"]}
_PYTHON = {"python3": [sys.executable]}
# TensorRT-LLM's image has no entrypoint of its own that pools would use.
_TRTLLM_IMAGE = {"pattern": "nvcr.io/nvidia/tensorrt-llm/release:*"}


def simulated_images(*, time_scale: float = 1.0, cold_start_s: float | None = None) -> list[dict[str, Any]]:
    """Run the simulated engine, in place of vLLM and of TensorRT-LLM.

    Args:
        time_scale: real seconds per simulated second, above 0: 0.1 is ten times as fast as real time.
        cold_start_s: simulated seconds until an engine is ready; None: as long as its weights take to load.
    """
    command = [sys.executable, "-m", "mixserve_devcluster.engine"]
    settings = {environment.TIME_SCALE: f"{time_scale:g}"}
    if cold_start_s is not None:
        settings[environment.COLD_START_S] = f"{cold_start_s:g}"
    vllm = {"vllm": command, **_PYTHON}
    trtllm = {"trtllm-serve": [*command, "trtllm-serve"], **_PYTHON}
    return [
        {**_IMAGE, "executables": vllm, "env": settings, "simulated": True},
        {**_TRTLLM_IMAGE, "executables": trtllm, "env": settings, "simulated": True},
    ]


def real_vllm_images(installation: Installation) -> list[dict[str, Any]]:
    """Run vLLM on the CPU, with a tiny model without weights in place of any pool's model."""
    model = tiny_model.ensure(cache_directory())
    command = [str(installation.python), launch.__file__, str(installation.vllm), str(model)]
    settings = {
        "VLLM_TARGET_DEVICE": "cpu",
        # By default every engine binds itself to the same core; one thread is enough for the tiny model.
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        # Its processes talk to each other on loopback, not on the machine's address.
        "VLLM_HOST_IP": "127.0.0.1",
        # For its sockets: where it runs. The directory for temporary files has too long a name for them here.
        "VLLM_RPC_BASE_PATH": ".",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    return [{**_IMAGE, "executables": {"vllm": command, **_PYTHON}, "env": settings}]
