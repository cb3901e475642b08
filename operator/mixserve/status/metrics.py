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
    found = {MissingReason.STALE if isinstance(sample, EngineSample) else sample.reason for sample in lost}
    causes = [text for reason, text in _CAUSES.items() if reason in found]
    message = f"Ready replicas without fresh metrics count as full when the pool could shrink: {'; '.join(causes)}"
    return Verdict(kind, "False", Reason.STALE, message)


# Without numbers, which would change by themselves.
_CAUSES = {
    MissingReason.UNREACHABLE: "some can't be reached (Unreachable): let the operator reach the engines' port, see "
    "NetworkPolicies",
    MissingReason.TIMEOUT: "some do not answer in time (Timeout): see whether nodes or network are overloaded",
    MissingReason.BAD_STATUS: "some answer with an error (BadStatus): read the engine's log",
    MissingReason.METRIC_ABSENT: "some do not report what is needed (MetricAbsent): set spec.engine.version to the "
    "version that the image has",
    MissingReason.UNPARSABLE: "some report what makes no sense (Unparsable): set spec.engine.version to the version "
    "that the image has, or report it",
    MissingReason.STALE: "some were not read lately (Stale): see whether the operator has enough CPU",
}
