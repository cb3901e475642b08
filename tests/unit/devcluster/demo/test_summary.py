from dataclasses import replace
from decimal import Decimal

import pytest

from mixserve_devcluster.demo.client import Result
from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.spending import Spending
from mixserve_devcluster.demo.summary import failures, summarise, summary_rows
from support.demo_samples import QUIET_POOL, sample_of

GOOD = Result(sent_at_s=1.0, ttft_s=0.5, duration_s=2.0, answer_tokens=10, pod="a")
BAD = Result(sent_at_s=2.0, ttft_s=None, duration_s=0.0, answer_tokens=0, pod="a", error="the stream was cut short")
CHEAP = Spending(3, 3000, 300, cost_usd=Decimal("0.001"), dearest_cost_usd=Decimal("0.006"))
DEAR = Spending(1, 1000, 100, cost_usd=Decimal("0.002"), dearest_cost_usd=Decimal("0.002"))
NOBODY = Spending()
PREDICTED = {"promptPerMillion": "0.05", "completionPerMillion": "0.40", "source": "Predicted"}


def recording(*replicas: int, results: tuple[Result, ...] = (), **spending: Spending) -> Recording:
    """One in which `small` has these sizes and `large` always the same."""
    record = Recording(engine="simulated", workload="test", spending=spending)
    for at_s, count in enumerate(replicas):
        record.add(sample_of(100.0 * at_s, small=replace(QUIET_POOL, replicas=count), large=QUIET_POOL))
    record.results.extend(results)
    return record


def test_a_summary_adds_replica_hours_up_against_the_peak():
    sizes = summarise(recording(1, 3, 1, 1, results=(GOOD,))).pools
    small = sizes["small"]
    assert (small.smallest, small.peak, small.last) == (1, 3, 1)
    assert small.replica_hours == pytest.approx((1 + 3 + 1) * 100 / 3600)
    assert small.peak_replica_hours == pytest.approx(3 * 300 / 3600)
    assert not sizes["large"].grew


def test_an_empty_recording_has_a_summary_too():
    summary = summarise(Recording(engine="simulated", workload="test"))
    assert (summary.requests, summary.pools, summary.ttft_median_s) == (0, {}, None)
    assert failures(summary) == ["no request was sent", "no pool scaled up: none was seen"]
    assert dict(summary_rows(summary))["Requests"] == "0, 0 failed"


def test_the_saving_is_against_the_last_tier():
    rows = dict(summary_rows(summarise(recording(1, 2, 1, results=(GOOD,) * 4, small=CHEAP, large=DEAR))))
    assert rows["Tier small"] == "75% of the requests, 3,000 + 300 tokens of prompts + answers, 0.0010 USD"
    assert rows["Cost"] == "0.0030 USD; always large: 0.0080 USD; saved 62 %"
    assert rows["Replicas"] == "small 1 to 2, 1 at the end; large 1"


@pytest.mark.parametrize(("source", "said"), [("Predicted", True), ("Given", False)])
def test_prices_are_said_and_that_they_are_predicted(source, said):
    record = recording(1, 2, 1, results=(GOOD,), small=CHEAP)
    record.prices.update(small={**PREDICTED, "source": source}, large={})
    rows = dict(summary_rows(summarise(record)))
    assert rows["Prices"].endswith("prompts + answers: small 0.050 + 0.400, large not known")
    assert ("predicted" in rows.get("", "")) is said


def test_without_a_gateway_there_is_nothing_about_costs():
    assert not {"Cost", "Prices"} & {name for name, _ in summary_rows(summarise(recording(1, 2, 1)))}


@pytest.mark.parametrize("spending", [{}, {"small": CHEAP, "large": DEAR}])
def test_a_run_that_grows_and_shrinks_without_failures_has_shown_everything(spending):
    assert failures(summarise(recording(1, 3, 1, results=(GOOD,) * 4, **spending))) == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (recording(1, 3, 1), "no request was sent"),
        (recording(1, 1, 1, results=(GOOD,)), "no pool scaled up: small stayed at 1, large stayed at 1"),
        (recording(1, 3, 2, results=(GOOD,)), "small did not scale down again: it ended at 2"),
        (recording(1, 3, 1, results=(GOOD, BAD)), "1 of 2 requests failed: the stream was cut short"),
        (recording(1, 3, 1, results=(GOOD,) * 3, a=CHEAP, b=NOBODY), "tier b got no request"),
        (recording(1, 3, 1, results=(GOOD,) * 4, a=CHEAP), "the gateways counted 3 of 4 requests"),
        (recording(1, 3, 1, results=(GOOD,), a=DEAR), "nothing was saved against the largest tier"),
        (recording(1, 3, 1, results=(GOOD,), a=Spending(1)), "nothing was saved against the largest tier"),
    ],
)
def test_a_run_that_did_not_show_it_says_why(record, reason):
    assert failures(summarise(record)) == [reason]
