from collections.abc import Sequence
from dataclasses import replace

import pytest

from mixserve.api.names import ConditionType, Reason
from mixserve.api.observation import Missing, MissingReason, PodProblem, PoolObservation, Trouble
from mixserve.api.pool_status import Condition
from mixserve.status.conditions import Findings, build_conditions
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.validate.violation import Note, Violation
from support.pools import NOW_S, SILENT, bounds, pod, seen, starting, variant

UNKNOWN_FORMAT = Violation(
    Reason.UNKNOWN_QUANTIZATION, "spec.variants[0].quantization", "there is no format fp7", "choose fp8"
)
TOO_LARGE = Violation(Reason.DOES_NOT_FIT, "spec.variants[0]", "the model does not fit", "use 2 GPUs")
NO_FACTS = Note(Reason.UNKNOWN_MODEL_FACTS, "spec.model.facts", "not known", "give them")
OLD_VERSION = Note(Reason.VALID, "spec.engine.version", "0.20.0 is treated as 0.32", "use 0.32")
SERVING = seen(variant(pod("a")))


def build(
    *violations: Violation,
    observation: PoolObservation | None = SERVING,
    notes: tuple[Note, ...] = (),
    waits: bool = False,
    apply_error: str | None = None,
    previous: Sequence[Condition] = (),
    generation: int = 7,
    now_s: float = NOW_S,
) -> dict[str, Condition]:
    conditions = build_conditions(
        name="chat",
        variants=(bounds(1, 9),),
        findings=Findings(
            generation=generation, violations=violations, notes=notes, waits=waits, apply_error=apply_error
        ),
        observation=observation,
        previous=previous,
        advise=lambda _: None,
        now_s=now_s,
    )
    assert [one.type for one in conditions] == list(ConditionType)
    return {one.type: one for one in conditions}


def told(condition: Condition) -> tuple[str, str, str]:
    return condition.status, condition.reason, condition.message


def test_a_pool_that_serves_is_true_throughout() -> None:
    assert {(one.status, one.reason) for one in build().values()} == {
        ("True", "Ready"),
        ("True", "Valid"),
        ("True", "Fits"),
        ("True", "AllReplicasReady"),
        ("True", "Fresh"),
        ("True", "AsApplied"),
    }


def test_every_condition_names_the_generation_and_the_time() -> None:
    assert {(one.observed_generation, one.last_transition_time) for one in build().values()} == {(7, to_rfc3339(NOW_S))}


READING = Note(Reason.READING_MODEL_FILES, "spec.model.source", "it is being read", "wait")


def test_a_pool_that_waits_for_its_files_says_so() -> None:
    found = build(notes=(READING,), waits=True, observation=None)
    assert told(found["Ready"]) == (
        "Unknown",
        "ReadingModelFiles",
        "Waits for the model's files. spec.model.source: it is being read; wait",
    )
    assert told(found["Fits"])[:2] == ("Unknown", "ReadingModelFiles")
    assert told(found["WorkloadReady"]) == ("Unknown", "NotChecked", "Not looked at: nothing is planned yet")


def test_what_ran_before_is_said_to_serve_while_the_pool_waits() -> None:
    found = build(notes=(READING,), waits=True)
    assert found["Ready"].status == "Unknown"
    assert found["Ready"].message.endswith("wait. The replicas of the spec before keep serving")


def test_the_time_stays_while_the_status_stays() -> None:
    before = tuple(build().values())
    same = build(previous=before, generation=8, now_s=NOW_S + 60)
    assert {(one.observed_generation, one.last_transition_time) for one in same.values()} == {(8, to_rfc3339(NOW_S))}
    changed = build(UNKNOWN_FORMAT, previous=before, now_s=NOW_S + 60)
    assert changed["Validated"].last_transition_time == to_rfc3339(NOW_S + 60)
    assert changed["WorkloadReady"].last_transition_time == to_rfc3339(NOW_S)


def test_a_violation_of_the_spec_is_told_in_full() -> None:
    conditions = build(UNKNOWN_FORMAT, TOO_LARGE)
    assert told(conditions["Validated"]) == (
        "False",
        "UnknownQuantizationFormat",
        "spec.variants[0].quantization: there is no format fp7; choose fp8",
    )
    assert told(conditions["Fits"]) == ("False", "DoesNotFit", "spec.variants[0]: the model does not fit; use 2 GPUs")


def test_several_violations_are_all_told() -> None:
    again = replace(UNKNOWN_FORMAT, field_path="spec.variants[1].quantization")
    assert build(UNKNOWN_FORMAT, again)["Validated"].message == f"{UNKNOWN_FORMAT.message}. {again.message}"


def test_the_fit_is_not_judged_while_the_spec_is_invalid() -> None:
    assert told(build(UNKNOWN_FORMAT)["Fits"])[:2] == ("Unknown", "NotChecked")


def test_notes_are_told_and_stop_nothing() -> None:
    conditions = build(notes=(NO_FACTS, OLD_VERSION))
    assert told(conditions["Validated"]) == ("True", "Valid", OLD_VERSION.message)
    assert told(conditions["Fits"]) == ("Unknown", "UnknownModelFacts", NO_FACTS.message)
    assert conditions["Ready"].status == "True"


def test_foreign_fields_are_named_and_do_not_stop_the_pool_from_being_ready() -> None:
    fields = {"Service/chat": ("spec.type",), "Deployment/chat-main": ("spec.paused", "spec.x")}
    conditions = build(observation=replace(SERVING, foreign_fields=fields))
    assert told(conditions["NoForeignChanges"]) == (
        "False",
        "ForeignFields",
        (
            "Deployment/chat-main: spec.paused, spec.x; Service/chat: spec.type set by somebody else; "
            "remove these fields, or delete the object: it is made anew"
        ),
    )
    assert conditions["Ready"].status == "True"


def test_after_a_bad_edit_the_pool_is_not_ready_though_the_old_replicas_serve() -> None:
    assert told(build(TOO_LARGE)["Ready"]) == (
        "False",
        "DoesNotFit",
        f"{TOO_LARGE.message}. The replicas of the last good spec keep serving",
    )
    assert told(build(TOO_LARGE, observation=seen(variant(starting())))["Ready"]) == (
        "False",
        "DoesNotFit",
        TOO_LARGE.message,
    )


def test_what_can_not_be_applied_is_not_ready() -> None:
    ready = build(apply_error="quota")["Ready"]
    assert told(ready)[:2] == ("False", "ApplyFailed")
    assert ready.message.endswith("quota. The replicas of the last good spec keep serving")


def test_one_ready_replica_is_enough_also_in_a_rollout_or_with_trouble_elsewhere() -> None:
    trouble = Trouble(PodProblem.UNSCHEDULABLE, "no node")
    for observation in (
        seen(variant(pod("a"), rolling_out=True)),
        seen(variant(pod("a"), starting())),
        seen(variant(pod("a"), pod("b", SILENT, trouble=trouble))),
        seen(variant(pod("a", SILENT))),
    ):
        assert told(build(observation=observation)["Ready"]) == ("True", "Ready", "Requests are answered")


def test_without_a_ready_replica_the_reason_is_what_keeps_it() -> None:
    trouble = Trouble(PodProblem.IMAGE_UNAVAILABLE, "not found")
    stuck = build(observation=seen(variant(pod("a", SILENT, trouble=trouble))))["Ready"]
    assert told(stuck)[:2] == ("False", "ImageUnavailable")
    assert stuck.message.startswith("No replica takes requests. spec.engine.image: ")
    assert told(build(observation=seen(variant(starting())))["Ready"]) == (
        "False",
        "NotReady",
        (
            "No replica takes requests. main: 0 of at least 1 replicas are ready; "
            "what they wait for: kubectl describe pods --show-events -l mixserve.dev/pool=chat"
        ),
    )


UNSEEN = seen(variant(pod("a"), rolling_out=True, unseen=True))


def test_a_new_size_that_the_deployment_controller_has_not_seen_is_no_rollout() -> None:
    before = tuple(build().values())
    assert build(observation=UNSEEN, previous=before)["WorkloadReady"] == before[3]
    rolling = build(observation=seen(variant(pod("a"), rolling_out=True)), previous=before)["WorkloadReady"]
    assert told(rolling)[:2] == ("False", "Progressing")


def test_a_new_spec_that_the_deployment_controller_has_not_seen_is_not_ready() -> None:
    before = tuple(build().values())
    now = build(observation=UNSEEN, previous=before, generation=8)
    assert told(now["WorkloadReady"])[:2] == ("False", "Progressing")
    still = build(observation=UNSEEN, previous=tuple(now.values()), generation=8)
    assert still["WorkloadReady"] == now["WorkloadReady"]
    assert told(build(observation=UNSEEN)["WorkloadReady"])[:2] == ("False", "Progressing")
    crashed = tuple(one.model_copy(update={"reason": "EngineStartFailed"}) for one in before)
    assert told(build(observation=UNSEEN, previous=crashed)["WorkloadReady"])[:2] == ("False", "Progressing")


def test_a_change_that_the_deployment_controller_has_not_seen_hides_no_trouble() -> None:
    before = tuple(build().values())
    refused = build(observation=UNSEEN, previous=before, apply_error="forbidden")["WorkloadReady"]
    assert told(refused)[:2] == ("False", "ApplyFailed")


def test_a_pool_without_a_valid_spec_so_far() -> None:
    conditions = build(UNKNOWN_FORMAT, observation=None)
    assert told(conditions["Ready"])[:2] == ("False", "UnknownQuantizationFormat")
    assert {conditions[kind].status for kind in ("WorkloadReady", "MetricsFresh", "NoForeignChanges")} == {"Unknown"}
    assert told(build(observation=None)["Ready"])[:2] == ("Unknown", "NotChecked")


UNREAD = seen(variant(pod("a", Missing(MissingReason.NOT_SCRAPED))))
SILENT_POOL = seen(variant(pod("a", SILENT)))


@pytest.mark.parametrize("known", [SERVING, SILENT_POOL])
def test_a_restart_of_the_operator_is_no_news_about_metrics(known: PoolObservation) -> None:
    before = tuple(build(observation=known).values())
    after = build(observation=UNREAD, previous=before, now_s=NOW_S + 60)
    assert after[ConditionType.METRICS_FRESH] == build(observation=known)[ConditionType.METRICS_FRESH]


def test_metrics_that_were_never_read_are_unknown() -> None:
    without_pods = tuple(build(observation=seen(variant(starting()))).values())
    for previous in ((), without_pods):
        found = build(observation=UNREAD, previous=previous)[ConditionType.METRICS_FRESH]
        assert (found.status, found.reason) == ("Unknown", "NotChecked")
