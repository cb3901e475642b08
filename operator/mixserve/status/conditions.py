"""The conditions of a pool. All are positive: True is good, Unknown could not be checked and is tried again.

- *Validated*: the spec of `observedGeneration` breaks no rule.
- *Fits*: the model fits its GPUs as planned; Unknown where the model's numbers are not known, which stops nothing.
- *WorkloadReady*: what the pool asked of the cluster is there. True when everything is applied, nothing rolls out, no
  replica is in trouble, and every variant has its minimum ready; replicas above the minimum may still be starting
  (reason Progressing), so that an ordinary scale-up does not flip it. False with the trouble of any replica, also one
  above the minimum.
- *MetricsFresh*: every ready replica's metrics were read lately; autoscaling holds without.
- *NoForeignChanges*: nobody else set fields of our objects that change how they behave.
- *Ready*: the sum, and what `kubectl wait --for=condition=Ready` is for: requests are answered, and the spec of
  `observedGeneration` is the one that is served or being rolled out. So True needs Validated, Fits not False, all
  objects applied, and one ready replica that takes requests. It stays True while replicas start or are replaced. It is
  False after a bad edit, although the replicas of the last good spec keep serving; the message then says that they do.
  To wait for the end of a rollout, wait for WorkloadReady.

Messages say where, what and what to do, and have no number that changes by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mixserve.api.names import ConditionType, Reason
from mixserve.api.observation import PoolObservation
from mixserve.api.pool import Variant
from mixserve.api.pool_status import Condition
from mixserve.status.metrics import judge_metrics
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.status.troubles import Advise
from mixserve.status.verdict import Verdict
from mixserve.status.workload import judge_workload, ready_replicas


class Violation(Protocol):
    """What `validate` says is wrong: where, what, and what to do."""

    @property
    def reason(self) -> Reason:
        """One of the reasons of Validated or Fits."""
        ...

    @property
    def field_path(self) -> str:
        """Where, such as spec.variants[0].quantization."""
        ...

    @property
    def cause(self) -> str:
        """What is wrong."""
        ...

    @property
    def remedy(self) -> str:
        """What to do."""
        ...


_NO_TROUBLE = frozenset({Reason.PROGRESSING, Reason.ALL_REPLICAS_READY})
"""Reasons of WorkloadReady that do not say why no replica takes requests."""

_ABOUT_FIT = frozenset(
    {
        Reason.DOES_NOT_FIT,
        Reason.INDIVISIBLE_HEADS,
        Reason.UNKNOWN_MODEL_FACTS,
        Reason.INVALID_MODEL_FACTS,
        Reason.CONTEXT_TOO_LONG,
        Reason.NOT_CHECKED,
    }
)
"""Reasons of Fits; all other violations are Validated's."""


@dataclass(frozen=True)
class Findings:
    """What this pass found besides the observation.

    Attributes:
        generation: of the pool that was looked at.
        violations: what is wrong with the spec.
        notes: what could not be checked, or is worth knowing; stops nothing.
        apply_error: why the objects could not be applied, or None.
    """

    generation: int
    violations: tuple[Violation, ...] = ()
    notes: tuple[Violation, ...] = ()
    apply_error: str | None = None


def build_conditions(
    *,
    name: str,
    variants: Sequence[Variant],
    findings: Findings,
    observation: PoolObservation | None,
    previous: Sequence[Condition],
    advise: Advise,
    now_s: float,
) -> tuple[Condition, ...]:
    """All conditions of a pool; one whose status stayed keeps the time of its last transition.

    Args:
        name: the pool's.
        variants: the spec's; empty if the spec could not be read.
        findings: what this pass found besides the observation.
        observation: what was seen, its variants in the order of the spec; None if nothing could be.
        previous: the conditions in the pool's status.
        advise: `EngineAdapter.advise` of the pool's engine.
        now_s: seconds since the epoch.
    """
    validated = _judge_spec(findings)
    fits = _judge_fit(findings, valid=validated.status == "True")
    workload = judge_workload(
        pool=name,
        variants=variants,
        observation=observation,
        apply_error=findings.apply_error,
        advise=advise,
    )
    parts = (validated, fits, workload, judge_metrics(observation), _judge_foreign(observation))
    ready = _sum_up((validated, fits), workload, observation=observation)
    before = {condition.type: condition for condition in previous}
    return tuple(
        _condition(verdict, generation=findings.generation, before=before.get(verdict.type), now_s=now_s)
        for verdict in (ready, *parts)
    )


def _condition(
    verdict: Verdict,
    *,
    generation: int,
    before: Condition | None,
    now_s: float,
) -> Condition:
    stays = before is not None and before.status == verdict.status
    return Condition(
        type=verdict.type,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        last_transition_time=before.last_transition_time if before and stays else to_rfc3339(now_s),
        observed_generation=generation,
    )


def _judge_spec(findings: Findings) -> Verdict:
    kind = ConditionType.VALIDATED
    wrong = [violation for violation in findings.violations if violation.reason not in _ABOUT_FIT]
    if wrong:
        return Verdict(kind, "False", wrong[0].reason, _sentences(wrong))
    notes = [note for note in findings.notes if note.reason not in _ABOUT_FIT]
    return Verdict(kind, "True", Reason.VALID, _sentences(notes) or "The spec breaks no rule")


def _judge_fit(findings: Findings, *, valid: bool) -> Verdict:
    kind = ConditionType.FITS
    wrong = [violation for violation in findings.violations if violation.reason in _ABOUT_FIT]
    if wrong:
        return Verdict(kind, "False", wrong[0].reason, _sentences(wrong))
    if not valid:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, "Will be checked when the spec is valid")
    notes = [note for note in findings.notes if note.reason in _ABOUT_FIT]
    if notes:
        return Verdict(kind, "Unknown", notes[0].reason, _sentences(notes))
    return Verdict(kind, "True", Reason.FITS, "The model fits the GPUs of every variant")


def _judge_foreign(observation: PoolObservation | None) -> Verdict:
    kind = ConditionType.NO_FOREIGN_CHANGES
    if observation is None:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, "The pool's objects have not been looked at yet")
    if not observation.foreign_fields:
        return Verdict(kind, "True", Reason.AS_APPLIED, "Nobody else has set fields that change behaviour")
    found = "; ".join(f"{owned}: {', '.join(paths)}" for owned, paths in sorted(observation.foreign_fields.items()))
    return Verdict(
        kind,
        "False",
        Reason.FOREIGN_FIELDS,
        f"Somebody else has set {found}. Remove the fields, or delete the object: it is made anew",
    )


def _sum_up(
    spec: Sequence[Verdict],
    workload: Verdict,
    *,
    observation: PoolObservation | None,
) -> Verdict:
    kind = ConditionType.READY
    serves = observation is not None and any(ready_replicas(seen) for seen in observation.variants)
    broken = [verdict for verdict in spec if verdict.status == "False"]
    if workload.reason is Reason.APPLY_FAILED:
        broken.append(workload)
    if broken:
        keeps = ". The replicas of the last good spec keep serving" if serves else ""
        return Verdict(kind, "False", broken[0].reason, broken[0].message + keeps)
    if serves:
        return Verdict(kind, "True", Reason.READY, "Requests are answered")
    if workload.status == "Unknown":
        return Verdict(kind, "Unknown", workload.reason, workload.message)
    reason = Reason.NOT_READY if workload.reason in _NO_TROUBLE else workload.reason
    return Verdict(kind, "False", reason, f"No replica takes requests. {workload.message}")


def _sentences(violations: Sequence[Violation]) -> str:
    return "; ".join(f"{one.field_path}: {one.cause.rstrip('.')}. {one.remedy.rstrip('.')}" for one in violations)
