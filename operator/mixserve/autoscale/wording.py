"""How a decision reads to people: one sentence, the binding term first."""

from collections.abc import Sequence

from mixserve.api.pool import Autoscaling
from mixserve.api.pool_status import BlockReason
from mixserve.api.scalars import format_duration
from mixserve.autoscale.actions import VariantDecision
from mixserve.autoscale.demand import Demand, Load, TermName
from mixserve.autoscale.drain import remaining_requests
from mixserve.autoscale.fleet import VariantFleet

_SHORT = {TermName.MINIMUM: "minimum", TermName.RUNNING: "running", TermName.KV_CACHE: "kv"}


def describe(variants: Sequence[VariantDecision], asked: Demand, block: str) -> str:
    """The decision, such as `ScaleUp 3 -> 5 fp8-h100: running 37/8 = 4.6, kv 2.1`.

    `block` is what `explain_block` says, or empty.
    """
    bound = [term for term in asked.terms if term.name is asked.binding]
    others = [term for term in asked.terms if term.name not in {asked.binding, TermName.MINIMUM}]
    terms = ", ".join(f"{_SHORT[term.name]} {term.formula}" for term in (*bound, *others))
    return f"{_change(variants)}: {terms}" + (f"; {block}" if block else "")


def _change(variants: Sequence[VariantDecision]) -> str:
    current = sum(variant.current for variant in variants)
    wanted = sum(variant.wanted for variant in variants)
    changed = [variant for variant in variants if variant.current != variant.wanted]
    if not changed:
        return f"Hold {wanted}"
    if len(changed) == 1:
        what = changed[0].name
    else:
        what = "(" + ", ".join(f"{one.name} {one.current} -> {one.wanted}" for one in changed) + ")"
    if wanted == current:
        return f"Rebalance {wanted} {what}"
    return f"{'ScaleUp' if wanted > current else 'ScaleDown'} {current} -> {wanted} {what}"


def explain_block(
    reason: BlockReason | None,
    *,
    autoscaling: Autoscaling,
    fleets: Sequence[VariantFleet],
    load: Load,
    now_s: float,
) -> str:
    """What the reason means here, without a full stop; empty for none."""
    window = format_duration(autoscaling.scale_down.stabilization)
    draining = [
        f"{len(fleet.draining)} {fleet.name} finishing {remaining_requests(fleet, now_s)} requests"
        for fleet in fleets
        if fleet.draining
    ]
    missing = f"{load.unknown} of {load.ready} ready replicas have no fresh metrics" if load.ready else "none is ready"
    texts = {
        None: "",
        BlockReason.STABILIZING: f"not fewer before the largest wish of {window} is lower",
        BlockReason.METRICS_MISSING: missing,
        BlockReason.ROLLOUT: "not fewer during a rollout",
        BlockReason.PODS_STARTING: "not fewer until replicas have started",
        BlockReason.DRAINING: "draining " + ", ".join(draining),
        BlockReason.AT_MAXIMUM: f"the maximum is {sum(fleet.bounds.max for fleet in fleets)}",
        BlockReason.NOT_NATIVE: f"mode {autoscaling.mode.value} writes no replicas",
    }
    return texts[reason]
