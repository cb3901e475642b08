from dataclasses import replace

from mixserve.api.names import ConditionType, Reason
from mixserve.api.observation import PodProblem, PoolObservation, Trouble
from mixserve.api.pool import Variant
from mixserve.status.verdict import Verdict
from mixserve.status.workload import judge_workload, ready_replicas
from support.pools import NOW_S, SILENT, bounds, pod, seen, starting, variant

UNSCHEDULABLE = Trouble(PodProblem.UNSCHEDULABLE, "no node")
WHERE = "what they wait for: kubectl describe pods --show-events -l mixserve.dev/pool=chat"
CRASHING = Trouble(PodProblem.CRASHING, "exit code 1")


def judge(
    observation: PoolObservation | None, *variants: Variant, apply_error: str | None = None
) -> tuple[str, Reason, str]:
    verdict = judge_workload(
        pool="chat",
        variants=variants or (bounds(1, 9),),
        observation=observation,
        apply_error=apply_error,
        advise=lambda _: None,
    )
    assert verdict == Verdict(ConditionType.WORKLOAD_READY, verdict.status, verdict.reason, verdict.message)
    return verdict.status, verdict.reason, verdict.message


def test_all_replicas_ready() -> None:
    assert judge(seen(variant(pod("a"), pod("b")))) == ("True", Reason.ALL_REPLICAS_READY, "All replicas are ready")


def test_replicas_above_the_minimum_may_start() -> None:
    expected = ("True", Reason.PROGRESSING, "More replicas of main are starting")
    assert judge(seen(variant(pod("a"), starting()))) == expected
    assert judge(seen(variant(pod("a"), replicas=2))) == expected


def test_replicas_of_the_minimum_have_to_be_ready() -> None:
    assert judge(seen(variant(pod("a"), starting())), bounds(2, 9)) == (
        "False",
        Reason.PROGRESSING,
        f"main: 1 of at least 2 replicas are ready; {WHERE}",
    )


def test_a_rollout_is_progress() -> None:
    assert judge(seen(variant(pod("a"), rolling_out=True)))[:2] == ("False", Reason.PROGRESSING)


def test_each_variant_that_lacks_something_is_named() -> None:
    observation = seen(variant(replicas=None, name="a"), variant(starting(), name="b"), variant(name="c"))
    specs = (bounds(name="a"), bounds(name="b"), bounds(0, name="c"))
    assert judge(observation, *specs)[2] == (
        f"a: its Deployment is being created; b: 0 of at least 1 replicas are ready; {WHERE}"
    )


def test_trouble_of_any_replica_counts_also_above_the_minimum() -> None:
    status, reason, message = judge(seen(variant(pod("a"), pod("b", SILENT, trouble=UNSCHEDULABLE))))
    assert (status, reason) == ("False", Reason.UNSCHEDULABLE)
    assert message.startswith("spec.variants[0]: no node takes a replica of main")


def test_pods_that_kubernetes_does_not_make_are_trouble() -> None:
    refused = 'pods "chat-main-5d4f8c7c9b-x7k2p" is forbidden: exceeded quota: team, requested: pods=1'
    status, reason, message = judge(seen(replace(variant(pod("a"), replicas=2), refused=refused)))
    assert (status, reason) == ("False", Reason.PODS_REFUSED)
    assert message.startswith(
        "spec.variants[0]: Kubernetes makes no pods for main: exceeded quota: team, requested: pods=1; change what"
    )


def test_of_several_troubles_each_is_told_once_and_the_one_that_an_edit_helps_gives_the_reason() -> None:
    pods = [pod(f"u{i}", SILENT, trouble=UNSCHEDULABLE) for i in range(3)]
    status, reason, message = judge(seen(variant(*pods, pod("c", SILENT, trouble=CRASHING))))
    assert (status, reason) == ("False", Reason.ENGINE_START_FAILED)
    assert message.count("no node takes") == 1
    assert message.index("does not start") < message.index("no node takes")


def test_pods_that_go_anyway_are_not_waited_for() -> None:
    observation = seen(
        variant(
            pod("a"),
            pod("b", SILENT, draining_since_s=NOW_S, trouble=CRASHING),
            pod("c", terminating=True),
            replicas=2,
        )
    )
    assert judge(observation)[1] is Reason.ALL_REPLICAS_READY


def test_what_could_not_be_applied_comes_first() -> None:
    assert judge(seen(variant(pod("a"))), apply_error="Deployment chat-main: forbidden") == (
        "False",
        Reason.APPLY_FAILED,
        "The objects could not be applied: Deployment chat-main: forbidden",
    )


def test_without_a_valid_spec_there_is_nothing_to_compare_with() -> None:
    assert judge(None)[:2] == ("Unknown", Reason.NOT_CHECKED)


def test_a_replica_counts_as_ready_while_it_takes_requests() -> None:
    assert ready_replicas(variant(pod("a"), pod("b", draining_since_s=NOW_S), starting())) == 1
