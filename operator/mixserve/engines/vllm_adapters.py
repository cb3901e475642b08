"""LoRA adapters in vLLM 0.30 to 0.33: flags, and the ranks that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.engines.protocol import LaunchedAdapter

# `MaxLoRARanks`, the same in all four versions.
_SLOT_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def adapter_flags(adapters: Sequence[LaunchedAdapter]) -> tuple[str, ...]:
    """A slot on the GPU for each adapter, so that a batch may have requests for all of them; vLLM's default is one."""
    if not adapters:
        return ()
    return (
        "--enable-lora",
        *("--max-loras", str(len(adapters))),
        *("--max-lora-rank", str(slot_rank(max(adapter.rank for adapter in adapters)))),
        *("--lora-modules", *(f"{adapter.name}={adapter.path}" for adapter in adapters)),
    )


def slot_rank(rank: int) -> int:
    """The rank that vLLM makes room for: the least that there is and that takes an adapter of `rank` (1 to 512)."""
    return next(slot for slot in _SLOT_RANKS if slot >= rank)
