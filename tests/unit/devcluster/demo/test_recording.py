import dataclasses

import pytest

from mixserve_devcluster.demo.client import Result
from mixserve_devcluster.demo.recording import Recording, failures, percentile, summarise
from support.demo_samples import QUIET


def recording(*replicas: int, results: tuple[Result, ...] = ()) -> Recording:
    record = Recording(engine="simulated", workload="test")
    for at_s, count in enumerate(replicas):
        record.add(dataclasses.replace(QUIET, at_s=100.0 * at_s, replicas=count))
    record.results.extend(results)
    return record


GOOD = Result(sent_at_s=1.0, ttft_s=0.5, duration_s=2.0, answer_tokens=10, pod="a")
BAD = Result(sent_at_s=2.0, ttft_s=None, duration_s=0.0, answer_tokens=0, pod="a", error="the stream was cut short")


@pytest.mark.parametrize(("share", "value"), [(0.5, 5), (0.95, 10), (0.1, 1), (1.0, 10)])
def test_percentiles_are_the_nearest_rank(share, value):
    assert percentile(list(range(10, 0, -1)), share) == value


def test_nothing_has_no_percentile():
    assert percentile([], 0.95) is None


def test_a_summary_adds_replica_hours_up_against_the_peak():
    summary = summarise(recording(1, 3, 1, 1, results=(GOOD,)))
    assert (summary.smallest, summary.peak, summary.last) == (1, 3, 1)
    assert summary.replica_hours == pytest.approx((1 + 3 + 1) * 100 / 3600)
    assert summary.peak_replica_hours == pytest.approx(3 * 300 / 3600)
    assert summary.saved_percent == pytest.approx(100 * (1 - 5 / 9))


def test_an_empty_recording_has_a_summary_too():
    summary = summarise(Recording(engine="simulated", workload="test"))
    assert summary.requests == 0
    assert summary.saved_percent == 0.0
    assert summary.ttft_median_s is None


def test_a_run_that_grows_and_shrinks_without_failures_has_shown_everything():
    assert failures(summarise(recording(1, 3, 1, results=(GOOD,)))) == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (recording(1, 3, 1), "no request was sent"),
        (recording(1, 1, 1, results=(GOOD,)), "the pool did not scale up: it stayed at 1"),
        (recording(1, 3, 2, results=(GOOD,)), "the pool did not scale down again: it ended at 2"),
        (recording(1, 3, 1, results=(GOOD, BAD)), "1 of 2 requests failed: the stream was cut short"),
    ],
)
def test_a_run_that_did_not_show_it_says_why(record, reason):
    assert failures(summarise(record)) == [reason]


def test_a_decision_is_kept_once_at_the_time_when_it_appeared():
    record = Recording(engine="simulated", workload="test")
    for at_s, decision in enumerate(["", "up", "up", "down"]):
        record.add(dataclasses.replace(QUIET, at_s=float(at_s), decision=decision))
    assert [(item.at_s, item.message) for item in record.decisions] == [(1.0, "up"), (3.0, "down")]
