"""Which GPU the engine pretends to have: from the node's labels, else from a flag, else a default."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mixserve.simulate.settings import GIB, HardwareFacts
from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

PRODUCT_LABEL = "nvidia.com/gpu.product"
MEMORY_LABEL = "nvidia.com/gpu.memory"
# A GPU that several pods share in time slices has its product's speed, as long as one of them works.
_SHARED_SUFFIX = "-SHARED"
_MIB = 1024**2
# The smallest GPU of the table: what fits there fits elsewhere.
DEFAULT_GPU = "L4"


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU's data sheet.

    Attributes:
        product: the value of the label nvidia.com/gpu.product.
        memory_bytes: memory that a process can use.
        bandwidth: memory bandwidth in bytes/s.
        flops: dense matrix throughput in FLOP/s by the bits of the arithmetic.
    """

    product: str
    memory_bytes: int
    bandwidth: float
    flops: Mapping[int, float]


def _gpu(product: str, memory_gib: float, gigabytes_per_s: float, tflops: Mapping[int, float]) -> Gpu:
    return Gpu(
        product=product,
        memory_bytes=int(memory_gib * GIB),
        bandwidth=gigabytes_per_s * 1e9,
        flops={bits: value * 1e12 for bits, value in tflops.items()},
    )


# NVIDIA's data sheets, dense; memory as drivers report it.
GPUS: Mapping[str, Gpu] = {
    "L4": _gpu("NVIDIA-L4", 22.0, 300, {16: 121, 8: 242}),
    "A10G": _gpu("NVIDIA-A10G", 22.0, 600, {16: 70}),
    "L40S": _gpu("NVIDIA-L40S", 44.4, 864, {16: 362, 8: 733}),
    "A100-40GB": _gpu("NVIDIA-A100-SXM4-40GB", 39.4, 1555, {16: 312}),
    "A100": _gpu("NVIDIA-A100-SXM4-80GB", 79.2, 2039, {16: 312}),
    "H100": _gpu("NVIDIA-H100-80GB-HBM3", 79.2, 3350, {16: 989, 8: 1979}),
    "H200": _gpu("NVIDIA-H200", 139.8, 4800, {16: 989, 8: 1979}),
    "B200": _gpu("NVIDIA-B200", 178.3, 8000, {16: 2250, 8: 4500, 4: 9000}),
    "RTX-PRO-6000": _gpu("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 94.97, 1597, {16: 503, 8: 1007, 4: 2015}),
}


def find(labels: Mapping[str, str], name: str | None) -> Gpu:
    """The GPU of a node; `name` (--simulated-gpu) is for nodes whose labels name none.

    Raises:
        ConfigurationError: the GPU is not in the table, or the label with its memory is no number.
    """
    product = labels.get(PRODUCT_LABEL)
    if product is None:
        return _by_name(name or DEFAULT_GPU)
    gpu = _by_product(product.removesuffix(_SHARED_SUFFIX))
    if MEMORY_LABEL not in labels:
        return gpu
    # The label says what is built in, of which a process can't use all; a smaller GPU of the name has less.
    return replace(gpu, memory_bytes=min(gpu.memory_bytes, _memory_bytes(labels[MEMORY_LABEL])))


def facts(gpu: Gpu, *, gpus: int, compute_bits: int) -> HardwareFacts:
    """What the physics need of `gpus` such GPUs for arithmetic of `compute_bits`.

    A GPU without units for so few bits computes in the next wider format, as the kernels do.
    """
    bits = min(bits for bits in gpu.flops if bits >= min(compute_bits, max(gpu.flops)))
    return HardwareFacts(
        memory_bytes=gpu.memory_bytes,
        memory_bandwidth_bytes_per_s=gpu.bandwidth,
        flops=gpu.flops[bits],
        gpus=gpus,
    )


def _by_name(name: str) -> Gpu:
    gpu = GPUS.get(name.upper())
    if gpu is None:
        raise ConfigurationError(f"--simulated-gpu: unknown GPU {name!r}; known: {', '.join(GPUS)}")
    return gpu


def _by_product(product: str) -> Gpu:
    for gpu in GPUS.values():
        if gpu.product == product:
            return gpu
    known = ", ".join(gpu.product for gpu in GPUS.values())
    raise ConfigurationError(f"node label {PRODUCT_LABEL}: the simulation knows no GPU {product!r}; known: {known}")


def _memory_bytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigurationError(f"node label {MEMORY_LABEL}: must be a number of MiB, is {text!r}")
    return int(text) * _MIB
