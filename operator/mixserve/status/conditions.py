"""The conditions of a pool. All are positive: True is good, Unknown could not be checked and is tried again.

- *Validated*: the spec of `observedGeneration` breaks no rule.
- *Fits*: the model fits its GPUs as planned; Unknown where the model's numbers are not known. That stops nothing, but
  while its files are being read the pool waits for them, and one with `tensorParallel: auto` until they are read.
- *WorkloadReady*: what the pool asked of the cluster is there. True when everything is applied, nothing rolls out, no
  replica is in trouble, and every variant has its minimum ready; replicas above the minimum may still be starting
  (reason Progressing), so that an ordinary scale-up does not flip it. False with the trouble of any replica, also one
  above the minimum.
- *MetricsFresh*: every ready replica's metrics were read lately; autoscaling holds without.
- *NoForeignChanges*: nobody else set fields of our objects that change how they behave.
- *Ready*: the sum, and what `kubectl wait --for=condition=Ready` is for: requests are answered, and the spec of
  `observedGeneration` is the one that is served or being rolled out. So True needs Validated, Fits not False, all
  objects applied, and one ready replica that takes requests. It stays True while replicas start or are replaced. It is
  Unknown while the spec waits for the model's files, and False after a bad edit, although the replicas of the spec
  before keep serving; the message then says that they do. To wait for the end of a rollout, wait for WorkloadReady.

Messages say where, what and what to do, and have no number that changes by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mixserve.api.names import ConditionType, Reason
from mixserve.api.observation import PoolObservation
from mixserve.api.pool import Variant
from mixserve.api.pool_status import Condition
from mixserve.status.metrics import judge_metrics
from mixserve.status.one_condition import to_condition
from mixserve.status.troubles import Advise
from mixserve.status.verdict import NOT_LOOKED_AT, Verdict
from mixserve.status.workload import judge_workload, ready_replicas
from mixserve.validate.violation import CONDITIONS, Finding, Note, Violation

_NO_TROUBLE = frozenset({Reason.PROGRESSING, Reason.ALL_REPLICAS_READY})
"""Reasons of WorkloadReady that do not say why no replica takes requests."""


@dataclass(frozen=True)
class Findings:
    """What this pass found besides the observation.

    Attributes:
        generation: of the pool that was looked at.
        violations: what is wrong with the spec.
        notes: what could not be checked, or is worth knowing; stops nothing.
        waits: nothing is wrong, and there is no plan yet: for the reason of Fits.
        apply_error: why the objects could not be applied, or None.
    """

    generation: int
    violations: tuple[Violation, ...] = ()
    notes: tuple[Note, ...] = ()
    waits: bool = False
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
        variants: those of the spec in force; empty if there never was a valid one.
        findings: what this pass found besides the observation.
        observation: what was seen, its variants in the order of the spec; None if there never was a valid spec.
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
    before = {condition.type: condition for condition in previous}
    workload = _without_guess(
        workload, observation, before.get(ConditionType.WORKLOAD_READY), generation=findings.generation
    )
    metrics = _until_read(judge_metrics(observation), before.get(ConditionType.METRICS_FRESH))
    parts = (validated, fits, workload, metrics, _judge_foreign(observation))
    ready = _sum_up((validated, fits), workload, observation=observation, waits=findings.waits)
    return tuple(
        to_condition(verdict, generation=findings.generation, previous=previous, now_s=now_s)
        for verdict in (ready, *parts)
    )


def _without_guess(
    workload: Verdict,
    observation: PoolObservation | None,
    before: Condition | None,
    *,
    generation: int,
) -> Verdict:
    """The verdict, or the one before it until a change is seen that need not be a rollout: it may be a new size."""
    guessed = observation is not None and any(seen.unseen for seen in observation.variants)
    if before is None or not guessed or workload.reason is not Reason.PROGRESSING:
        return workload
    reason = next((calm for calm in _NO_TROUBLE if calm == before.reason), None)
    if reason is None or before.observed_generation != generation:
        return workload
    return Verdict(workload.type, before.status, reason, before.message)


def _until_read(metrics: Verdict, before: Condition | None) -> Verdict:
    """The verdict, or the one before it as long as nothing was read: an operator that has just started is no news."""
    known = next((reason for reason in (Reason.FRESH, Reason.STALE) if before and reason == before.reason), None)
    if before is None or known is None or metrics.reason is not Reason.NOT_CHECKED:
        return metrics
    return Verdict(metrics.type, before.status, known, before.message)


def _judge_spec(findings: Findings) -> Verdict:
    kind = ConditionType.VALIDATED
    wrong = [violation for violation in findings.violations if CONDITIONS[violation.reason] == kind]
    if wrong:
        return Verdict(kind, "False", wrong[0].reason, _sentences(wrong))
    notes = [note for note in findings.notes if CONDITIONS[note.reason] == kind]
    return Verdict(kind, "True", Reason.VALID, _sentences(notes) or "The spec breaks no rule")


def _judge_fit(findings: Findings, *, valid: bool) -> Verdict:
    kind = ConditionType.FITS
    wrong = [violation for violation in findings.violations if CONDITIONS[violation.reason] == kind]
    if wrong:
        return Verdict(kind, "False", wrong[0].reason, _sentences(wrong))
    if not valid:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, "Will be checked when the spec is valid")
    notes = [note for note in findings.notes if CONDITIONS[note.reason] == kind]
    if notes:
        return Verdict(kind, "Unknown", notes[0].reason, _sentences(notes))
    return Verdict(kind, "True", Reason.FITS, "The model fits the GPUs of every variant")


def _judge_foreign(observation: PoolObservation | None) -> Verdict:
    kind = ConditionType.NO_FOREIGN_CHANGES
    if observation is None:
        return Verdict(kind, "Unknown", Reason.NOT_CHECKED, NOT_LOOKED_AT)
    if not observation.foreign_fields:
        return Verdict(kind, "True", Reason.AS_APPLIED, "Nobody else has set fields that change behaviour")
    found = "; ".join(f"{owned}: {', '.join(paths)}" for owned, paths in sorted(observation.foreign_fields.items()))
    return Verdict(
        kind,
        "False",
        Reason.FOREIGN_FIELDS,
        f"{found} set by somebody else; remove these fields, or delete the object: it is made anew",
    )


def _sum_up(
    spec: Sequence[Verdict],
    workload: Verdict,
    *,
    observation: PoolObservation | None,
    waits: bool,
) -> Verdict:
    kind = ConditionType.READY
    serves = observation is not None and any(ready_replicas(seen) for seen in observation.variants)
    broken = [verdict for verdict in spec if verdict.status == "False"]
    if workload.reason is Reason.APPLY_FAILED:
        broken.append(workload)
    if broken:
        keeps = ". The replicas of the last good spec keep serving" if serves else ""
        return Verdict(kind, "False", broken[0].reason, broken[0].message + keeps)
    if waits:
        _, fits = spec
        keeps = ". The replicas of the spec before keep serving" if serves else ""
        return Verdict(kind, "Unknown", fits.reason, f"Waits for the model's files. {fits.message}{keeps}")
    if serves:
        return Verdict(kind, "True", Reason.READY, "Requests are answered")
    if workload.status == "Unknown":
        return Verdict(kind, "Unknown", workload.reason, workload.message)
    reason = Reason.NOT_READY if workload.reason in _NO_TROUBLE else workload.reason
    return Verdict(kind, "False", reason, f"No replica takes requests. {workload.message}")


def _sentences(findings: Sequence[Finding]) -> str:
    return ". ".join(finding.message for finding in findings)
