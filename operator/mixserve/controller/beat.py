"""After each scrape: has the pool to be looked at?

A pool that has nothing to do rests: while its engines are idle, and say what they said at the last look, another look
would decide the same. So an idle fleet costs its scrapes and little more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.observation import EngineSample, Missing
from mixserve.observe.pods import is_replica

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixserve.api.observation import PoolObservation
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.samples import Samples

# A resting pool is looked at this often all the same: what happens by the mere passing of time is found then.
LONGEST_REST_S = 60.0

Signals = frozenset[tuple[str, object]]
"""What each engine says, by uid of its pod, without the time."""


@dataclass(frozen=True)
class _Rest:
    """What the engines said when the pool was laid to rest, and for how long it may rest."""

    signals: Signals
    until_s: float


class Beat:
    """Knows which pools rest.

    Args:
        view: the pods.
        samples: what their engines say.
        look: is called for each pool that has to be looked at.
    """

    def __init__(self, *, view: ClusterView, samples: Samples, look: Callable[[PoolKey], None]) -> None:
        self._view = view
        self._samples = samples
        self._look = look
        self._resting: dict[PoolKey, _Rest] = {}

    def scraped(self, key: PoolKey) -> None:
        """The pods of the pool were scraped: wake it if it has to be."""
        rest = self._resting.get(key)
        if rest is None or time.monotonic() > rest.until_s or rest.signals != self._signals(key):
            self._look(key)

    def looked(self, key: PoolKey, observation: PoolObservation, *, settled: bool) -> None:
        """The pool was decided about as observed; `settled` says that nothing goes on but what its engines say."""
        pods = (pod for variant in observation.variants for pod in variant.pods)
        signals = frozenset((pod.uid, _without_time(pod.sample)) for pod in pods)
        if settled and all(_is_idle(signal) for _, signal in signals):
            self._resting[key] = _Rest(signals, time.monotonic() + LONGEST_REST_S)
        else:
            self._resting.pop(key, None)

    def forget(self, key: PoolKey) -> None:
        """Drop a pool that is gone."""
        self._resting.pop(key, None)

    def _signals(self, key: PoolKey) -> Signals:
        now_s = time.time()
        uids = [pod["metadata"]["uid"] for pod in self._view.pods.of(key) if is_replica(pod)]
        return frozenset((uid, _without_time(self._samples.newest(uid, now_s=now_s))) for uid in uids)


def _without_time(sample: EngineSample | Missing) -> object:
    if isinstance(sample, Missing):
        return sample.reason
    return (sample.running, sample.waiting, sample.kv_cache_usage)


def _is_idle(signal: object) -> bool:
    return not isinstance(signal, tuple) or signal[:2] == (0, 0)
