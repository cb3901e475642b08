"""The decision about a pool's replicas: up at once, down only to the largest wish of the stabilisation window.

What keeps a variant from shrinking, and nothing from growing: data missing for more than half of the ready pods, a
window that is not over (or not remembered yet), a rollout, a starting pod. Bounds of the spec act at once: a raised
minimum grows, a lowered maximum drains, without waiting for the window.

Modes: Native acts. Advisory and External decide and touch no replicas; all they may do is to give pods their label
back, which Native took before the mode was changed. Stuck pods count as supply; a variant that can't be scheduled is
not yet replaced by the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixserve.api.observation import PoolObservation
from mixserve.api.pool import AutoscalingMode, LLMServingPoolSpec
from mixserve.api.pool_status import BlockReason
from mixserve.autoscale.actions import Action, VariantDecision
from mixserve.autoscale.demand import Demand, Load, demand, read_load
from mixserve.autoscale.drain import DrainRules, may_shrink, restore_labels, steer
from mixserve.autoscale.fleet import VariantFleet, sort_pods
from mixserve.autoscale.ladder import WORTHWHILE, Ladder, build_ladder
from mixserve.autoscale.memory import ScaleMemory, Wish
from mixserve.autoscale.wording import describe, explain_block

_PRECEDENCE = (
    BlockReason.NOT_NATIVE,
    BlockReason.METRICS_MISSING,
    BlockReason.AT_MAXIMUM,
    BlockReason.ROLLOUT,
    BlockReason.PODS_STARTING,
    BlockReason.DRAINING,
    BlockReason.STABILIZING,
)
"""Of several reasons the first is shown: what a person can act on comes before what only takes time."""


@dataclass(frozen=True)
class Decision:
    """What is wanted, why, and what to do now.

    Attributes:
        variants: replicas per variant, in the order of the spec; also the size to create a missing Deployment with.
        actions: what to do now; executing them again does no harm.
        demand: the terms and the one that binds.
        blocked_by: why the pool does not follow the demand, or None.
        message: the decision as a sentence; it has live numbers.
    """

    variants: tuple[VariantDecision, ...]
    actions: tuple[Action, ...]
    demand: Demand
    blocked_by: BlockReason | None
    message: str

    @property
    def current(self) -> int:
        """Replicas now, draining ones not counted."""
        return sum(variant.current for variant in self.variants)

    @property
    def desired(self) -> int:
        """Replicas wanted, over all variants."""
        return sum(variant.wanted for variant in self.variants)

    def wanted(self, variant: str) -> int:
        """Replicas wanted of one variant."""
        return next(one.wanted for one in self.variants if one.name == variant)


def decide(
    spec: LLMServingPoolSpec,
    observation: PoolObservation,
    memory: ScaleMemory,
    priors: Mapping[str, float],
) -> tuple[Decision, ScaleMemory]:
    """Decide about a pool's replicas.

    Args:
        spec: the pool.
        observation: what was seen, its variants in the order of the spec.
        memory: what the last decision returned, or an empty one.
        priors: by variant, the requests that fit in a replica at once (> 0).

    Returns:
        The decision, and the memory for the next one.
    """
    native = spec.autoscaling.mode is AutoscalingMode.NATIVE
    window_s = spec.autoscaling.scale_down.stabilization.total_seconds()
    now_s = observation.now_s
    fleets = _sort_pool(spec, observation, memory)
    memory = memory.with_samples(fleets, priors=priors, now_s=now_s)
    capacities = {fleet.name: memory.capacity(fleet.name, priors[fleet.name]) for fleet in fleets}
    targets = spec.autoscaling.targets
    load = read_load(fleets=fleets, capacities=capacities, targets=targets, now_s=now_s)
    ladder = build_ladder(fleets, capacities)
    cautious = _wish(fleets, load=load, ladder=ladder, work=load.shrinking)
    memory = memory.with_wish(Wish(time_s=now_s, replicas=cautious), window_s=window_s)
    wishes = _Wishes(
        known=_wish(fleets, load=load, ladder=ladder, work=load.growing),
        cautious=cautious,
        floor=_floor(fleets, memory, since_s=now_s - window_s),
    )
    settled = [_settle(fleet, load=load, wishes=wishes) for fleet in fleets]
    wanted = {fleet.name: size for fleet, (size, _) in zip(fleets, settled, strict=True)}
    asked = demand(load, ladder=ladder, capacities=capacities, targets=targets)
    variants = tuple(
        VariantDecision(name=fleet.name, current=fleet.current, wanted=wanted[fleet.name]) for fleet in fleets
    )
    actions = restore_labels(fleets)
    if native:
        rules = DrainRules(
            now_s=now_s,
            drain_timeout_s=spec.drain_timeout.total_seconds(),
            may_finish=not load.mostly_unknown,
        )
        actions += steer(fleets, wanted=wanted, reason=describe(variants, asked, ""), rules=rules)
    reasons = {reason for _, reason in settled if reason} | _pool_blocks(fleets, load=load, ladder=ladder)
    if not native and any(one.current != one.wanted for one in variants):
        reasons = {BlockReason.NOT_NATIVE}
    elif _waits_for_ready(fleets, wanted=wanted, actions=actions):
        reasons |= {BlockReason.PODS_STARTING}
    blocked_by = next((reason for reason in _PRECEDENCE if reason in reasons), None)
    block = explain_block(blocked_by, autoscaling=spec.autoscaling, fleets=fleets, load=load, now_s=now_s)
    message = describe(variants, asked, block)
    return Decision(variants, actions, asked, blocked_by, message), memory


@dataclass(frozen=True)
class _Wishes:
    """Sizes per variant that the load asks for: as known, cautiously, and cautiously over the whole window."""

    known: Mapping[str, int]
    cautious: Mapping[str, int]
    floor: Mapping[str, int]


def _sort_pool(
    spec: LLMServingPoolSpec,
    observation: PoolObservation,
    memory: ScaleMemory,
) -> tuple[VariantFleet, ...]:
    return tuple(
        sort_pods(
            seen,
            bounds=variant.replicas,
            drains=spec.autoscaling.mode is AutoscalingMode.NATIVE,
            remembered=min(max(memory.largest_wish(variant.name), variant.replicas.min), variant.replicas.max),
        )
        for variant, seen in zip(spec.variants, observation.variants, strict=True)
    )


def _wish(
    fleets: Sequence[VariantFleet],
    *,
    load: Load,
    ladder: Ladder,
    work: float,
) -> dict[str, int]:
    """The sizes that carry the work; without data, those that are there."""
    if load.blind:
        return {fleet.name: fleet.held for fleet in fleets}
    return ladder.fill(work)


def _floor(
    fleets: Sequence[VariantFleet],
    memory: ScaleMemory,
    *,
    since_s: float,
) -> dict[str, int]:
    """The largest wishes of the window; where the window is not remembered in full, what is there."""
    if not memory.covers(since_s):
        return {fleet.name: fleet.held for fleet in fleets}
    return {fleet.name: memory.largest_wish(fleet.name) for fleet in fleets}


def _settle(
    fleet: VariantFleet,
    *,
    load: Load,
    wishes: _Wishes,
) -> tuple[int, BlockReason | None]:
    """The size of one variant, and why it is larger than the known load asks for, or can't be reached now."""
    known, floor = wishes.known[fleet.name], wishes.floor[fleet.name]
    in_the_way = _in_the_way(fleet)
    if known >= fleet.held:
        return known, in_the_way if fleet.current > known else None
    if load.mostly_unknown:
        return fleet.held, BlockReason.METRICS_MISSING
    if floor >= fleet.held:
        uncertain = load.unknown and wishes.cautious[fleet.name] >= fleet.held
        return fleet.held, BlockReason.METRICS_MISSING if uncertain else BlockReason.STABILIZING
    if in_the_way:
        return fleet.held, in_the_way
    return max(known, floor), None


def _in_the_way(fleet: VariantFleet) -> BlockReason | None:
    """What keeps the variant's Deployment from being made smaller now."""
    if fleet.rolling_out:
        return BlockReason.ROLLOUT
    return None if may_shrink(fleet) else BlockReason.PODS_STARTING


def _pool_blocks(fleets: Sequence[VariantFleet], *, load: Load, ladder: Ladder) -> set[BlockReason]:
    """What limits the pool as a whole."""
    blocks: set[BlockReason] = set()
    draining = [fleet for fleet in fleets if len(fleet.draining) > fleet.leaving_drained]
    if draining:
        blocks.add(BlockReason.DRAINING)
        blocks.update(reason for fleet in draining if (reason := _in_the_way(fleet)))
    if load.blind and (load.ready or sum(fleet.current for fleet in fleets) > ladder.minimum):
        blocks.add(BlockReason.METRICS_MISSING)
    if not load.blind and ladder.position(load.growing) > ladder.maximum + WORTHWHILE:
        blocks.add(BlockReason.AT_MAXIMUM)
    return blocks


def _waits_for_ready(
    fleets: Sequence[VariantFleet],
    *,
    wanted: Mapping[str, int],
    actions: Sequence[Action],
) -> bool:
    """A variant is to shrink, nothing drains and nothing begins to: too few replicas are ready."""
    acting = {action.variant for action in actions}
    return not any(fleet.draining for fleet in fleets) and any(
        fleet.replicas is not None and fleet.current > wanted[fleet.name] and fleet.name not in acting
        for fleet in fleets
    )
