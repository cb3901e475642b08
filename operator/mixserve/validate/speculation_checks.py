"""Checks of a pool's SpeculativePair: is there one, does the engine run it, and do draft and model go together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.api.names import Reason
from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines.registry import adapter_for
from mixserve.plan.absence import Outlook
from mixserve.plan.eagle_head import is_eagle3_head, target_hidden_size
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.plan.mtp import mtp_layers
from mixserve.plan.parallelism import draft_shares_heads
from mixserve.plan.placement import engine_row
from mixserve.plan.tokenizer import Verdict
from mixserve.validate.suggestion import choose
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mixserve.api.pool import LLMServingPool
    from mixserve.engines.protocol import Obstacle
    from mixserve.plan.speculation import Speculation
    from mixserve.validate.subject import Subject

PAIR_PATH = "spec.speculativePairRef.name"

_SOURCE = "spec.draft.source"
_OTHER_DRAFT = "name a draft that was made for the model, or take spec.speculativePairRef out"


def unknown_pair(pool: LLMServingPool, known: Collection[str]) -> Iterator[Violation]:
    """The namespace has no pair of this name.

    Args:
        pool: the pool.
        known: the names of the pairs of its namespace.
    """
    reference = pool.spec.speculative_pair_ref
    if reference is not None and reference.name not in known:
        yield Violation(
            Reason.UNKNOWN_SPECULATIVE_PAIR,
            PAIR_PATH,
            f"there is no SpeculativePair {reference.name} in the namespace",
            choose(reference.name, known, kind="SpeculativePair"),
        )


def unsupported_speculation(subject: Subject) -> Iterator[Violation]:
    """The engine does not run the pair."""
    engine, pair = subject.pool.spec.engine, subject.speculation
    if pair is None:
        return
    found = adapter_for(engine.type).speculation_obstacles(
        pair.spec,
        engine=engine,
        tensor_parallel=subject.variant.gpus,
        adapters=bool(subject.pool.spec.model.adapters),
    )
    for obstacle in found:
        yield _of_engine(pair, obstacle)


def draft_of_another_kind(subject: Subject) -> Iterator[Violation]:
    """A head can't work by itself, and a model is no head."""
    pair = subject.speculation
    if pair is None or pair.draft is None:
        return
    is_head, wants_head = is_eagle3_head(pair.draft), pair.spec.method is SpeculationMethod.EAGLE3
    if is_head and not wants_head:
        yield _mismatch(pair, "spec.method", "its draft is an EAGLE-3 head, no model", "set it to EAGLE3")
    if wants_head and not is_head:
        yield _mismatch(pair, "spec.method", "its draft is a model, no EAGLE-3 head", "set it to DraftModel")


def head_of_another_model(subject: Subject) -> Iterator[Violation]:
    """A head reads the hidden states of the model that it was trained with."""
    pair, facts = subject.speculation, subject.known_facts
    if pair is None or pair.draft is None or facts is None or pair.spec.method is not SpeculationMethod.EAGLE3:
        return
    size = target_hidden_size(pair.draft)
    if size is not None and size != facts.hidden_size:
        yield _mismatch(
            pair,
            _SOURCE,
            f"the EAGLE-3 head was made for a model with a hidden size of {size}, and that of variant "
            f"{subject.variant.name} has {facts.hidden_size}",
            _OTHER_DRAFT,
        )


def draft_with_another_vocabulary(subject: Subject) -> Iterator[Violation]:
    """Proposed tokens would be none of the model's; the engine refuses to start."""
    pair, facts = subject.speculation, subject.known_facts
    size = None if pair is None else _vocabulary(pair)
    if pair is not None and facts is not None and size is not None and size != facts.vocabulary_size:
        yield _mismatch(
            pair,
            _SOURCE,
            f"the draft's vocabulary has {size} tokens, and the model's in variant {subject.variant.name} "
            f"{facts.vocabulary_size}",
            _OTHER_DRAFT,
        )


def draft_with_another_tokenizer(subject: Subject) -> Iterator[Violation]:
    """Vocabularies of one size with other texts: the engine starts, and keeps no proposal."""
    pair = subject.speculation
    if pair is None:
        return
    match = pair.tokenizer_match
    if match.verdict is Verdict.FALSE:
        yield _mismatch(pair, _SOURCE, match.detail, _OTHER_DRAFT)


def invalid_draft_facts(subject: Subject) -> Iterator[Violation]:
    """The draft's config.json says something that no draft has."""
    pair = subject.speculation
    if pair is not None and isinstance(pair.draft_facts, InvalidFacts):
        for problem in pair.draft_facts.problems:
            yield _violation(
                pair,
                Reason.INVALID_MODEL_FACTS,
                field_path=_SOURCE,
                cause=problem,
                remedy="put the draft's own config.json there, or give its numbers in spec.draft.facts of the pair",
            )


def draft_not_there(subject: Subject) -> Iterator[Violation]:
    """There is no such repository, or no such revision of it."""
    pair = subject.speculation
    if pair is None or not isinstance(pair.draft_facts, UnknownFacts):
        return
    if pair.draft_facts.outlook is Outlook.NOT_THERE:
        yield _violation(
            pair,
            Reason.CHECKPOINT_NOT_FOUND,
            field_path=_SOURCE,
            cause=pair.draft_facts.detail,
            remedy=pair.draft_facts.remedy,
        )


def indivisible_draft_heads(subject: Subject) -> Iterator[Violation]:
    """The draft's heads have to be shared as well."""
    pair, gpus = subject.speculation, subject.variant.gpus
    if pair is None or draft_shares_heads(pair, gpus):
        return
    facts = pair.draft_facts
    assert isinstance(facts, ModelFacts)
    yield _violation(
        pair,
        Reason.INDIVISIBLE_HEADS,
        field_path=_SOURCE,
        cause=f"{gpus} GPUs of variant {subject.variant.name} can't share the draft's "
        f"{facts.attention_heads} attention heads and {facts.key_value_heads} key-value heads evenly",
        remedy=f"choose another tensorParallel in {subject.path}, or another draft",
    )


def no_mtp_layers(subject: Subject) -> Iterator[Violation]:
    """The checkpoint has nothing that was trained to predict more than the next token."""
    pair = subject.speculation
    if pair is not None and _mtp_layers(pair) == 0:
        yield _mismatch(
            pair,
            "spec.method",
            f"the checkpoint of variant {subject.variant.name} has no layers for multi-token prediction",
            "choose NGram, or a draft for the model with DraftModel or EAGLE3",
        )


def indivisible_tokens(subject: Subject) -> Iterator[Violation]:
    """Layers that predict a token each are used again as a whole."""
    pair = subject.speculation
    layers = None if pair is None else _predicting_layers(pair)
    if pair is not None and layers and pair.spec.tokens > layers and pair.spec.tokens % layers:
        yield _violation(
            pair,
            Reason.UNSUPPORTED_SPECULATION,
            field_path="spec.tokens",
            cause=f"{layers} layers predict a token each, and {pair.spec.tokens} is no multiple of that",
            remedy=f"set it to {layers} or a multiple of it",
        )


def unsupported_draft_format(subject: Subject) -> Iterator[Violation]:
    """The draft is quantized in a way that the engine or the variant's GPU does not run."""
    pair, engine = subject.speculation, subject.pool.spec.engine.type
    if pair is None or not pair.draft_method:
        return
    instead = adapter_for(engine).refused_checkpoint(pair.draft_method)
    if instead is not None:
        cause = f"{engine} does not read a draft that is stored as {pair.draft_method}"
        yield _violation(pair, Reason.CHECKPOINT_MISMATCH, field_path=_SOURCE, cause=cause, remedy=instead)
    accelerator = subject.catalog.accelerators.get(subject.variant.accelerator)
    if pair.draft_format is None or accelerator is None:
        return
    row, found = engine_row(pair.draft_format, engine), accelerator.spec.compute_capability
    if row is None or not row.runs_on(found):
        yield _violation(
            pair,
            Reason.UNSUPPORTED_QUANTIZATION,
            field_path=_SOURCE,
            cause=f"the draft is stored as {pair.draft_method}, which {engine} does not run on "
            f"{subject.variant.accelerator} (compute capability {found}) of variant {subject.variant.name}",
            remedy="name a draft that is not quantized, or in a format that this GPU runs",
        )


def _vocabulary(pair: Speculation) -> int | None:
    """The size of the vocabulary that a draft was made for; a head has a smaller one of its own beside it."""
    said = None if pair.draft is None else pair.draft.get("vocab_size")
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    is_model = pair.spec.method is SpeculationMethod.DRAFT_MODEL
    return pair.draft_facts.vocabulary_size if is_model and isinstance(pair.draft_facts, ModelFacts) else None


def _mtp_layers(pair: Speculation) -> int | None:
    if pair.spec.method is not SpeculationMethod.MTP or pair.target is None:
        return None
    return mtp_layers(pair.target)


def _predicting_layers(pair: Speculation) -> int | None:
    said = _mtp_layers(pair) if pair.draft is None else pair.draft.get("n_predict")
    return said if isinstance(said, int) else None


def _of_engine(pair: Speculation, obstacle: Obstacle) -> Violation:
    """In the field of the pool where it is one, else in what names the pair."""
    if obstacle.field_path.startswith("spec.engine"):
        return Violation(Reason.UNSUPPORTED_SPECULATION, obstacle.field_path, obstacle.cause, obstacle.remedy)
    return _violation(
        pair,
        Reason.UNSUPPORTED_SPECULATION,
        field_path=obstacle.field_path,
        cause=obstacle.cause,
        remedy=obstacle.remedy,
    )


def _mismatch(pair: Speculation, field_path: str, cause: str, remedy: str) -> Violation:
    return _violation(pair, Reason.DRAFT_MISMATCH, field_path=field_path, cause=cause, remedy=remedy)


def _violation(
    pair: Speculation,
    reason: Reason,
    *,
    field_path: str,
    cause: str,
    remedy: str,
) -> Violation:
    """Of the pool, with the field of the pair in its cause."""
    return Violation(reason, PAIR_PATH, f"{field_path} of SpeculativePair {pair.name}: {cause}", remedy)
