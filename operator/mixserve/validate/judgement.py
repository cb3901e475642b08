"""A pool's spec, judged: by itself, and against the pools that want the same names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.plan.absence import Absences, Outlook
from mixserve.plan.facts import UnknownFacts, facts_by_variant
from mixserve.plan.parallelism import with_tensor_parallel
from mixserve.plan.quant_method import quant_methods_by_variant
from mixserve.validate.checks import all_violations, notes, violations_by_variant
from mixserve.validate.name_checks import Claim, name_owners, names_taken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Configs, Facts
    from mixserve.validate.name_checks import Name
    from mixserve.validate.violation import Note, Violation

_NO_REASONS: Absences = MappingProxyType({})


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
    """

    pool: LLMServingPool
    resolved: LLMServingPool
    catalog: Catalog
    configs: Configs
    absences: Absences
    facts: Mapping[str, Facts]
    by_variant: Mapping[str, tuple[Violation, ...]]

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Everything that is wrong, with the pool as a whole and with its variants."""
        return all_violations(self.pool, self.by_variant)

    @property
    def waits(self) -> bool:
        """Whether there is no plan yet; see `waits_for_facts`."""
        return waits_for_facts(self.resolved, self.facts)


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
    absences: Absences = _NO_REASONS,
) -> Judgement:
    """Judge a pool by itself.

    Args:
        pool: the pool.
        catalog: the formats and accelerators that there are.
        configs: config.json by checkpoint.
        absences: why there is none of a checkpoint.
    """
    facts, methods = facts_by_variant(pool, configs, absences), quant_methods_by_variant(pool, configs)
    resolved = with_tensor_parallel(pool, catalog=catalog, facts_by_variant=facts)
    wrong = violations_by_variant(resolved, catalog=catalog, facts_by_variant=facts, quant_methods=methods)
    return Judgement(pool, resolved, catalog, configs, absences, facts, wrong)


def waits_for_facts(resolved: LLMServingPool, facts: Mapping[str, Facts]) -> bool:
    """Whether there can be no plan yet, although nothing need be wrong.

    That is so while files are being read, since a plan without numbers would be another one as soon as they come, and
    as long as nobody knows what auto stands for.

    Args:
        resolved: the pool with numbers where it says auto, as far as they are known.
        facts: the model's numbers by variant.
    """
    unknown = (each for each in facts.values() if isinstance(each, UnknownFacts))
    return any(variant.is_auto for variant in resolved.spec.variants) or any(
        each.outlook is Outlook.SOON for each in unknown
    )


def findings(judgement: Judgement, owners: Mapping[Name, LLMServingPool]) -> Findings:
    """Everything about a pool, with the names that other pools of its namespace have (`name_owners`)."""
    pool = judgement.pool
    wrong = (*names_taken(pool, owners), *judgement.violations)
    if wrong:
        return Findings(violations=wrong)
    return Findings(notes=notes(judgement.resolved, catalog=judgement.catalog, facts_by_variant=judgement.facts))


def findings_together(judgements: Sequence[Judgement]) -> list[Findings]:
    """Everything about pools that are to be applied together, to namespaces that have no others."""
    return [findings(one, _owners(one, judgements)) for one in judgements]


def _owners(judgement: Judgement, judgements: Sequence[Judgement]) -> dict[Name, LLMServingPool]:
    """Who has which name in the pool's namespace: a pool with violations takes none from another."""
    namespace = judgement.pool.metadata.namespace
    valid = (one for one in judgements if one.pool.metadata.namespace == namespace and not one.violations)
    pools = [judgement.pool, *(one.pool for one in valid if one is not judgement)]
    return name_owners(Claim(pool=pool, served_before=None) for pool in pools)
