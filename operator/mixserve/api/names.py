"""Names that are contract: group, labels, annotations, field manager."""

from enum import StrEnum

GROUP = "mixserve.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FIELD_MANAGER = "mixserve"
"""The one field manager of everything that the operator applies."""

LABEL_POOL = f"{GROUP}/pool"
LABEL_VARIANT = f"{GROUP}/variant"
LABEL_ROUTABLE = f"{GROUP}/routable"
"""Pods carry it with the value "true" until they drain; Services and clients select by it, ReplicaSets do not."""

LABEL_GATEWAY = f"{GROUP}/gateway"
"""Everything of a namespace's gateway carries it with the value "true"."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "mixserve"

ANNOTATION_DESIRED_HASH = f"{GROUP}/desired-hash"
"""SHA-256 of the object as it was last applied: with it an edit of the pool is told from somebody else's change."""
ANNOTATION_LAST_VALID_SPEC = f"{GROUP}/last-valid-spec"
"""On a pool's ServiceAccount: the spec that its objects were made from, as JSON; absent where it has more than 128 KiB.
A restarted operator goes on with it while the pool's own spec is invalid, and tells by it which names a pool has."""
ANNOTATION_LAST_VALID_PAIR = f"{GROUP}/last-valid-pair"
"""Beside it, where the pool speculates: the spec of the SpeculativePair that its objects were made with, as JSON."""
ANNOTATION_LAST_VALID_POLICIES = f"{GROUP}/last-valid-policies"
"""On a gateway's ServiceAccount: the last valid specs of its RoutingPolicies, as a JSON object by the policies' uids;
absent where they have more than 128 KiB. A gateway that starts goes on with them where a policy is invalid now."""
ANNOTATION_MEMORY_PLAN = f"{GROUP}/memory-plan"
"""On pods: what was planned, as JSON with camelCase keys (weightsBytes, kvBytesPerToken, parameters, ...)."""
ANNOTATION_DRAINING_SINCE = f"{GROUP}/draining-since"
"""On pods that drain before a scale-down: seconds since the epoch, as a decimal string."""
ANNOTATION_READ_AGAIN = f"{GROUP}/read-model-files"
"""On a pool: any text; another one makes the operator read the files of volumes again, whose content may change."""
ANNOTATION_KEPT = f"{GROUP}/kept"
"""On objects of a pool that its spec does not ask for, with what they keep: they are not pruned."""
ANNOTATION_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

ENGINE_CONTAINER = "engine"
"""Name of the container that runs the engine."""
ENGINE_PORT_NAME = "http"


class ConditionType(StrEnum):
    """Condition types of a pool; all positive: True is good."""

    READY = "Ready"
    VALIDATED = "Validated"
    FITS = "Fits"
    WORKLOAD_READY = "WorkloadReady"
    METRICS_FRESH = "MetricsFresh"
    NO_FOREIGN_CHANGES = "NoForeignChanges"


class AcceleratorCondition(StrEnum):
    """Condition types of an AcceleratorClass; positive as well."""

    NODES_FOUND = "NodesFound"


class PolicyCondition(StrEnum):
    """Condition types that a RoutingPolicy has besides Validated and Ready; positive as well."""

    TARGETS_FOUND = "TargetsFound"


class Reason(StrEnum):
    """Reasons of conditions and events: API contract, low cardinality."""

    # Validated
    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    UNKNOWN_QUANTIZATION = "UnknownQuantizationFormat"
    UNKNOWN_ACCELERATOR = "UnknownAcceleratorClass"
    UNSUPPORTED_QUANTIZATION = "UnsupportedQuantization"
    OWNED_FLAG = "OwnedFlag"
    SERVED_NAME_TAKEN = "ServedNameTaken"
    DEPLOYMENT_NAME_TAKEN = "DeploymentNameTaken"
    CHECKPOINT_MISMATCH = "CheckpointMismatch"
    CHECKPOINT_NOT_FOUND = "CheckpointNotFound"
    UNKNOWN_SPECULATIVE_PAIR = "UnknownSpeculativePair"
    UNSUPPORTED_SPECULATION = "UnsupportedSpeculation"
    DRAFT_MISMATCH = "DraftMismatch"
    SHADOW_IS_TARGET = "ShadowIsTarget"
    # Fits
    FITS = "Fits"
    DOES_NOT_FIT = "DoesNotFit"
    INDIVISIBLE_HEADS = "IndivisibleHeads"
    UNKNOWN_MODEL_FACTS = "UnknownModelFacts"
    INVALID_MODEL_FACTS = "InvalidModelFacts"
    READING_MODEL_FILES = "ReadingModelFiles"
    CONTEXT_TOO_LONG = "ContextTooLong"
    NOT_CHECKED = "NotChecked"
    # WorkloadReady
    ALL_REPLICAS_READY = "AllReplicasReady"
    PROGRESSING = "Progressing"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    VOLUME_CLAIM_NOT_FOUND = "VolumeClaimNotFound"
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    PODS_REFUSED = "PodsRefused"
    ENGINE_START_FAILED = "EngineStartFailed"
    ENGINE_ENDED = "EngineEnded"
    APPLY_FAILED = "ApplyFailed"
    # MetricsFresh
    FRESH = "Fresh"
    STALE = "Stale"
    NO_PODS = "NoPods"
    # NoForeignChanges
    AS_APPLIED = "AsApplied"
    FOREIGN_FIELDS = "ForeignFields"
    # Ready
    READY = "Ready"
    NOT_READY = "NotReady"
    # NodesFound
    NODES_FOUND = "NodesFound"
    NO_MATCHING_NODES = "NoMatchingNodes"
    NODES_WITHOUT_GPUS = "NodesWithoutGPUs"
    NOT_PERMITTED = "NotPermitted"
    # Ready of a SpeculativePair
    NOT_USED = "NotUsed"
    # TargetsFound
    TARGETS_FOUND = "TargetsFound"
    TARGET_NOT_FOUND = "TargetNotFound"
    # Ready of a RoutingPolicy
    GATEWAY_NOT_READY = "GatewayNotReady"
    NO_TARGET_READY = "NoTargetReady"
    # Events only
    SCALE_UP = "ScaleUp"
    SCALE_DOWN = "ScaleDown"
    DRAINING = "Draining"
    REPAIRED = "Repaired"
