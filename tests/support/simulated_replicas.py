"""A *simulated* Deployment controller with its ReplicaSets: enough to see where a row of decisions ends."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mixserve.api.observation import (
    EngineSample,
    Missing,
    MissingReason,
    PodObservation,
    PodProblem,
    PoolObservation,
    Trouble,
    VariantObservation,
)
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from support.pools import NOW_S

COLD_START_S = 30.0


@dataclass
class SimulatedPool:
    """Simulated variants; `load` requests are spread over the ready routable pods, which hold `capacity` each."""

    sizes: dict[str, int]
    capacity: int = 8
    unschedulable: frozenset[str] = frozenset()
    silent: bool = False
    now_s: float = NOW_S
    pods: dict[str, list[PodObservation]] = field(default_factory=dict)
    removed_busy: int = 0
    _made: int = 0

    def __post_init__(self) -> None:
        """Begin with the pods ready."""
        self._settle()
        self.tick(COLD_START_S, load=0)

    def tick(self, seconds: float, *, load: int) -> None:
        """Let time pass: pods start, requests end and begin elsewhere, the ReplicaSet catches up."""
        self.now_s += seconds
        self._settle()
        takers = [one for pods in self.pods.values() for one in pods if one.ready and one.routable]
        for name, pods in self.pods.items():
            self.pods[name] = [self._step(name, one, load=load, takers=takers) for one in pods]

    def execute(self, actions: Iterable[Action]) -> None:
        """Do what a decision asks for."""
        for action in actions:
            match action:
                case SetReplicas():
                    assert self.sizes[action.variant] == action.seen
                    self.sizes[action.variant] = action.replicas
                case Drain():
                    self._label(action.variant, action.pods, since_s=self.now_s)
                case Restore():
                    self._label(action.variant, action.pods, since_s=None)

    def observe(self) -> PoolObservation:
        """What the operator would see."""
        variants = tuple(
            VariantObservation(name=name, replicas=size, rolling_out=False, pods=tuple(self.pods[name]))
            for name, size in self.sizes.items()
        )
        return PoolObservation(now_s=self.now_s, variants=variants)

    def count(self, name: str) -> int:
        """Pods that serve or will, draining ones not counted."""
        return sum(one.routable for one in self.pods[name])

    def _settle(self) -> None:
        for name, size in self.sizes.items():
            pods = self.pods.setdefault(name, [])
            doomed = sorted(pods, key=lambda one: (one.ready, one.routable, -one.created_at_s))
            for one in doomed[: max(0, len(pods) - size)]:
                busy = isinstance(one.sample, EngineSample) and one.sample.running > 0
                self.removed_busy += busy and one.routable
                pods.remove(one)
            while len(pods) < size:
                self._made += 1
                pods.append(self._new_pod(f"{name}-{self._made}"))

    def _new_pod(self, name: str) -> PodObservation:
        return PodObservation(
            name=name,
            uid=name,
            created_at_s=self.now_s,
            turned_at_s=self.now_s,
            ready=False,
            terminating=False,
            routable=True,
            draining_since_s=None,
            sample=Missing(MissingReason.NOT_SCRAPED),
        )

    def _step(
        self,
        name: str,
        one: PodObservation,
        *,
        load: int,
        takers: list[PodObservation],
    ) -> PodObservation:
        if name in self.unschedulable and not one.ready:
            return replace(one, trouble=Trouble(PodProblem.UNSCHEDULABLE, "no node"))
        if not one.ready and self.now_s - one.created_at_s < COLD_START_S:
            return one
        if self.silent:
            return replace(one, ready=True, sample=Missing(MissingReason.TIMEOUT))
        share = 0
        if one in takers:
            place = takers.index(one)
            share = load // len(takers) + (place < load % len(takers))
        elif isinstance(one.sample, EngineSample):
            share = one.sample.running // 2  # a draining pod finishes half of its requests in each step
        running = min(share, self.capacity)
        sample = EngineSample(
            scraped_at_s=self.now_s,
            running=running,
            waiting=share - running,
            kv_cache_usage=0.5 * running / self.capacity,
        )
        return replace(one, ready=True, sample=sample)

    def _label(self, variant: str, names: tuple[str, ...], *, since_s: float | None) -> None:
        self.pods[variant] = [
            replace(one, routable=since_s is None, draining_since_s=since_s) if one.name in names else one
            for one in self.pods[variant]
        ]
