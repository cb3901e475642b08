"""The status of a `RoutingPolicy`."""

from enum import StrEnum
from typing import Annotated

from mixserve.api.base import StrictModel
from mixserve.api.lists import ListMap
from mixserve.api.pool_status import Condition


class TargetHealth(StrEnum):
    """Whether a target takes requests."""

    READY = "Ready"
    UNAVAILABLE = "Unavailable"
    NOT_FOUND = "NotFound"


class TargetStatus(StrictModel):
    """How a target of a tier does."""

    pool: str
    """The pool."""
    health: TargetHealth
    """Ready: at least one replica takes requests. Unavailable: none does. NotFound: there is no such pool."""
    ready_replicas: int
    """Replicas that take requests."""
    share_percent: int | None = None
    """Share of the policy's answered requests that went to this target as one of this tier, in percent, since the
    gateways last started; rounded, and written only when it changes by 5 or more. Unset: there were none."""


class TierStatus(StrictModel):
    """How a tier does."""

    name: str
    """The tier."""
    targets: Annotated[tuple[TargetStatus, ...], ListMap("pool")] = ()
    """Its targets."""


class GatewayStatus(StrictModel):
    """The gateway that answers for the policy."""

    address: str
    """Where clients send requests: the base URL, without /v1, inside the cluster."""
    ready_replicas: int
    """Replicas of the gateway that are ready."""


class RoutingPolicyStatus(StrictModel):
    """What was seen of the policy."""

    observed_generation: int | None = None
    """The generation of the spec that this status belongs to."""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    """Validated: the policy as it stands can be used. TargetsFound: every pool that it names exists; it works without
    those that do not. Ready: the gateway is up, and every tier has a target that takes requests, or a larger tier that
    does."""
    targets: str | None = None
    """Pools that take requests, of all that the spec in force names: 2/3. Unset: there never was a valid spec."""
    gateway: GatewayStatus | None = None
    """Unset: it is not there yet."""
    tiers: Annotated[tuple[TierStatus, ...], ListMap("name")] = ()
    """The tiers, in the order of the spec."""
