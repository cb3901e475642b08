"""A pool's SpeculativePair, with what is known of the files that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.plan.absence import NO_REASONS
from mixserve.plan.config_keys import InvalidConfigError
from mixserve.plan.eagle_head import head_facts
from mixserve.plan.facts import Facts, InvalidFacts, UnknownFacts, facts_from_config
from mixserve.plan.model_source import draft_repository, repository_of
from mixserve.plan.quant_method import UNQUANTIZED, is_one_of, quant_method
from mixserve.plan.tokenizer import TokenizerMatch, Verdict, match_tokenizers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.quantization import QuantizationFormatSpec
    from mixserve.api.speculative_pair import SpeculativePair, SpeculativePairSpec
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.absence import Absence, Absences
    from mixserve.plan.facts import Configs

    Config = Mapping[str, Any]

_NO_DRAFT = TokenizerMatch(Verdict.TRUE, "there is no draft: the model's own tokens are proposed")


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """What proposes tokens to one variant of a pool.

    Attributes:
        name: of the SpeculativePair.
        spec: its spec.
        target: decoded config.json of the variant's checkpoint; None where it can't be read.
        draft: the same of the draft; None as well where there is no draft.
        draft_facts: the draft's numbers, or why there are none; None where there is no draft.
        draft_method: how the draft is quantized; empty where it is not, None where nobody can tell.
        draft_format: the catalogue's format that is stored so; None where there is none, or it is not quantized.
    """

    name: str
    spec: SpeculativePairSpec
    target: Config | None = None
    draft: Config | None = None
    draft_facts: Facts | None = None
    draft_method: str | None = None
    draft_format: QuantizationFormatSpec | None = None

    @property
    def tokenizer_match(self) -> TokenizerMatch:
        """Whether model and draft split text alike."""
        return _NO_DRAFT if self.spec.draft is None else match_tokenizers(self.target, self.draft)


WITHOUT_SPECULATION: Mapping[str, Speculation] = MappingProxyType({})
"""Of a pool that names no pair, by variant."""


def pair_of(pool: LLMServingPool, pairs: Mapping[str, SpeculativePair]) -> SpeculativePair | None:
    """The pair that a pool names, of those of its namespace; None where it names none, or there is no such pair."""
    reference = pool.spec.speculative_pair_ref
    return None if reference is None else pairs.get(reference.name)


def speculation_by_variant(
    pool: LLMServingPool,
    *,
    pairs: Mapping[str, SpeculativePair],
    configs: Configs,
    catalog: Catalog,
    absences: Absences = NO_REASONS,
) -> dict[str, Speculation]:
    """What proposes tokens to each variant, by its name; empty where the pool names no pair that there is.

    Args:
        pool: the pool.
        pairs: those of its namespace.
        configs: config.json by checkpoint, that of the draft among them.
        catalog: the formats that a draft may be in.
        absences: why there is no config.json of a checkpoint.
    """
    pair = pair_of(pool, pairs)
    if pair is None:
        return {}
    repository = draft_repository(pair.spec)
    draft = None if repository is None else configs.get(repository)
    absence = None if repository is None else absences.get(repository)
    method = None if draft is None else quant_method(draft)
    return {
        variant.name: Speculation(
            name=pair.metadata.name,
            spec=pair.spec,
            target=configs.get(repository_of(pool, variant)),
            draft=draft,
            draft_facts=_draft_facts(pair.spec, draft, absence),
            draft_method=method,
            draft_format=_format_of(method, catalog),
        )
        for variant in pool.spec.variants
    }


def without_files(speculation: Speculation) -> Speculation:
    """The same with what the pair itself says, and nothing that was read of checkpoints."""
    pair = speculation.spec
    return Speculation(name=speculation.name, spec=pair, draft_facts=_draft_facts(pair, None, None))


def match_of(speculations: Iterable[Speculation]) -> TokenizerMatch:
    """Whether the draft splits text as all variants of a pool do: the worst of them.

    Args:
        speculations: at least one, of the variants of one pool.
    """
    order = (Verdict.FALSE, Verdict.UNKNOWN, Verdict.TRUE)
    return min((one.tokenizer_match for one in speculations), key=lambda match: order.index(match.verdict))


def _draft_facts(pair: SpeculativePairSpec, config: Config | None, absence: Absence | None) -> Facts | None:
    if pair.draft is None:
        return None
    if pair.draft.facts is not None:
        return pair.draft.facts
    return _unread(pair.draft.source, absence) if config is None else _read(pair, config)


def _unread(source: str, absence: Absence | None) -> UnknownFacts:
    if absence is None:
        return UnknownFacts(f"config.json of the draft {source} can't be read by the operator")
    return UnknownFacts(absence.detail, absence.remedy, absence.outlook)


def _read(pair: SpeculativePairSpec, config: Config) -> Facts:
    if pair.method is not SpeculationMethod.EAGLE3:
        return facts_from_config(config)
    try:
        return head_facts(config)
    except InvalidConfigError as error:
        return InvalidFacts(error.problems)


def _format_of(method: str | None, catalog: Catalog) -> QuantizationFormatSpec | None:
    if method is None or method == UNQUANTIZED:
        return None
    specs = (entry.spec for _, entry in sorted(catalog.formats.items()))
    return next(
        (spec for spec in specs if spec.checkpoint is not None and is_one_of(method, spec.checkpoint.quant_methods)),
        None,
    )
