"""What is worth knowing about a pool's SpeculativePair and no reason to refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.api.names import Reason
from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines.registry import adapter_for
from mixserve.plan.facts import GIVE_FACTS, UnknownFacts
from mixserve.plan.mtp import mtp_layers
from mixserve.plan.tokenizer import Verdict
from mixserve.validate.not_known import unknown_reason
from mixserve.validate.speculation_checks import PAIR_PATH
from mixserve.validate.violation import Note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.validate.subject import Subject


def speculation_caveats(subject: Subject) -> Iterator[Note]:
    """What else is different with the pair."""
    pair, engine = subject.speculation, subject.pool.spec.engine
    if pair is not None:
        for caveat in adapter_for(engine.type).speculation_caveats(pair.spec, engine=engine):
            yield Note(Reason.VALID, PAIR_PATH, caveat.cause, caveat.remedy)


def tokenizer_unread(subject: Subject) -> Iterator[Note]:
    """Whether model and draft split text alike can't be checked."""
    pair = subject.speculation
    if pair is None:
        return
    match = pair.tokenizer_match
    if match.verdict is Verdict.UNKNOWN:
        yield Note(
            Reason.VALID,
            PAIR_PATH,
            f"whether the draft of SpeculativePair {pair.name} has the model's tokenizer is not checked, since "
            f"{match.detail}",
            "make sure of it: with another one the engine starts, and keeps no proposal",
        )


def other_special_tokens(subject: Subject) -> Iterator[Note]:
    """The draft ends texts in another way than the model does."""
    pair = subject.speculation
    if pair is not None and pair.tokenizer_match.other_roles:
        yield Note(
            Reason.VALID,
            PAIR_PATH,
            f"the draft of SpeculativePair {pair.name} has the model's vocabulary and uses other special tokens: its "
            f"{pair.tokenizer_match.other_roles}",
            "nothing has to be done; proposals are kept less often where an answer begins and ends",
        )


def draft_facts_unknown(subject: Subject) -> Iterator[Note]:
    """Whether model and draft fit together can't be checked."""
    pair = subject.speculation
    if pair is not None and isinstance(pair.draft_facts, UnknownFacts):
        yield Note(
            unknown_reason(pair.draft_facts),
            PAIR_PATH,
            f"{pair.draft_facts.detail}, so its memory counts for nothing",
            f"give its numbers in spec.draft.facts of SpeculativePair {pair.name} to have its fit checked"
            if pair.draft_facts.remedy == GIVE_FACTS
            else pair.draft_facts.remedy,
        )


def mtp_unread(subject: Subject) -> Iterator[Note]:
    """Whether the checkpoint has layers for multi-token prediction can't be checked."""
    pair = subject.speculation
    if pair is None or pair.spec.method is not SpeculationMethod.MTP:
        return
    if pair.target is None or mtp_layers(pair.target) is None:
        yield Note(
            Reason.VALID,
            PAIR_PATH,
            f"whether the checkpoint of variant {subject.variant.name} has layers for multi-token prediction is not "
            "checked: its config.json can't be read by the operator, or does not say it",
            "make sure of it: without them the engine does not start",
        )


def draft_context_shorter(subject: Subject) -> Iterator[Note]:
    """Beyond the draft's own context nothing is proposed."""
    pair, facts = subject.speculation, subject.known_facts
    if pair is None or facts is None or pair.spec.method is not SpeculationMethod.DRAFT_MODEL:
        return
    context, draft = subject.pool.spec.engine.max_model_len or facts.max_position_embeddings, pair.draft_facts
    if isinstance(draft, ModelFacts) and draft.max_position_embeddings < context:
        yield Note(
            Reason.VALID,
            PAIR_PATH,
            f"the draft was made for {draft.max_position_embeddings} tokens, and requests may have {context}: longer "
            "ones get no proposals",
            "nothing has to be done",
        )
