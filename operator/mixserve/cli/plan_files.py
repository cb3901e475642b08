"""What `mixserve plan` knows of the checkpoints that pools name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.cli.hub_files import not_read, read_hub
from mixserve.observe.model_files import ModelConfigReader
from mixserve.plan.absence import Absence
from mixserve.plan.model_source import draft_repository, repositories_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.speculative_pair import SpeculativePair
    from mixserve.observe.live_pools import LivePool
    from mixserve.plan.absence import Absences
    from mixserve.plan.facts import Configs
    from mixserve.plan.model_source import Repository


class PlanFiles:
    """Checkpoints of all pools of a plan.

    Args:
        pools: that are planned, each with the SpeculativePair that it names, if there is one.
        offline: whether to leave the hub alone.
    """

    def __init__(
        self,
        pools: Sequence[tuple[LLMServingPool, SpeculativePair | None]],
        *,
        offline: bool,
    ) -> None:
        named = dict.fromkeys(repository for pool, pair in pools for repository in _repositories(pool, pair))
        asked = dict.fromkeys(repository for pool, pair in pools for repository in _asked(pool, pair))
        # Tokenizers are the longest files by far, and only compared where there is a draft.
        compared = {each for pool, pair in pools if _has_draft(pair) for each in _asked(pool, pair)}
        on_hub = [repository for repository in asked if repository.source.startswith("hf://")]
        on_volumes = [repository for repository in named if repository.source.startswith("pvc://")]
        host = ModelConfigReader()
        self._found: dict[Repository, Mapping[str, Any] | Absence | None] = {
            **{repository: host.read_now(repository) for repository in named},
            **not_read(on_volumes, "the volume is seen in the cluster only"),
            **(not_read(on_hub, "--offline") if offline else read_hub(on_hub, with_tokenizer=compared)),
        }

    def of(
        self,
        pool: LLMServingPool,
        pair: SpeculativePair | None = None,
        live: LivePool | None = None,
    ) -> tuple[Configs, Absences]:
        """What is known of a pool's checkpoints, and why of others nothing.

        Args:
            pool: one of those that are planned.
            pair: the one that it was given with.
            live: the pool as a cluster has it: its operator may have read what can't be read here.
        """
        configs: dict[Repository, Mapping[str, Any] | None] = {}
        absences: dict[Repository, Absence] = {}
        for repository in _repositories(pool, pair):
            found = self._found[repository]
            if not isinstance(found, Absence):
                configs[repository] = found
                continue
            learned = None if live is None else live.learned(repository)
            configs[repository] = learned
            if learned is None:
                absences[repository] = found
        return configs, absences


def _repositories(pool: LLMServingPool, pair: SpeculativePair | None) -> frozenset[Repository]:
    return repositories_of(pool, None if pair is None else pair.spec)


def _has_draft(pair: SpeculativePair | None) -> bool:
    return pair is not None and pair.spec.draft is not None


def _asked(pool: LLMServingPool, pair: SpeculativePair | None) -> set[Repository]:
    """What is read: whoever gives the numbers need not wait for a hub, nor be able to reach one."""
    models = set() if pool.spec.model.facts is not None else set(repositories_of(pool, None))
    draft = None if pair is None else draft_repository(pair.spec)
    is_given = pair is None or pair.spec.draft is None or pair.spec.draft.facts is not None
    return models if draft is None or is_given else {*models, draft}
