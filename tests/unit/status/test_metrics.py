from mixserve.api.names import Reason
from mixserve.api.observation import Missing, MissingReason, PodObservation
from mixserve.status.metrics import judge_metrics
from support.pools import NOW_S, SILENT, pod, sample, seen, starting, variant

UNREAD = Missing(MissingReason.NOT_SCRAPED)


def judge(*pods: PodObservation) -> tuple[str, Reason]:
    verdict = judge_metrics(seen(variant(*pods)))
    return verdict.status, verdict.reason


def test_fresh_metrics_of_all_ready_replicas() -> None:
    assert judge(pod("a"), starting(), pod("c", SILENT, terminating=True)) == ("True", Reason.FRESH)


def test_missing_and_old_metrics_are_told_with_their_reasons() -> None:
    verdict = judge_metrics(seen(variant(pod("a"), pod("b", SILENT), pod("c", sample(at_s=NOW_S - 60)))))
    assert (verdict.status, verdict.reason) == ("False", Reason.STALE)
    assert verdict.message == (
        "Ready replicas without fresh metrics count as full when the pool could shrink: some do not answer in time "
        "(Timeout): see whether nodes or network are overloaded; some were not read lately (Stale): see "
        "whether the operator has enough CPU"
    )


def test_without_ready_replicas_there_is_nothing_to_read() -> None:
    assert judge(starting()) == ("Unknown", Reason.NO_PODS)


def test_a_replica_that_was_not_asked_yet_is_no_complaint() -> None:
    assert judge(pod("a", UNREAD)) == ("Unknown", Reason.NOT_CHECKED)
    assert judge(pod("a"), pod("b", UNREAD)) == ("True", Reason.FRESH)
    assert judge(pod("a", SILENT), pod("b", UNREAD)) == ("False", Reason.STALE)


def test_without_a_valid_spec_nothing_is_read() -> None:
    assert judge_metrics(None).reason is Reason.NOT_CHECKED
