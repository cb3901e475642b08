"""How long to wait before a container is started again, by the kubelet's rules. Pure; times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

# The kubelet's: first wait, longest wait, and how long a container must last to start over (in longest waits).
_INITIAL_S = 10.0
_LONGEST_S = 300.0
_STABLE_LONGESTS = 2


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """The waits of one container; the first restart has none.

    Attributes:
        factor: scales all times.
        wait_s: the wait after the next end, or None before the first restart.
        since_s: when `wait_s` was set.
    """

    factor: float = 1.0
    wait_s: float | None = None
    since_s: float = 0.0

    def delay_s(self, ended_s: float) -> float:
        """The time to wait after an end at `ended_s`."""
        return 0.0 if self.wait_s is None or self._is_stable(ended_s) else self.wait_s

    def advance(self, ended_s: float, now_s: float) -> BackOff:
        """The back-off after a restart at `now_s` that followed an end at `ended_s`."""
        if self.wait_s is None or self._is_stable(ended_s):
            wait_s = _INITIAL_S * self.factor
        else:
            wait_s = min(2 * self.wait_s, _LONGEST_S * self.factor)
        return BackOff(factor=self.factor, wait_s=wait_s, since_s=now_s)

    def _is_stable(self, ended_s: float) -> bool:
        return ended_s - self.since_s > _STABLE_LONGESTS * _LONGEST_S * self.factor


def duration_text(seconds: float) -> str:
    """A duration as Kubernetes writes it: 10s, 2m40s, 0.2s."""
    minutes, rest = divmod(round(seconds, 3), 60)
    return (f"{minutes:.0f}m" if minutes else "") + f"{rest:g}s"
