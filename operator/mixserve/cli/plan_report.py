"""What `mixserve plan` has to say, before it is given a form."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from mixserve.cli.manifests import wrong_policies
from mixserve.cli.plan_against import difference as difference_to
from mixserve.plan.forecast import forecast
from mixserve.plan.speculation import pair_of
from mixserve.validate.judgement import findings_together, judge

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.cli.manifests import Manifests, Named, Refused
    from mixserve.cli.plan_against import Cluster, Difference
    from mixserve.cli.plan_files import PlanFiles
    from mixserve.plan.forecast import PoolForecast, Question
    from mixserve.validate.judgement import Findings, Judgement
    from mixserve.validate.violation import Violation


@dataclass(frozen=True, kw_only=True)
class PoolReport:
    """One pool that could be read.

    Attributes:
        what: where it is.
        pool: as it was read.
        findings: violations and notes.
        by_variant: the violations of each variant, by its name.
        forecast: what becomes of it.
        difference: what would change in a cluster, or None where it was held against none.
    """

    what: Named
    pool: LLMServingPool
    findings: Findings
    by_variant: Mapping[str, tuple[Violation, ...]]
    forecast: PoolForecast
    difference: Difference | None

    @property
    def usd_per_hour(self) -> tuple[Decimal, Decimal] | None:
        """On demand, with the fewest and the most replicas of all variants; None where a price is unknown."""
        least = most = Decimal(0)
        for one in self.forecast.variants:
            if one.price is None:
                return None
            least += one.price.on_demand * one.variant.replicas.min
            most += one.price.on_demand * one.variant.replicas.max
        return least, most


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything.

    Attributes:
        question: what was asked.
        pools: those that could be read, in the order of the files.
        refused: manifests and files that could not, and policies in which something is wrong.
        ignored: for each file, how many objects of which other kinds it has.
    """

    question: Question
    pools: tuple[PoolReport, ...]
    refused: tuple[Refused, ...]
    ignored: Mapping[str, Counter[str]]

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.refused and not any(
            one.findings.violations or (one.difference is not None and one.difference.refusal) for one in self.pools
        )


def report_on(
    manifests: Manifests,
    *,
    files: PlanFiles,
    question: Question,
    cluster: Cluster | None = None,
) -> Report:
    """Judge and forecast everything that was read, and hold it against a cluster if there is one."""
    catalog = manifests.catalog(None if cluster is None else cluster.catalog)
    live_pools = [None] * len(manifests.pools) if cluster is None else cluster.pools
    judgements = []
    for (_, pool), live in zip(manifests.pools, live_pools, strict=True):
        pairs = manifests.pairs_for(pool, {} if live is None else live.pairs)
        configs, absences = files.of(pool, pair_of(pool, pairs), live)
        judgements.append(judge(pool, catalog=catalog, configs=configs, absences=absences, pairs=pairs))
    found = zip(manifests.pools, judgements, findings_together(judgements), live_pools, strict=True)
    return Report(
        question=question,
        pools=tuple(
            _pool_report(
                what,
                judgement,
                findings=findings,
                question=question,
                difference=None
                if live is None
                else difference_to(judgement, live, is_planned=not findings.violations and not judgement.waits),
            )
            for (what, _), judgement, findings, live in found
        ),
        refused=(*manifests.refused, *wrong_policies(manifests)),
        ignored=manifests.ignored,
    )


def _pool_report(
    what: Named,
    judgement: Judgement,
    *,
    findings: Findings,
    question: Question,
    difference: Difference | None,
) -> PoolReport:
    return PoolReport(
        what=what,
        pool=judgement.pool,
        findings=findings,
        by_variant=judgement.by_variant,
        forecast=forecast(
            judgement.resolved,
            catalog=judgement.catalog,
            facts_by_variant=judgement.facts,
            wrong_variants=frozenset(name for name, wrong in judgement.by_variant.items() if wrong),
            question=question,
            speculation=judgement.speculation,
        ),
        difference=difference,
    )
