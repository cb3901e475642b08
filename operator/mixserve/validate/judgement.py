"""A pool's spec, judged: by itself, and against the pools that want the same names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.plan.absence import NO_REASONS, Absences, Outlook
from mixserve.plan.facts import UnknownFacts, facts_by_variant
from mixserve.plan.parallelism import with_tensor_parallel
from mixserve.plan.quant_method import quant_methods_by_variant
from mixserve.plan.speculation import speculation_by_variant
from mixserve.validate.checks import all_violations, notes, violations_by_variant
from mixserve.validate.name_checks import Claim, name_owners, names_taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.speculative_pair import SpeculativePair
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Configs, Facts
    from mixserve.plan.speculation import Speculation
    from mixserve.validate.name_checks import Name
    from mixserve.validate.violation import Note, Violation

_NO_PAIRS: Mapping[str, SpeculativePair] = MappingProxyType({})


@dataclass(frozen=True)
class Judgement:
    """What is wrong with a pool's spec by itself, and all that it came from: versions of objects, contents of files.

    Attributes:
        pool: as it is written.
        resolved: with numbers where it says auto; the same where it does not.
        catalog: the formats and accelerators that there are.
        configs: config.json by checkpoint.
        absences: why there is none of a checkpoint.
        facts: the model's numbers by variant.
        by_variant: what is wrong with each variant.
        pairs: the SpeculativePairs of the pool's namespace, by name.
        speculation: what proposes tokens, by variant; empty without speculative decoding.
    """

    pool: LLMServingPool
    resolved: LLMServingPool
    catalog: Catalog
    configs: Configs
    absences: Absences
    facts: Mapping[str, Facts]
    by_variant: Mapping[str, tuple[Violation, ...]]
    pairs: Mapping[str, SpeculativePair]
    speculation: Mapping[str, Speculation]

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Everything that is wrong, with the pool as a whole and with its variants."""
        return all_violations(self.pool, self.by_variant, pairs=self.pairs)

    @property
    def waits(self) -> bool:
        """Whether there is no plan yet; see `waits_for_facts`."""
        return waits_for_facts(self.resolved, self.facts, self.speculation)


@dataclass(frozen=True)
class Findings:
    """Everything about a pool's spec; there are notes only where nothing is wrong."""

    violations: tuple[Violation, ...] = ()
    notes: tuple[Note, ...] = ()


def judge(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    configs: Configs,
    absences: Absences = NO_REASONS,
    pairs: Mapping[str, SpeculativePair] = _NO_PAIRS,
) -> Judgement:
    """Judge a pool by itself.

    Args:
        pool: the pool.
        catalog: the formats and accelerators that there are.
        configs: config.json by checkpoint, that of the pair's draft among them.
        absences: why there is none of a checkpoint.
        pairs: the SpeculativePairs of the pool's namespace, by name; they need not be looked for where it names none.
    """
    facts, methods = facts_by_variant(pool, configs, absences), quant_methods_by_variant(pool, configs)
    speculation = speculation_by_variant(pool, pairs=pairs, configs=configs, catalog=catalog, absences=absences)
    resolved = with_tensor_parallel(pool, catalog=catalog, facts_by_variant=facts, speculation=speculation)
    wrong = violations_by_variant(
        resolved,
        catalog=catalog,
        facts_by_variant=facts,
        quant_methods=methods,
        speculation=speculation,
    )
    return Judgement(
        pool=pool,
        resolved=resolved,
        catalog=catalog,
        configs=configs,
        absences=absences,
        facts=facts,
        by_variant=wrong,
        pairs=pairs,
        speculation=speculation,
    )


def waits_for_facts(
    resolved: LLMServingPool,
    facts: Mapping[str, Facts],
    speculation: Mapping[str, Speculation],
) -> bool:
    """Whether there can be no plan yet, although nothing need be wrong.

    That is so while files are being read, since a plan without numbers would be another one as soon as they come, and
    as long as nobody knows what auto stands for.

    Args:
        resolved: the pool with numbers where it says auto, as far as they are known.
        facts: the model's numbers by variant.
        speculation: what proposes tokens, by variant, with the draft's numbers.
    """
    all_facts = (*facts.values(), *(each.draft_facts for each in speculation.values()))
    unknown = (each for each in all_facts if isinstance(each, UnknownFacts))
    return any(variant.is_auto for variant in resolved.spec.variants) or any(
        each.outlook is Outlook.SOON for each in unknown
    )


def findings(
    judgement: Judgement,
    owners: Mapping[Name, LLMServingPool],
    routed: tuple[Violation, ...] = (),
) -> Findings:
    """Everything about a pool.

    Args:
        judgement: the pool by itself.
        owners: the names that other pools of its namespace have (`name_owners`).
        routed: those that policies of its namespace have (`names_taken_by_policies`).
    """
    pool = judgement.pool
    wrong = (*names_taken(pool, owners), *routed, *judgement.violations)
    if wrong:
        return Findings(violations=wrong)
    found = notes(
        judgement.resolved,
        catalog=judgement.catalog,
        facts_by_variant=judgement.facts,
        speculation=judgement.speculation,
    )
    return Findings(notes=found)


def findings_together(judgements: Sequence[Judgement]) -> list[Findings]:
    """Everything about pools that are to be applied together, to namespaces that have no others."""
    return [findings(one, _owners(one, judgements)) for one in judgements]


def _owners(judgement: Judgement, judgements: Sequence[Judgement]) -> dict[Name, LLMServingPool]:
    """Who has which name in the pool's namespace: a pool with violations takes none from another."""
    namespace = judgement.pool.metadata.namespace
    valid = (one for one in judgements if one.pool.metadata.namespace == namespace and not one.violations)
    pools = [judgement.pool, *(one.pool for one in valid if one is not judgement)]
    return name_owners(Claim(pool=pool, served_before=None) for pool in pools)
