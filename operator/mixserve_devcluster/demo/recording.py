"""What the demo saw, second by second."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mixserve_devcluster.demo.client import Result
from mixserve_devcluster.demo.spending import Spending


@dataclass(frozen=True)
class PoolSample:
    """A pool at one time.

    Attributes:
        replicas: what the Deployments ask for, all variants.
        ready: pods ready and routable.
        starting: pods that are not ready yet.
        draining: pods without the routable label, or terminating.
        running: requests in the engines' batches.
        waiting: requests in the engines' queues.
        kv_cache_usage: mean over the pods with data, 0 to 1; None without data.
        answered: requests until now; of all, where they were sent to the pool itself.
        decision: the pool's last decision as a sentence.
    """

    replicas: int
    ready: int
    starting: int
    draining: int
    running: int
    waiting: int
    kv_cache_usage: float | None
    answered: int
    decision: str


@dataclass(frozen=True)
class Sample:
    """All pools at one time.

    Attributes:
        at_s: seconds since the load began.
        pools: by name.
        ttft_p95_s: of the requests that ended in the last 15 s; None if none did.
    """

    at_s: float
    pools: Mapping[str, PoolSample]
    ttft_p95_s: float | None

    @property
    def answered(self) -> int:
        """Requests until now, by all pools."""
        return sum(pool.answered for pool in self.pools.values())

    def share(self, pool: str) -> float | None:
        """Of all answers until now, 0 to 1; None before the first one."""
        return self.pools[pool].answered / self.answered if self.answered else None


@dataclass(frozen=True)
class Decision:
    """A pool's last decision when it first appeared in its status."""

    at_s: float
    pool: str
    message: str


@dataclass
class Recording:
    """Samples, results and decisions of one run.

    Attributes:
        spending: what the gateways have counted, by tier, from the cheapest; empty without a gateway.
        prices: what a pool's tokens cost, as its status has it.
    """

    engine: str
    workload: str
    samples: list[Sample] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    spending: dict[str, Spending] = field(default_factory=dict)
    prices: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Append a sample, and the decisions in it that are new ones."""
        newest = {decision.pool: decision.message for decision in self.decisions}
        self.decisions += [
            Decision(sample.at_s, name, pool.decision)
            for name, pool in sample.pools.items()
            if pool.decision and newest.get(name) != pool.decision
        ]
        self.samples.append(sample)

    def of_pools(self, name: str) -> dict[str, list[Any]]:
        """One field of the samples, over time, by pool."""
        pools = self.samples[0].pools if self.samples else ()
        return {pool: [getattr(sample.pools[pool], name) for sample in self.samples] for pool in pools}

    def to_json(self) -> str:
        """Everything, for a file; money as strings."""
        return json.dumps(asdict(self), default=str)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile, share in (0, 1]; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
