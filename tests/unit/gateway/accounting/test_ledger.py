from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mixserve.api.pool import RoutingStrategy
from mixserve.gateway.accounting.exposition import LedgerCollector
from mixserve.gateway.accounting.ledger import Ledger
from mixserve.gateway.accounting.totals import Totals
from mixserve.route.table import PolicyEntry, PoolEntry, Prices, RoutingTable, TargetEntry, TierEntry


def prices(prompt: str, completion: str) -> Prices:
    return Prices(prompt=Decimal(prompt), cached_prompt=Decimal("0.01"), completion=Decimal(completion))


def pool(name: str, priced: Prices | None) -> PoolEntry:
    return PoolEntry(name=name, served_names=(name,), strategy=RoutingStrategy.LEAST_LOAD, endpoints=(), prices=priced)


def tier(name: str, most: int, target: str) -> TierEntry:
    return TierEntry(name=name, max_complexity=most, targets=(TargetEntry(pool=target, priority=0, weight=1),))


TABLE = RoutingTable(
    namespace="llm",
    pools=(pool("small", prices("0.1", "0.4")), pool("large", prices("1", "4")), pool("free", None)),
    policies=(
        PolicyEntry(name="auto", served_names=("auto",), tiers=(tier("small", 2, "small"), tier("large", 5, "large"))),
    ),
)


def ledger(*records: dict[str, Any]) -> Ledger:
    made = Ledger(Totals())
    made.know(TABLE)
    made.take(line(record) for record in records)
    return made


def line(record: dict[str, Any]) -> bytes:
    """A line of the log: what was found out stands in an object of its own, and the usage in there is JSON again."""
    seen = {name: record.pop(name) for name in ("policy", "tier", "cause", "complexity", "state") if name in record}
    if "usage" in record:
        usage = record.pop("usage")
        seen["usage"] = usage if isinstance(usage, str) else json.dumps(usage)
    return json.dumps({**record, "seen": seen or None}).encode()


def shown(made: Ledger) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(made))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        f"{sample.name.removeprefix('mixserve_gateway_')}{sorted(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
        if sample.value
    }


DECIDED = {"policy": "auto", "tier": "small", "pool": "small", "cause": "Complexity", "complexity": "2"}
USAGE = {"usage": {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 400}}}


def test_tokens_and_money_are_counted_where_they_fell_due() -> None:
    metrics = shown(ledger({"status": 200, **DECIDED, **USAGE}, {"status": 200, "pool": "large", **USAGE}))
    assert metrics["requests_total['200', 'auto', 'small', 'small']"] == 1
    assert metrics["tokens_total['auto', 'prompt', 'small', 'small']"] == 600
    assert metrics["tokens_total['auto', 'cached', 'small', 'small']"] == 400
    assert metrics["tokens_total['auto', 'completion', 'small', 'small']"] == 50
    assert metrics["cost_usd_total['auto', 'small', 'small']"] == (600 * 0.1 + 400 * 0.01 + 50 * 0.4) / 1e6
    assert metrics["dearest_cost_usd_total['auto', 'small', 'small']"] == (600 * 1 + 400 * 0.01 + 50 * 4) / 1e6
    assert metrics["cost_usd_total['', '', 'large']"] == metrics["dearest_cost_usd_total['', '', 'large']"]
    assert metrics["decisions_total['2', 'Complexity', 'auto', 'small']"] == 1


def test_a_pool_without_prices_costs_nothing() -> None:
    metrics = shown(ledger({"status": 200, "pool": "free", **USAGE}))
    assert "cost_usd_total['', '', 'free']" not in metrics


def test_where_the_price_is_not_known_nothing_is_saved() -> None:
    metrics = shown(ledger({"status": 200, **DECIDED, "pool": "free", **USAGE}))
    assert not [name for name in metrics if "cost_usd" in name]


def test_answers_within_which_the_engine_failed_are_counted() -> None:
    metrics = shown(
        ledger(
            {"status": 200, "pool": "large", "state": "broken_off", "flags": "-"},
            {"status": 200, "pool": "large", "flags": "UPE"},
            {"status": 200, "pool": "large", "flags": "DC"},
            {"status": 503, "pool": "large", "flags": "UC"},
            {"status": 200, "pool": "large"},
        )
    )
    assert metrics["broken_answers_total['', '', 'large']"] == 2


def test_an_answer_without_usage_is_told_of_and_a_refusal_needs_none() -> None:
    metrics = shown(
        ledger({"status": 200, "pool": "large"}, {"status": 200}, {"status": 404}, {"status": 0, "pool": "large"})
    )
    assert metrics["requests_without_usage_total['', '', 'large']"] == 1
    assert metrics["requests_total['', '', '', '404']"] == 1
    assert "requests_without_usage_total['', '', '']" not in metrics


@pytest.mark.parametrize(
    "usage",
    [
        '{"prompt_tokens": "many"}',
        "{",
        '{"completion_tokens": 3}',
        '{"prompt_tokens": 3, "completion_tokens": -1}',
        '{"prompt_tokens": 1000000001}',
        '{"x":' * 2000 + "1" + "}" * 2000,
    ],
    ids=["text", "broken", "only the answer's", "negative", "too many", "nested"],
)
def test_usage_that_can_not_be_read_is_as_none(usage: str) -> None:
    metrics = shown(ledger({"status": 200, "pool": "large", "usage": usage}))
    assert metrics["requests_without_usage_total['', '', 'large']"] == 1


def test_an_engine_that_says_nothing_of_its_cache_has_used_none() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": None}
    metrics = shown(ledger({"status": 200, "pool": "large", "usage": usage}))
    assert metrics["tokens_total['', '', 'large', 'prompt']"] == 10


def test_times_fall_into_buckets_and_only_streams_have_a_first_token() -> None:
    made = ledger(
        {"status": 200, "pool": "large", "duration_ms": 100, "first_byte_us": 90000, **USAGE},
        {
            "status": 200,
            "pool": "large",
            "duration_ms": 700000,
            "first_byte_us": 26000,
            "content_type": "text/event-stream; charset=utf-8",
            **USAGE,
        },
    )
    metrics = shown(made)
    assert metrics["duration_seconds_count['', '', 'large']"] == 2
    assert metrics["duration_seconds_bucket['', '', '0.1', 'large']"] == 1
    assert metrics["duration_seconds_bucket['', '', '+Inf', 'large']"] == 2
    assert metrics["duration_seconds_bucket['', '', '600.0', 'large']"] == 1
    assert metrics["time_to_first_token_seconds_count['', '', 'large']"] == 1
    assert metrics["time_to_first_token_seconds_bucket['', '', '0.05', 'large']"] == 1
    assert metrics["duration_seconds_sum['', '', 'large']"] == 700.1


def test_tries_beyond_the_first_are_retries() -> None:
    metrics = shown(ledger({"status": 200, "pool": "large", "attempts": 3}, {"status": 200, "pool": "large"}))
    assert metrics["retries_total['', '', 'large']"] == 2


def test_sums_survive_being_kept() -> None:
    made = ledger({"status": 200, **DECIDED, **USAGE})
    again = Ledger(made.totals(inode=7, offset=9))
    assert shown(again) == shown(made)
    again.know(TABLE)
    again.take([line({"status": 200, **DECIDED, **USAGE})])
    assert shown(again)["tokens_total['auto', 'completion', 'small', 'small']"] == 100
