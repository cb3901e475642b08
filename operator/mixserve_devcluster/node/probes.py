"""What a probe says, and when a container counts as failed. Pure; times are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The keys of a probe or lifecycle handler that say what to do.
_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A startup, readiness or liveness probe.

    Attributes:
        action: `{"exec": ...}`, `{"httpGet": ...}` or `{"tcpSocket": ...}`.
        grace_s: for a container that fails it, instead of the pod's.
    """

    action: Mapping[str, Any]
    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int
    grace_s: float | None

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Probe:
        """Read a probe of a container's spec."""
        grace_s = content.get("terminationGracePeriodSeconds")
        return cls(
            action={key: content[key] for key in _ACTIONS if key in content},
            initial_delay_s=float(content.get("initialDelaySeconds", 0)),
            period_s=float(content.get("periodSeconds", 10)),
            timeout_s=float(content.get("timeoutSeconds", 1)),
            success_threshold=content.get("successThreshold", 1),
            failure_threshold=content.get("failureThreshold", 3),
            grace_s=None if grace_s is None else float(grace_s),
        )


class ProbeCounter:
    """Counts the results of a probe in a row."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._last: bool | None = None
        self._run = 0

    def verdict(self, *, success: bool) -> bool | None:
        """Take a result; what the probe says now, or None if the threshold for that is not reached."""
        self._run = self._run + 1 if success is self._last else 1
        self._last = success
        threshold = self._probe.success_threshold if success else self._probe.failure_threshold
        return success if self._run >= threshold else None
