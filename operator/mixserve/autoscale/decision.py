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
from mixserve.api.pool import Autoscaling, AutoscalingMode, LLMServingPoolSpec
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

START_MARGIN_S = 600.0
"""Beside the engine's start: scheduling, mounting a volume, pulling an image of 10 GB."""


@dataclass(frozen=True)
class Decision:
    """What is wanted, why, and what to do now.

    Attributes:
        variants: replicas per variant, in the order of the spec; also the size to create a missing Deployment with.
        actions: what to do now; executing them again does no harm.
        demand: the terms and the one that binds.
        informed: False while no ready pod was asked for its signals yet: then the sizes stay as they are.
        blocked_by: why the pool does not follow the demand, or None.
        message: the decision as a sentence; it has live numbers.
    """

    variants: tuple[VariantDecision, ...]
    actions: tuple[Action, ...]
    demand: Demand
    informed: bool
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
    now_s, targets = observation.now_s, spec.autoscaling.targets
    fleets = _sort_pool(spec, observation, memory)
    memory = memory.with_samples(fleets, priors=priors, now_s=now_s)
    capacities = {fleet.name: memory.capacity(fleet.name, priors[fleet.name], now_s=now_s) for fleet in fleets}
    load = read_load(fleets=fleets, capacities=capacities, targets=targets, now_s=now_s)
    ladder = build_ladder(fleets, capacities)
    view = _View(
        autoscaling=spec.autoscaling,
        drain_timeout_s=spec.drain_timeout.total_seconds(),
        now_s=now_s,
        fleets=fleets,
        load=load,
        ladder=ladder,
        demand=demand(load, ladder=ladder, capacities=capacities, targets=targets),
    )
    known, cautious = view.wish(load.growing), view.wish(load.shrinking)
    memory = memory.with_wish(
        Wish(time_s=now_s, replicas={f.name: min(cautious[f.name], max(known[f.name], f.held)) for f in fleets}),
        window_s=spec.autoscaling.scale_down.stabilization.total_seconds(),
    )
    return _conclude(view, known=known, cautious=cautious, memory=memory), memory


@dataclass(frozen=True)
class _View:
    """All that one decision looks at."""

    autoscaling: Autoscaling
    drain_timeout_s: float
    now_s: float
    fleets: tuple[VariantFleet, ...]
    load: Load
    ladder: Ladder
    demand: Demand

    @property
    def native(self) -> bool:
        return self.autoscaling.mode is AutoscalingMode.NATIVE

    def wish(self, work: float) -> dict[str, int]:
        """The sizes that carry the work; without data, those that are there."""
        if self.load.blind:
            return {fleet.name: fleet.held for fleet in self.fleets}
        return self.ladder.fill(work)


def _conclude(
    view: _View,
    *,
    known: Mapping[str, int],
    cautious: Mapping[str, int],
    memory: ScaleMemory,
) -> Decision:
    since_s = view.now_s - view.autoscaling.scale_down.stabilization.total_seconds()
    covered = memory.covers(since_s)
    blocks = _pool_blocks(view)
    variants: list[VariantDecision] = []
    for fleet in view.fleets:
        floor = memory.largest_wish(fleet.name) if covered else fleet.held
        wish = _Wish(known=known[fleet.name], cautious=cautious[fleet.name], floor=floor)
        wanted, block = _settle(fleet, wish, view.load)
        variants.append(VariantDecision(name=fleet.name, current=fleet.current, wanted=wanted))
        blocks |= {block, *_on_the_way(fleet, wanted)}
    actions = _act(view, variants)
    if not view.native and any(one.current != one.wanted for one in variants):
        blocks = {BlockReason.NOT_NATIVE}
    elif _waits_for_ready(view.fleets, variants, actions):
        blocks.add(BlockReason.PODS_STARTING)
    blocked_by = next((reason for reason in _PRECEDENCE if reason in blocks), None)
    block_text = explain_block(
        blocked_by, autoscaling=view.autoscaling, fleets=view.fleets, load=view.load, now_s=view.now_s
    )
    return Decision(
        variants=tuple(variants),
        actions=actions,
        demand=view.demand,
        informed=not (view.load.blind and view.load.unread),
        blocked_by=blocked_by,
        message=describe(variants, view.demand, block_text),
    )


def _act(view: _View, variants: Sequence[VariantDecision]) -> tuple[Action, ...]:
    labels = restore_labels(view.fleets)
    if not view.native:
        return labels
    rules = DrainRules(now_s=view.now_s, drain_timeout_s=view.drain_timeout_s, may_finish=not view.load.mostly_unknown)
    wanted = {variant.name: variant.wanted for variant in variants}
    return labels + steer(view.fleets, wanted=wanted, reason=describe(variants, view.demand, ""), rules=rules)


def _sort_pool(
    spec: LLMServingPoolSpec,
    observation: PoolObservation,
    memory: ScaleMemory,
) -> tuple[VariantFleet, ...]:
    late_s = observation.now_s - spec.engine.startup_timeout.total_seconds() - START_MARGIN_S
    return tuple(
        sort_pods(
            seen,
            bounds=variant.replicas,
            late_s=late_s,
            drains=spec.autoscaling.mode is AutoscalingMode.NATIVE,
            remembered=min(max(memory.largest_wish(variant.name), variant.replicas.min), variant.replicas.max),
        )
        for variant, seen in zip(spec.variants, observation.variants, strict=True)
    )


@dataclass(frozen=True)
class _Wish:
    """Sizes of one variant that the load asks for: as known, cautiously, and cautiously over the whole window."""

    known: int
    cautious: int
    floor: int


def _settle(fleet: VariantFleet, wish: _Wish, load: Load) -> tuple[int, BlockReason | None]:
    """The size of one variant, and why it is larger than what the known load asks for."""
    if wish.known >= fleet.held:
        return wish.known, None
    if load.mostly_unknown:
        return fleet.held, BlockReason.METRICS_MISSING
    if wish.floor >= fleet.held:
        uncertain = load.unknown and wish.cautious >= fleet.held
        return fleet.held, BlockReason.METRICS_MISSING if uncertain else BlockReason.STABILIZING
    in_the_way = _in_the_way(fleet)
    return (fleet.held, in_the_way) if in_the_way else (max(wish.known, wish.floor), None)


def _in_the_way(fleet: VariantFleet) -> BlockReason | None:
    """What keeps the variant's Deployment from being made smaller now."""
    if fleet.rolling_out:
        return BlockReason.ROLLOUT
    return None if may_shrink(fleet) else BlockReason.PODS_STARTING


def _on_the_way(fleet: VariantFleet, wanted: int) -> set[BlockReason | None]:
    """Why a variant is larger than wanted, or has pods that drain."""
    drains = wanted <= fleet.current and len(fleet.draining) > fleet.leaving_drained
    if not drains and wanted >= fleet.current:
        return set()
    return {BlockReason.DRAINING if drains else None, _in_the_way(fleet)}


def _pool_blocks(view: _View) -> set[BlockReason | None]:
    """What limits the pool as a whole."""
    blocks: set[BlockReason | None] = set()
    if view.load.blind and _should_know(view):
        blocks.add(BlockReason.METRICS_MISSING)
    if not view.load.blind and view.ladder.position(view.load.growing) > view.ladder.maximum + WORTHWHILE:
        blocks.add(BlockReason.AT_MAXIMUM)
    return blocks


def _should_know(view: _View) -> bool:
    """Whether having no data limits the pool: it could have data, or it could be smaller."""
    if view.load.ready:
        return view.load.unknown > view.load.unread
    return sum(fleet.current for fleet in view.fleets) > view.ladder.minimum


def _waits_for_ready(
    fleets: Sequence[VariantFleet],
    variants: Sequence[VariantDecision],
    actions: Sequence[Action],
) -> bool:
    """A variant is to shrink, nothing drains and nothing begins to: too few replicas are ready."""
    acting = {action.variant for action in actions}
    return not any(fleet.draining for fleet in fleets) and any(
        fleet.replicas is not None and one.current > one.wanted and one.name not in acting
        for fleet, one in zip(fleets, variants, strict=True)
    )
