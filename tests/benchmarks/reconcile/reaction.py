"""How long the operator takes from a metric that crosses its target to the write of /scale.

The metered engines report what a file says. Each round raises the load by one replica's worth at a random time, and
a watch on the Deployment notes when `spec.replicas` follows. Nothing shrinks between the rounds: starting pods count
as supply, so the next round can begin at once.
"""

import asyncio
import json
import random
import time
from pathlib import Path

from cluster_client import ClusterClient

# One replica's worth of load: the pool's maxSequences, which is its prior for what a replica carries.
SEQUENCES = 8
_POLL_S = 0.02
_DEADLINE_S = 60.0


def pool(name: str, *, rounds: int) -> dict[str, object]:
    """A pool of metered engines that may grow by one replica a round."""
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "LLMServingPool",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": "hf://mixserve/metered", "revision": "0" * 40},
            "engine": {"batching": {"maxSequences": SEQUENCES}},
            "autoscaling": {"targets": {"waitingRequestsPerReplica": 0}, "scaleDown": {"stabilization": "24h"}},
            "variants": [
                {
                    "name": "bf16",
                    "quantization": "bf16",
                    "accelerator": "l4",
                    "replicas": {"min": 1, "max": rounds + 1},
                }
            ],
            "drainTimeout": "1s",
        },
    }


def write_load(path: Path, *, running: int, waiting: int) -> None:
    """Replace the load that every metered engine reports, in one step."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"running": running, "waiting": waiting, "kv_cache_usage": 0.1}))
    new.rename(path)


async def measure(
    client: ClusterClient, *, namespace: str, deployment: str, load_file: Path, rounds: int, seed: int
) -> list[float]:
    """Seconds from crossing to /scale, one number a round.

    Raises:
        TimeoutError: replicas did not follow.
    """
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    reactions = []
    for number in range(1, rounds + 1):
        await asyncio.sleep(rng.uniform(0.0, 5.0))
        write_load(load_file, running=SEQUENCES, waiting=SEQUENCES * number)
        reactions.append(await _time_until(client, namespace=namespace, name=deployment, replicas=number + 1))
    return reactions


async def _time_until(client: ClusterClient, *, namespace: str, name: str, replicas: int) -> float:
    began_s = time.monotonic()
    while True:
        found = await client.get("apps/v1", "Deployment", namespace=namespace, name=name)
        elapsed_s = time.monotonic() - began_s
        if found["spec"]["replicas"] >= replicas:
            return elapsed_s
        if elapsed_s > _DEADLINE_S:
            message = f"{name} has {found['spec']['replicas']} replicas {elapsed_s:.0f} s after {replicas} were needed"
            raise TimeoutError(message)
        await asyncio.sleep(_POLL_S)
