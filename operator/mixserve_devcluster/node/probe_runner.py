"""Runs a probe of a running container, by the kubelet's rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mixserve_devcluster.node.actions import Outcome, Target, perform
from mixserve_devcluster.node.probes import Probe, ProbeCounter

if TYPE_CHECKING:
    from collections.abc import Callable


async def run_probe(
    probe: Probe,
    target: Target,
    *,
    running_since_s: float,
    on_failure: Callable[[Outcome], None],
    is_settled_by: Callable[[bool], bool],
) -> None:
    """Probe a container again and again, until the probe is settled.

    Args:
        probe: what to do and how often.
        target: where.
        running_since_s: when the container was started, in the event loop's time; its initial delay counts from it.
        on_failure: told of every failed attempt.
        is_settled_by: told whether the container does well, each time that a threshold is reached or passed.
    """
    loop = asyncio.get_running_loop()
    counter = ProbeCounter(probe)
    due_s = max(loop.time(), running_since_s + probe.initial_delay_s)
    while True:
        await asyncio.sleep(due_s - loop.time())
        outcome = await perform(probe.action, target, probe.timeout_s)
        if not outcome.success:
            on_failure(outcome)
        verdict = counter.verdict(success=outcome.success)
        if verdict is not None and is_settled_by(verdict):
            return
        # As a ticker: a slow attempt does not shift the next ones, but they do not pile up either.
        due_s = max(loop.time(), due_s + probe.period_s)
