"""What was seen of a pool: the frozen input of every decision. "No data" is a type, never a number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MissingReason(StrEnum):
    """Why there is no number; also a metric label."""

    NOT_SCRAPED = "NotScraped"
    """It was not asked yet, or has not answered the first few times."""
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    BAD_STATUS = "BadStatus"
    UNPARSABLE = "Unparsable"
    METRIC_ABSENT = "MetricAbsent"
    STALE = "Stale"


@dataclass(frozen=True)
class Missing:
    """There is no data, and why."""

    reason: MissingReason
    detail: str = ""


@dataclass(frozen=True)
class SpeculationCounts:
    """What came of speculative decoding.

    Attributes:
        drafts: how often tokens were proposed for a request, >= 0; None where the engine does not count that.
        proposed: tokens, >= 0.
        kept: tokens of these that the model would have chosen as well, >= 0.
        since_last_read: counted since the page was read last; else since the engine has started.
    """

    drafts: int | None
    proposed: int
    kept: int
    since_last_read: bool


@dataclass(frozen=True)
class EngineSample:
    """The signals of one engine at one time.

    Attributes:
        scraped_at_s: seconds since the epoch.
        running: requests in the batch, >= 0.
        waiting: requests in the queue, >= 0.
        kv_cache_usage: share of KV blocks that requests use, 0 to 1.
        speculation: what came of speculative decoding, or why that is not known. No decision about size needs it.
    """

    scraped_at_s: float
    running: int
    waiting: int
    kv_cache_usage: float
    speculation: SpeculationCounts | Missing = Missing(MissingReason.METRIC_ABSENT)


class PodProblem(StrEnum):
    """Why a pod is not on its way to ready."""

    UNSCHEDULABLE = "Unschedulable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    CONFIG_ERROR = "ConfigError"
    CHAT_TEMPLATE_MISSING = "ChatTemplateMissing"
    CRASHING = "Crashing"
    """A container ended before it was ready."""
    ENDED = "Ended"
    """The engine ended after it had been ready."""


@dataclass(frozen=True)
class Trouble:
    """A pod's problem with what the cluster says of it.

    Attributes:
        problem: the kind of problem.
        message: the scheduler's, kubelet's or container runtime's own words; ours for a chat template.
        log_tail: the end of the crashed container's log; empty unless `problem` is CRASHING or ENDED.
    """

    problem: PodProblem
    message: str
    log_tail: str = ""


@dataclass(frozen=True)
class PodObservation:
    """One pod of a variant.

    Attributes:
        created_at_s: seconds since the epoch.
        turned_at_s: when it became ready or stopped being so, seconds since the epoch; else when it was created.
        ready: the Ready condition is True and the pod is not terminating.
        terminating: the pod has a deletion timestamp.
        routable: the pod carries the routable label.
        draining_since_s: when the operator took the routable label away, or None.
        sample: the newest signals, or why there are none.
        trouble: what keeps the pod from becoming ready, or None.
    """

    name: str
    uid: str
    created_at_s: float
    turned_at_s: float
    ready: bool
    terminating: bool
    routable: bool
    draining_since_s: float | None
    sample: EngineSample | Missing
    trouble: Trouble | None = None


@dataclass(frozen=True)
class VariantObservation:
    """A variant's Deployment and pods.

    Attributes:
        replicas: `spec.replicas` of the Deployment, None while there is no Deployment.
        rolling_out: not every replica is of the current template, or the controller has not looked at it yet.
        pods: all pods of the variant, terminating ones included, oldest first.
        unseen: the controller has not looked at the Deployment as it is now; what `rolling_out` says is a guess.
        refused: why Kubernetes makes no pods for the Deployment (quota, Pod Security), in its words; empty if it does.
    """

    name: str
    replicas: int | None
    rolling_out: bool
    pods: tuple[PodObservation, ...] = ()
    unseen: bool = False
    refused: str = ""


@dataclass(frozen=True)
class PoolObservation:
    """Everything that was seen of a pool at `now_s` (seconds since the epoch), in the order of the spec's variants.

    `foreign_fields` maps an owned object ("Deployment/name") to field paths that somebody else set and that change
    behaviour.
    """

    now_s: float
    variants: tuple[VariantObservation, ...]
    foreign_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
