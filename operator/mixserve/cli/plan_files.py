"""What `mixserve plan` knows of the checkpoints that pools name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.cli.hub_files import not_read, read_hub
from mixserve.observe.model_files import ModelConfigReader
from mixserve.plan.absence import Absence
from mixserve.plan.model_source import repository_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.observe.live_pools import LivePool
    from mixserve.plan.absence import Absences
    from mixserve.plan.facts import Configs
    from mixserve.plan.model_source import Repository


class PlanFiles:
    """Checkpoints of all pools of a plan.

    Args:
        pools: that are planned.
        offline: whether to leave the hub alone.
    """

    def __init__(self, pools: Sequence[LLMServingPool], *, offline: bool) -> None:
        named = dict.fromkeys(repository for pool in pools for repository in _repositories(pool))
        # Whoever gives the numbers need not wait for a hub, nor be able to reach one.
        asking = [pool for pool in pools if pool.spec.model.facts is None]
        asked = dict.fromkeys(repository for pool in asking for repository in _repositories(pool))
        on_hub = [repository for repository in asked if repository.source.startswith("hf://")]
        on_volumes = [repository for repository in named if repository.source.startswith("pvc://")]
        host = ModelConfigReader()
        self._found: dict[Repository, Mapping[str, Any] | Absence | None] = {
            **{repository: host.read_now(repository) for repository in named},
            **not_read(on_volumes, "the volume is seen in the cluster only"),
            **(not_read(on_hub, "--offline") if offline else read_hub(on_hub, tokenizer=False)),
        }

    def of(self, pool: LLMServingPool, live: LivePool | None = None) -> tuple[Configs, Absences]:
        """What is known of a pool's checkpoints, and why of others nothing.

        Args:
            pool: one of those that are planned.
            live: the pool as a cluster has it: its operator may have read what can't be read here.
        """
        configs: dict[Repository, Mapping[str, Any] | None] = {}
        absences: dict[Repository, Absence] = {}
        for repository in _repositories(pool):
            found = self._found[repository]
            if not isinstance(found, Absence):
                configs[repository] = found
                continue
            learned = None if live is None else live.learned(repository)
            configs[repository] = learned
            if learned is None:
                absences[repository] = found
        return configs, absences


def _repositories(pool: LLMServingPool) -> set[Repository]:
    return {repository_of(pool, variant) for variant in pool.spec.variants}
