"""What serves in the demo, and the load that fits it: the simulated engine, or real vLLM with a tiny model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from mixserve_devcluster.demo.workload import Lengths, Phase
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import real_vllm_images, simulated_images
from mixserve_devcluster.real_vllm import installation as real_vllm

# As many L4s as the quickstart's pool may use.
_GPUS = 4


@dataclass(frozen=True)
class Profile:
    """An engine and its load.

    Attributes:
        title: names the engine wherever its numbers are shown.
        images: entries of the local node's image map.
        phases: the ramp.
        most: requests are cut to these lengths.
        start_note: what a start consists of, for people.
        ready_deadline_s: how long the first replica may take.
        settle_s: how long the pool may take to shrink after the last request.
        stabilization: replaces the pool's own, so that the pool shrinks while somebody watches.
    """

    title: str
    images: Callable[[], list[dict[str, Any]]]
    phases: tuple[Phase, ...]
    most: Lengths
    start_note: str
    ready_deadline_s: float
    settle_s: float
    stabilization: timedelta

    def node_config(self) -> dict[str, Any]:
        """The local node's configuration."""
        return {"nodes": [l4_nodes(1, gpus=_GPUS)], "images": self.images()}

    def limit(self, lengths: Lengths) -> Lengths:
        """A request that the engine's context holds."""
        return Lengths(
            prompt_tokens=min(lengths.prompt_tokens, self.most.prompt_tokens),
            answer_tokens=min(lengths.answer_tokens, self.most.answer_tokens),
        )


def _ramp(peak_rps: float) -> tuple[Phase, ...]:
    quiet_rps = peak_rps / 12
    return (
        Phase(name="quiet", duration_s=6, from_rps=quiet_rps, to_rps=quiet_rps),
        Phase(name="up", duration_s=34, from_rps=quiet_rps, to_rps=peak_rps),
        Phase(name="peak", duration_s=12, from_rps=peak_rps, to_rps=peak_rps),
        Phase(name="down", duration_s=6, from_rps=peak_rps, to_rps=quiet_rps),
    )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "simulated": Profile(
            title="simulated vLLM on simulated L4s",
            images=lambda: simulated_images(cold_start_s=8.0),
            phases=_ramp(peak_rps=10.0),
            most=Lengths(prompt_tokens=4096, answer_tokens=600),
            start_note="the simulated engine loads for 8 s",
            ready_deadline_s=60.0,
            settle_s=75.0,
            stabilization=timedelta(seconds=15),
        ),
        "vllm": Profile(
            title="real vLLM on the CPU, a tiny model with random weights, simulated L4s",
            images=lambda: real_vllm_images(real_vllm.find()),
            phases=_ramp(peak_rps=5.0),
            most=Lengths(prompt_tokens=256, answer_tokens=128),
            start_note="vLLM starts in half a minute to two minutes on a CPU",
            ready_deadline_s=300.0,
            settle_s=300.0,
            stabilization=timedelta(seconds=15),
        ),
    }
)
