"""What serves in the demo, and the load that fits it: the simulated engine, or real vLLM with a tiny model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mixserve_devcluster.demo.workload import Lengths, Phase
from mixserve_devcluster.gpu_nodes import h100_nodes, l4_nodes
from mixserve_devcluster.images import real_vllm_images, simulated_images
from mixserve_devcluster.real_vllm import installation as real_vllm

# As many as the examples' pools may use on each kind of GPU.
_L4S = 4
_H100S = 6


@dataclass(frozen=True)
class Profile:
    """An engine and its load.

    Attributes:
        title: names the engine wherever its numbers are shown.
        example: what is applied if nothing else is asked for.
        images: entries of the local node's image map.
        phases: the ramp.
        most: requests are cut to these lengths.
        start_note: what a start consists of, for people.
        ready_deadline_s: how long the first replicas and the gateway may take.
        settle_s: how long the pools may take to shrink after the last request.
        stabilization: replaces the pools' own, so that they shrink while somebody watches.
    """

    title: str
    example: Path
    images: Callable[[], list[dict[str, Any]]]
    phases: tuple[Phase, ...]
    most: Lengths
    start_note: str
    ready_deadline_s: float
    settle_s: float
    stabilization: timedelta

    def node_config(self) -> dict[str, Any]:
        """The local node's configuration."""
        return {"nodes": [l4_nodes(1, gpus=_L4S), h100_nodes(1, gpus=_H100S)], "images": self.images()}

    def limit(self, lengths: Lengths) -> Lengths:
        """A request that the engine's context holds."""
        return Lengths(
            prompt_tokens=min(lengths.prompt_tokens, self.most.prompt_tokens),
            answer_tokens=min(lengths.answer_tokens, self.most.answer_tokens),
        )


def _ramp(peak_rps: float, *, up_s: float, peak_s: float) -> tuple[Phase, ...]:
    quiet_rps = peak_rps / 12
    return (
        Phase(name="quiet", duration_s=6, from_rps=quiet_rps, to_rps=quiet_rps),
        Phase(name="up", duration_s=up_s, from_rps=quiet_rps, to_rps=peak_rps),
        Phase(name="peak", duration_s=peak_s, from_rps=peak_rps, to_rps=peak_rps),
        Phase(name="down", duration_s=6, from_rps=peak_rps, to_rps=quiet_rps),
    )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "simulated": Profile(
            title="simulated vLLM on simulated L4s and H100s",
            example=Path("examples/routing"),
            images=lambda: simulated_images(cold_start_s=8.0),
            phases=_ramp(peak_rps=4.5, up_s=20.0, peak_s=44.0),
            most=Lengths(prompt_tokens=4096, answer_tokens=600),
            start_note="simulated engines load for 8 s",
            ready_deadline_s=120.0,
            settle_s=75.0,
            stabilization=timedelta(seconds=15),
        ),
        "vllm": Profile(
            title="real vLLM on the CPU, a tiny model with random weights, simulated L4s",
            # One pool without a gateway: two cores are too few for three engines and a gateway.
            example=Path("examples/quickstart"),
            images=lambda: real_vllm_images(real_vllm.find()),
            phases=_ramp(peak_rps=5.0, up_s=34.0, peak_s=12.0),
            most=Lengths(prompt_tokens=256, answer_tokens=128),
            start_note="vLLM starts in half a minute to two minutes on a CPU",
            ready_deadline_s=300.0,
            settle_s=300.0,
            stabilization=timedelta(seconds=15),
        ),
    }
)
