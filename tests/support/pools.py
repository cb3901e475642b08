"""Builders of pools and observations: a test names only what it is about."""

from dataclasses import replace
from datetime import timedelta

from mixserve.api.observation import (
    EngineSample,
    Missing,
    MissingReason,
    PodObservation,
    PoolObservation,
    Trouble,
    VariantObservation,
)
from mixserve.api.pool import (
    Autoscaling,
    AutoscalingMode,
    AutoscalingTargets,
    LLMServingPoolSpec,
    Model,
    ReplicaRange,
    ScaleDown,
    Variant,
)

NOW_S = 1_800_000_000.0
SILENT = Missing(MissingReason.TIMEOUT)


def sample(running: int = 0, waiting: int = 0, kv: float = 0.0, *, at_s: float = NOW_S) -> EngineSample:
    return EngineSample(scraped_at_s=at_s, running=running, waiting=waiting, kv_cache_usage=kv)


def pod(
    name: str = "a",
    signals: EngineSample | Missing | None = None,
    *,
    ready: bool = True,
    draining_since_s: float | None = None,
    routable: bool | None = None,
    terminating: bool = False,
    trouble: Trouble | None = None,
    created_at_s: float = NOW_S - 3600,
    turned_at_s: float = NOW_S - 60,
) -> PodObservation:
    """A pod that serves and is idle unless the arguments say otherwise."""
    return PodObservation(
        name=name,
        uid=f"uid-{name}",
        created_at_s=created_at_s,
        turned_at_s=turned_at_s,
        ready=ready and not terminating and trouble is None,
        terminating=terminating,
        routable=draining_since_s is None if routable is None else routable,
        draining_since_s=draining_since_s,
        sample=signals if signals is not None else sample(),
        trouble=trouble,
    )


def starting(name: str = "new") -> PodObservation:
    return pod(name, Missing(MissingReason.NOT_SCRAPED), ready=False)


def variant(
    *pods: PodObservation,
    name: str = "main",
    replicas: int | None = -1,
    rolling_out: bool = False,
    unseen: bool = False,
) -> VariantObservation:
    """A variant whose Deployment has as many replicas as there are pods that are not terminating, unless told."""
    if replicas is not None and replicas < 0:
        replicas = sum(not one.terminating for one in pods)
    return VariantObservation(name=name, replicas=replicas, rolling_out=rolling_out, pods=pods, unseen=unseen)


def seen(*variants: VariantObservation, now_s: float = NOW_S) -> PoolObservation:
    return PoolObservation(now_s=now_s, variants=variants)


def later(observation: PoolObservation, seconds: float) -> PoolObservation:
    """The same, seen (and scraped) some seconds later."""

    def move(one: PodObservation) -> PodObservation:
        if isinstance(one.sample, Missing):
            return one
        return replace(one, sample=replace(one.sample, scraped_at_s=one.sample.scraped_at_s + seconds))

    variants = tuple(replace(one, pods=tuple(move(each) for each in one.pods)) for one in observation.variants)
    return replace(observation, now_s=observation.now_s + seconds, variants=variants)


def bounds(minimum: int = 1, maximum: int = 10, name: str = "main", accelerator: str = "l4") -> Variant:
    return Variant(
        name=name,
        quantization="bf16",
        accelerator=accelerator,
        replicas=ReplicaRange(min=minimum, max=maximum),
    )


def pool(
    *variants: Variant,
    stabilization_s: float = 300,
    mode: AutoscalingMode = AutoscalingMode.NATIVE,
    waiting: int = 4,
    kv_percent: int = 85,
    drain_timeout_s: float = 600,
) -> LLMServingPoolSpec:
    return LLMServingPoolSpec(
        model=Model(source="pvc://models/tiny"),
        variants=variants or (bounds(),),
        autoscaling=Autoscaling(
            mode=mode,
            targets=AutoscalingTargets(waiting_requests_per_replica=waiting, kv_cache_usage_percent=kv_percent),
            scale_down=ScaleDown(stabilization=timedelta(seconds=stabilization_s)),
        ),
        drain_timeout=timedelta(seconds=drain_timeout_s),
    )
