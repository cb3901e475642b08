"""What a decision says of a variant, and the three things that it can ask for; executing them is `apply`'s."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VariantDecision:
    """One variant's replicas: `current` (draining ones not counted) and `wanted`, which is within the spec's bounds."""

    name: str
    current: int
    wanted: int


@dataclass(frozen=True)
class SetReplicas:
    """Change the size of a variant's Deployment from `seen` to `replicas` through /scale; `reason` is a sentence."""

    variant: str
    seen: int
    replicas: int
    reason: str


@dataclass(frozen=True)
class Drain:
    """Take the routable label from these pods (names) and stamp when, in one patch; lower their deletion cost."""

    variant: str
    pods: tuple[str, ...]


@dataclass(frozen=True)
class Restore:
    """Give these pods (names) the routable label back, and remove the stamp and the deletion cost."""

    variant: str
    pods: tuple[str, ...]


Action = SetReplicas | Drain | Restore
