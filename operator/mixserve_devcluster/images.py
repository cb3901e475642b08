"""What the local node runs for the images of engines: entries of its configuration's `images`, as JSON.

The objects that the operator applies are the same whichever of these is used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.real_vllm import launch, tiny_model
from mixserve_devcluster.real_vllm.installation import cache_directory

if TYPE_CHECKING:
    from mixserve_devcluster.real_vllm.installation import Installation

_VLLM_IMAGES = "vllm/vllm-openai:*"


def real_vllm_images(installation: Installation) -> list[dict[str, Any]]:
    """Run vLLM on the CPU, with a tiny model without weights in place of any pool's model."""
    model = tiny_model.ensure(cache_directory())
    command = [str(installation.python), str(Path(launch.__file__)), str(installation.vllm), str(model)]
    return [
        {
            "pattern": _VLLM_IMAGES,
            "executables": {"vllm": command, "python3": [sys.executable]},
            "entrypoint": ["vllm", "serve"],
            "env": {
                "VLLM_TARGET_DEVICE": "cpu",
                # By default each engine binds itself to the same core; one thread each is enough for the tiny model.
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                "OMP_NUM_THREADS": "1",
                # Its processes talk to each other on loopback, not on the machine's address.
                "VLLM_HOST_IP": "127.0.0.1",
                "VLLM_NO_USAGE_STATS": "1",
                "HF_HUB_OFFLINE": "1",
            },
        }
    ]
