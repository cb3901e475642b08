"""When a request is tried again, and where. Never after the first byte of an answer has gone to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.routing_policy import FallbackReason
from mixserve.plan.envoy.resources import Resource, extension

if TYPE_CHECKING:
    from collections.abc import Collection

ATTEMPTS_OF_A_POOL = 3
"""Of a request that names a pool: with the replicas that the load balancer has not tried yet."""

_SELECTIONS = 50
"""How often the load balancer is asked anew for a replica that the request has not been at. A dead one has the fewest
requests, so of two replicas it is proposed three times in four; all in vain once in a million."""

_OVERLOADED_STATUSES = (429, 503)
_CONDITIONS = {
    # reset: the connection ends before the answer begins, or the time for its first byte is over.
    FallbackReason.UNAVAILABLE: ("connect-failure", "refused-stream", "reset"),
    FallbackReason.TIMEOUT: ("reset",),
    FallbackReason.OVERLOADED: ("retriable-status-codes",),
}


def retry_policy(*, attempts: int, when: Collection[FallbackReason] = frozenset(FallbackReason)) -> Resource:
    """What Envoy does after an attempt that failed for one of the reasons `when`.

    Args:
        attempts: all of them, at least 1.
        when: the reasons.
    """
    conditions = {word: None for reason in FallbackReason if reason in when for word in _CONDITIONS[reason]}
    return {
        "retry_on": ",".join(conditions),
        "num_retries": attempts - 1,
        "retriable_status_codes": list(_OVERLOADED_STATUSES),
        # Another replica, or another pool, is as quick as ever: nothing is gained by waiting.
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.010s"},
        "retry_host_predicate": [
            extension(
                "envoy.retry_host_predicates.previous_hosts",
                "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ],
        "host_selection_retry_max_attempts": _SELECTIONS,
        # For each attempt of a chain the pool is chosen anew.
        "refresh_cluster_on_retry": True,
    }
