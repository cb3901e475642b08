"""MetricsFresh: whether autoscaling can see. See `conditions` for the meaning."""

from mixserve.api.names import ConditionType, Reason
from mixserve.api.observation import EngineSample, MissingReason, PoolObservation
from mixserve.autoscale.fleet import FRESH_S, fresh_sample, is_unread
from mixserve.status.verdict import NOT_LOOKED_AT, Verdict


def judge_metrics(observation: PoolObservation | None) -> Verdict:
    """The verdict on the metrics of the ready replicas; None if there never was a valid spec."""
    kind = ConditionType.METRICS_FRESH
    if observation is None:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, NOT_LOOKED_AT)
    ready = [pod for variant in observation.variants for pod in variant.pods if pod.ready and not pod.terminating]
    if not ready:
        return Verdict(kind, "Unknown", Reason.NO_PODS, "No replica is ready, so there are no metrics to read")
    asked = [pod for pod in ready if not is_unread(pod)]
    if not asked:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, "The metrics of the ready replicas have not been read yet")
    lost = [pod.sample for pod in asked if fresh_sample(pod, observation.now_s) is None]
    if not lost:
        return Verdict(kind, "True", Reason.FRESH, f"The metrics of all ready replicas are at most {FRESH_S:.0f} s old")
    reasons = {MissingReason.STALE if isinstance(sample, EngineSample) else sample.reason for sample in lost}
    message = (
        f"{len(lost)} of {len(ready)} ready replicas have no fresh metrics ({', '.join(sorted(reasons))}), "
        "and count as full until they do; let the operator reach the engines' port"
    )
    return Verdict(kind, "False", Reason.STALE, message)
