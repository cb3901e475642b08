"""CPU, memory and shared memory of a replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.scalars import GIB

if TYPE_CHECKING:
    from mixserve.api.pool import Variant

# vLLM's and TensorRT-LLM's processes: one for the API, one that schedules, and one for each GPU, all of them busy.
_CORES = 2
_CORES_PER_GPU = 1

# PyTorch, CUDA and the tokenizer in each of those processes, and pinned buffers: of 2 to 4 GiB each (from experience).
# So small that one replica fits the smallest cloud machines with a GPU, of 4 cores and 16 GiB (g5.xlarge, g6.xlarge).
_BYTES = 4 * GIB
_BYTES_PER_GPU = 4 * GIB

# The project's advice is 8 to 16 GiB; tensors of more processes are there at once from the fifth GPU on.
_SHARED_BYTES = 8 * GIB
_MANY_GPUS = 5
_SHARED_BYTES_OF_MANY = 16 * GIB


def shared_memory_bytes(gpus: int) -> int:
    """Size of /dev/shm of a replica with so many GPUs; 0 for one, whose engine does without.

    NCCL and the engine's processes exchange tensors there; the 64 MiB that containers get by default end the engine.
    """
    if gpus == 1:
        return 0
    return _SHARED_BYTES if gpus < _MANY_GPUS else _SHARED_BYTES_OF_MANY


def resources(variant: Variant, *, gpu_resource: str) -> dict[str, Any]:
    """Requests and limits of the engine's container.

    Without a request for CPU or memory a pod is of the class that a full node ends first, whatever GPUs it has. CPU has
    no limit: an engine that is throttled keeps its GPUs waiting. Memory has one only where the pool gives it, since
    too small a guess would end engines while they load. What is in /dev/shm counts as the container's memory.

    Args:
        variant: with the number of its GPUs.
        gpu_resource: the extended resource, one per GPU.
    """
    gpus, asked = variant.gpus, variant.resources
    memory = _BYTES + _BYTES_PER_GPU * gpus if asked.memory is None else asked.memory
    quantity = memory_quantity(memory + shared_memory_bytes(gpus))
    limits = {} if asked.memory is None else {"memory": quantity}
    return {
        "requests": {"cpu": str(asked.cpu or _CORES + _CORES_PER_GPU * gpus), "memory": quantity},
        "limits": {**limits, gpu_resource: str(gpus)},
    }


def memory_quantity(value: int) -> str:
    """Bytes as Kubernetes writes them, in Gi where they are whole ones, else in Mi, rounded down."""
    return f"{value // GIB}Gi" if value % GIB == 0 else f"{value // 2**20}Mi"
