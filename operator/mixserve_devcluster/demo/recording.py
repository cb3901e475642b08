"""What the demo saw, second by second, and what it adds up to."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from mixserve_devcluster.demo.client import Result


@dataclass(frozen=True)
class Sample:
    """The pool at one time.

    Attributes:
        at_s: seconds since the load began.
        replicas: what the Deployments ask for, all variants.
        ready: pods ready and routable.
        starting: pods that are not ready yet.
        draining: pods without the routable label, or terminating.
        running: requests in the engines' batches.
        waiting: requests in the engines' queues.
        kv_cache_usage: mean over the pods with data, 0 to 1; None without data.
        ttft_p95_s: of the requests that ended in the last 15 s; None if none did.
        decision: the pool's last decision as a sentence.
    """

    at_s: float
    replicas: int
    ready: int
    starting: int
    draining: int
    running: int
    waiting: int
    kv_cache_usage: float | None
    ttft_p95_s: float | None
    decision: str


@dataclass(frozen=True)
class Decision:
    """A last decision when it first appeared in the pool's status."""

    at_s: float
    message: str


@dataclass
class Recording:
    """Samples, results and decisions of one run."""

    engine: str
    workload: str
    samples: list[Sample] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Append a sample, and its decision if it is a new one."""
        if sample.decision and (not self.decisions or self.decisions[-1].message != sample.decision):
            self.decisions.append(Decision(sample.at_s, sample.decision))
        self.samples.append(sample)

    def to_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile, share in (0, 1]; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


@dataclass(frozen=True)
class Summary:
    """A run in numbers.

    Attributes:
        replica_hours: the area under the wanted replicas.
        peak_replica_hours: what the peak, held all the time, would have taken.
    """

    requests: int
    failed: int
    errors: tuple[str, ...]
    answer_tokens: int
    ttft_median_s: float | None
    ttft_p95_s: float | None
    smallest: int
    peak: int
    last: int
    replica_hours: float
    peak_replica_hours: float

    @property
    def saved_percent(self) -> float:
        """Replica hours saved against the peak held all the time."""
        return 100 * (1 - self.replica_hours / self.peak_replica_hours) if self.peak_replica_hours else 0.0


def summarise(recording: Recording) -> Summary:
    """Add a recording up."""
    ttfts = [result.ttft_s for result in recording.results if result.ttft_s is not None]
    failed = [result for result in recording.results if result.error]
    replicas = [sample.replicas for sample in recording.samples]
    area_s = sum(
        before.replicas * (after.at_s - before.at_s)
        for before, after in zip(recording.samples, recording.samples[1:], strict=False)
    )
    length_s = recording.samples[-1].at_s - recording.samples[0].at_s if recording.samples else 0.0
    return Summary(
        requests=len(recording.results),
        failed=len(failed),
        errors=tuple(dict.fromkeys(result.error for result in failed))[:5],
        answer_tokens=sum(result.answer_tokens for result in recording.results),
        ttft_median_s=median(ttfts) if ttfts else None,
        ttft_p95_s=percentile(ttfts, 0.95),
        smallest=min(replicas, default=0),
        peak=max(replicas, default=0),
        last=replicas[-1] if replicas else 0,
        replica_hours=area_s / 3600,
        peak_replica_hours=max(replicas, default=0) * length_s / 3600,
    )


def failures(summary: Summary) -> list[str]:
    """Why the demo did not show what it has to show; empty if it did."""
    reasons = []
    if not summary.requests:
        reasons.append("no request was sent")
    if summary.failed:
        reasons.append(f"{summary.failed} of {summary.requests} requests failed: {'; '.join(summary.errors)}")
    if summary.peak <= summary.smallest:
        reasons.append(f"the pool did not scale up: it stayed at {summary.peak}")
    elif summary.last != summary.smallest:
        reasons.append(f"the pool did not scale down again: it ended at {summary.last}")
    return reasons
