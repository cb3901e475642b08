"""The tables of the benchmark, and its goals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from mixserve_devcluster.demo.recording import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from load import Load
    from measuring import Sample

_BASE = "envoy"
_PROXIES = ("envoy", "pool", "policy", "litellm")


@dataclass(frozen=True)
class Goal:
    """A goal and what there is of it."""

    name: str
    value: float
    wanted: str
    met: bool

    def __str__(self) -> str:
        return f"{self.name:58} {self.value:8.2f}  {self.wanted:8} {'met' if self.met else 'missed'}"


class Report:
    """All that was measured.

    Args:
        samples: of each repetition.
    """

    def __init__(self, samples: list[list[Sample]]) -> None:
        self._found = [{(sample.arm, sample.load): sample for sample in some} for some in samples]
        self._loads = list(dict.fromkeys(sample.load for sample in samples[0]))
        self._arms = list(dict.fromkeys(sample.arm for sample in samples[0]))

    def tables(self) -> Iterator[str]:
        """CPU time, latency and throughput, a line for each load."""
        yield from self._table("CPU ms per request of all processes (times Envoy alone)", self._cpu_cell)
        yield from self._table("of it in Python, ms", self._python_cell)
        yield from self._table("latency ms p50 / p99; proxies: added to direct", self._latency_cell)
        yield from self._table("answers per second", lambda arm, load: f"{self.per_second(arm, load):.0f}")

    def _table(self, title: str, cell: Callable[[str, Load], str]) -> Iterator[str]:
        yield f"\n{title:36}" + "".join(f"{arm:>18}" for arm in self._arms)
        for load in self._loads:
            yield f"  {load!s:34}" + "".join(f"{cell(arm, load):>18}" for arm in self._arms)

    def cpu_ms(self, arm: str, load: Load) -> float:
        """CPU time per request, median of the repetitions."""
        return median(sum(found[arm, load].cpu_ms) for found in self._found)

    def ratio(self, arm: str, base: str, load: Load) -> float:
        """How many times as much CPU time, median of the repetitions."""
        return median(sum(found[arm, load].cpu_ms) / sum(found[base, load].cpu_ms) for found in self._found)

    def latency_ms(self, arm: str, load: Load, share: float) -> float:
        """Until the whole answer, or the beginning of a streamed one; of the answers of all repetitions."""
        answers = [answer for found in self._found for answer in found[arm, load].outcome.latencies]
        return 1000 * percentile([each.first_byte_s if load.stream else each.whole_s for each in answers], share)

    def per_second(self, arm: str, load: Load) -> float:
        """Answers, median of the repetitions."""
        return median(found[arm, load].per_second for found in self._found)

    def _cpu_cell(self, arm: str, load: Load) -> str:
        if arm == "direct":
            return "-"
        times = f" ({self.ratio(arm, _BASE, load):.2f})" if _BASE in self._arms else ""
        return f"{self.cpu_ms(arm, load):.3f}{times}"

    def _python_cell(self, arm: str, load: Load) -> str:
        if arm not in {"pool", "policy"}:
            return "-"
        return f"{median(found[arm, load].cpu_ms[-1] for found in self._found):.3f}"

    def _latency_cell(self, arm: str, load: Load) -> str:
        direct = "direct" in self._arms and arm != "direct"
        parts = [
            self.latency_ms(arm, load, at) - (self.latency_ms("direct", load, at) if direct else 0)
            for at in (0.5, 0.99)
        ]
        return " / ".join(f"{part:.2f}" for part in parts)

    def goals(self) -> Iterator[Goal]:
        """Those whose arms were measured; each ratio is the median over numbers of connections."""
        for stream, arm, most in (
            (False, "pool", 1.5),
            (False, "policy", 6.0),
            (True, "pool", 1.35),
            (True, "policy", 1.35),
        ):
            for name, loads in self._by_body(stream=stream):
                if {arm, _BASE} <= {*self._arms}:
                    value = median(self.ratio(arm, _BASE, load) for load in loads)
                    yield Goal(f"{arm}, {name}: CPU, times Envoy alone", value, f"<= {most:g}", value <= most)
        yield from self._litellm()
        yield from self._plateau()

    def _litellm(self) -> Iterator[Goal]:
        for name, loads in self._by_body(stream=False):
            for arm in ("pool", "policy"):
                if {arm, "litellm"} <= {*self._arms}:
                    value = median(self.ratio("litellm", arm, load) for load in loads)
                    yield Goal(f"LiteLLM, {name}: CPU, times {arm}", value, ">= 40", value >= 40)

    def _plateau(self) -> Iterator[Goal]:
        """A proxy that can't keep up with long prompts gets through fewer of them the more there are."""
        name, loads = (
            list(self._by_body(stream=False))[-1:][0] if any(not load.stream for load in self._loads) else ("", [])
        )
        for arm in ("pool", "policy"):
            if arm in self._arms and len(loads) > 1:
                most = max(self.per_second(arm, load) for load in loads)
                value = self.per_second(arm, loads[-1]) / most
                yield Goal(
                    f"{arm}, {name}: answers per second, most connections to best", value, ">= 0.9", value >= 0.9
                )

    def _by_body(self, *, stream: bool) -> Iterator[tuple[str, list[Load]]]:
        loads = [load for load in self._loads if load.stream is stream]
        for size in sorted({load.prompt_bytes for load in loads}):
            some = [load for load in loads if load.prompt_bytes == size]
            yield str(some[0]).rpartition(",")[0], some
