"""WorkloadReady: whether what the pool asked of the cluster is there. See `conditions` for the meaning."""

from collections.abc import Sequence

from mixserve.api.names import LABEL_POOL, ConditionType, Reason
from mixserve.api.observation import PodObservation, PoolObservation, VariantObservation
from mixserve.api.pool import LLMServingPoolSpec, Variant
from mixserve.status.troubles import Advise, Explained, explain, explain_refusal
from mixserve.status.verdict import NOT_LOOKED_AT, ConditionStatus, Verdict

_URGENCY = (
    Reason.SECRET_NOT_FOUND,
    Reason.VOLUME_CLAIM_NOT_FOUND,
    Reason.CONFIG_MAP_NOT_FOUND,
    Reason.CONTAINER_CONFIG_ERROR,
    Reason.PODS_REFUSED,
    Reason.IMAGE_UNAVAILABLE,
    Reason.ENGINE_START_FAILED,
    Reason.ENGINE_ENDED,
    Reason.UNSCHEDULABLE,
)
"""Of several troubles the first gives the reason: an edit helps against it, against a full cluster only waiting."""


def judge_workload(
    *,
    pool: str,
    variants: Sequence[Variant],
    observation: PoolObservation | None,
    apply_error: str | None,
    advise: Advise,
) -> Verdict:
    """The verdict on Deployments and pods.

    Args:
        pool: name of the pool.
        variants: the spec's.
        observation: what was seen, its variants in the order of the spec; None if there never was a valid spec.
        apply_error: why the objects could not be applied, or None.
        advise: what the engine knows about its own start-up errors.
    """
    if apply_error is not None:
        return _verdict("False", Reason.APPLY_FAILED, f"The objects could not be applied: {apply_error}")
    if observation is None:
        return _verdict("Unknown", Reason.NOT_CHECKED, NOT_LOOKED_AT)
    pairs = list(zip(variants, observation.variants, strict=True))
    troubles = [
        explain(pod.trouble, pool=pool, variant=variant.name, index=index, advise=advise)
        for index, (variant, seen) in enumerate(pairs)
        for pod in _expected(seen)
        if pod.trouble is not None
    ]
    troubles += [
        explain_refusal(seen.refused, variant=variant.name, index=index)
        for index, (variant, seen) in enumerate(pairs)
        if seen.refused
    ]
    if troubles:
        return _in_trouble(troubles)
    unfinished = [text for variant, seen in pairs if (text := _unfinished(variant, seen))]
    if unfinished:
        # Some things that pods wait for, such as a volume, only their events tell.
        where = f"what they wait for: kubectl describe pods --show-events -l {LABEL_POOL}={pool}"
        return _verdict("False", Reason.PROGRESSING, f"{'; '.join(unfinished)}; {where}")
    starting = [seen.name for _, seen in pairs if _grows(seen)]
    if starting:
        return _verdict("True", Reason.PROGRESSING, f"More replicas of {', '.join(starting)} are starting")
    return _verdict("True", Reason.ALL_REPLICAS_READY, "All replicas are ready")


def ready_replicas(seen: VariantObservation) -> int:
    """Replicas that are ready and take requests."""
    return sum(pod.ready and pod.routable for pod in seen.pods)


def has_its_minimum(spec: LLMServingPoolSpec, observation: PoolObservation) -> bool:
    """Whether every variant has its minimum ready, so that what the spec no longer has can go."""
    pairs = zip(spec.variants, observation.variants, strict=True)
    return all(ready_replicas(seen) >= variant.replicas.min for variant, seen in pairs)


def _expected(seen: VariantObservation) -> list[PodObservation]:
    """Pods that should serve."""
    return [pod for pod in seen.pods if pod.routable and not pod.terminating]


def _grows(seen: VariantObservation) -> bool:
    """Some replica is not ready yet, or not even a pod."""
    live = sum(not pod.terminating for pod in seen.pods)
    return live < (seen.replicas or 0) or any(not pod.ready for pod in _expected(seen))


def _in_trouble(troubles: Sequence[Explained]) -> Verdict:
    texts = dict.fromkeys(trouble.text for trouble in sorted(troubles, key=lambda one: _URGENCY.index(one.reason)))
    reason = min((trouble.reason for trouble in troubles), key=_URGENCY.index)
    return _verdict("False", reason, ". ".join(texts))


def _unfinished(variant: Variant, seen: VariantObservation) -> str:
    """What the variant still lacks, or nothing."""
    if seen.replicas is None:
        return f"{variant.name}: its Deployment is being created"
    if seen.rolling_out:
        return f"{variant.name}: replicas are being replaced by ones of the new spec"
    ready = ready_replicas(seen)
    if ready < variant.replicas.min:
        return f"{variant.name}: {ready} of at least {variant.replicas.min} replicas are ready"
    return ""


def _verdict(status: ConditionStatus, reason: Reason, message: str) -> Verdict:
    return Verdict(type=ConditionType.WORKLOAD_READY, status=status, reason=reason, message=message)
