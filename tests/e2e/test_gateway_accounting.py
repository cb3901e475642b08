"""What a gateway accounts is what its engines counted, whatever its clients ask and however often its process dies."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support.engine_counters import engine_url, total
from support.gateway_processes import kill, python_of
from support.gateway_scenes import engines, gateway_cluster, gateway_pods, small_pool, web_url
from support.gateways import client_of, gateway_urls, wait_for_policy
from support.mixed_load import Told, mixed_load
from support.policies import policy_manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.pool_sandbox import PoolSandbox

# Some two minutes on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

REQUESTS = 10_000
# When so many were answered, the process beside Envoy dies in one of the pods, in turn.
KILLS_AT = (1500, 3000, 4500, 6000)
PRICES = {
    "small": {"prompt": "0.10", "cachedPrompt": "0.02", "completion": "0.40"},
    "large": {"prompt": "1.10", "cachedPrompt": "0.30", "completion": "4.30"},
    "plain": {"prompt": "0.50", "completion": "1.50"},
    "vectors": {"prompt": "0.03", "completion": "0"},
}
REPLICAS = {"small": 2, "large": 1, "plain": 2, "vectors": 1}
KINDS = ("prompt", "cached", "completion")
LEFT = 20


@dataclass(frozen=True, kw_only=True)
class Story:
    """What came of the requests.

    Attributes:
        told: what clients were told.
        counted: tokens by engines, by pool and kind; "prompt" without those from caches.
        restarts: how often the gateway's process was killed.
    """

    sandbox: PoolSandbox
    told: Told
    counted: Mapping[tuple[str, str], float]
    restarts: int

    def accounted(self, name: str, **labels: str) -> float:
        """A sum of the gateway's pods."""
        return accounted(self.sandbox, name, **labels)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolSandbox]:
    with gateway_cluster("accounting", tmp_path_factory.mktemp("state"), time_scale=0.05) as made:
        pools = [
            small_pool("small", replicas=REPLICAS["small"], prices=PRICES["small"]),
            small_pool("large", replicas=REPLICAS["large"], prices=PRICES["large"]),
            small_pool("plain", replicas=REPLICAS["plain"], prices=PRICES["plain"], routing={"strategy": "LeastLoad"}),
            small_pool("vectors", replicas=REPLICAS["vectors"], prices=PRICES["vectors"], task="Embed"),
        ]
        made.apply([*pools, policy_manifest()])
        wait_for_policy(made, "auto")
        for pool, replicas in REPLICAS.items():
            engines(made, pool, replicas=replicas)
        yield made


@pytest.fixture(scope="module")
def story(sandbox: PoolSandbox) -> Story:
    pods = gateway_pods(sandbox)
    for url in gateway_urls(sandbox):
        eventually(lambda url=url: len(list(client_of(url).models.list())) == 5, "all models", 60.0)
    before, ahead = counted(sandbox), list(KILLS_AT)

    def progress(told: Told) -> None:
        pod = pods[len(ahead) % 2]
        if ahead and told.complete >= ahead[0] and (process := python_of(pod)) is not None:
            ahead.pop(0)
            kill(process)

    told = asyncio.run(mixed_load(gateway_urls(sandbox), REQUESTS, progress=progress))
    requests = sum(told.statuses.values())
    eventually(lambda: of_engines_or_refused(sandbox) >= requests, f"{requests} accounted requests", 120.0)
    # Engines ask themselves for a token before they are Ready.
    counts = {kind: count - before[kind] for kind, count in counted(sandbox).items()}
    return Story(sandbox=sandbox, told=told, counted=counts, restarts=len(KILLS_AT) - len(ahead))


def accounted(sandbox: PoolSandbox, name: str, **labels: str) -> float:
    """A sum of the gateway's pods."""
    found = 0.0
    for pod in gateway_pods(sandbox):
        process = eventually(lambda pod=pod: python_of(pod), f"process in {pod['metadata']['name']}", 120.0)
        assert process
        found += total(web_url(pod), f"mixserve_gateway_{name}", **labels)
    return found


def of_engines_or_refused(sandbox: PoolSandbox) -> float:
    """Accounted requests without those for the list of models."""
    answered = sum(accounted(sandbox, "requests_total", pool=pool) for pool in REPLICAS)
    return answered + accounted(sandbox, "requests_total", pool="", code="503")


def counted(sandbox: PoolSandbox) -> dict[tuple[str, str], float]:
    sums = {}
    for pool, replicas in REPLICAS.items():
        urls = [engine_url(pod) for pod in engines(sandbox, pool, replicas=replicas)]
        cached = sum(total(url, "vllm:prompt_tokens_cached_total") for url in urls)
        sums[pool, "cached"] = cached
        sums[pool, "prompt"] = sum(total(url, "vllm:prompt_tokens_total") for url in urls) - cached
        sums[pool, "completion"] = sum(total(url, "vllm:generation_tokens_total") for url in urls)
    return sums


def test_every_request_was_answered_and_only_those_that_need_a_decision_had_to_be_asked_again(story: Story) -> None:
    assert (story.told.complete, story.restarts) == (REQUESTS, len(KILLS_AT))
    assert set(story.told.refused) == {"auto"}


def test_each_request_is_counted_once(story: Story) -> None:
    assert of_engines_or_refused(story.sandbox) == sum(story.told.statuses.values())
    assert story.accounted("requests_total", code="503") == story.told.statuses[503]
    assert story.accounted("unreadable_log_lines_total") == 0


@pytest.mark.parametrize("pool", REPLICAS)
def test_each_request_is_counted_where_it_was_answered(story: Story, pool: str) -> None:
    assert story.accounted("requests_total", pool=pool) == story.told.answered[pool]
    assert story.accounted("requests_without_usage_total", pool=pool) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool", ["small", "large", "plain"])
def test_tokens_are_those_that_engines_counted(story: Story, pool: str, kind: str) -> None:
    assert story.accounted("tokens_total", pool=pool, kind=kind) == story.counted[pool, kind] > 0


def test_so_are_those_of_embeddings_whose_engine_does_not_tell_clients_what_it_had_cached(story: Story) -> None:
    accounted = [story.accounted("tokens_total", pool="vectors", kind=kind) for kind in KINDS]
    assert accounted == [story.counted["vectors", "prompt"] + story.counted["vectors", "cached"], 0, 0]


@pytest.mark.parametrize("pool", REPLICAS)
def test_tokens_are_those_that_clients_were_told_of(story: Story, pool: str) -> None:
    tokens = {kind: story.accounted("tokens_total", pool=pool, kind=kind) for kind in KINDS}
    assert tokens["prompt"] + tokens["cached"] == story.told.prompt[pool]
    assert tokens["completion"] == story.told.completion[pool]


@pytest.mark.parametrize("pool", REPLICAS)
def test_cost_follows_from_tokens_and_prices(story: Story, pool: str) -> None:
    tokens = {kind: int(story.accounted("tokens_total", pool=pool, kind=kind)) for kind in KINDS}
    assert story.accounted("cost_usd_total", pool=pool) == pytest.approx(float(cost(pool, tokens)), rel=1e-9)


def test_the_dearest_cost_is_what_the_largest_tier_would_have_taken(story: Story) -> None:
    tokens = {kind: int(story.accounted("tokens_total", policy="auto", pool="small", kind=kind)) for kind in KINDS}
    dearest = story.accounted("dearest_cost_usd_total", policy="auto", pool="small")
    assert dearest == pytest.approx(float(cost("large", tokens)), rel=1e-9)
    assert dearest > story.accounted("cost_usd_total", policy="auto", pool="small") > 0


def cost(pool: str, tokens: Mapping[str, int]) -> Decimal:
    prices = PRICES[pool]
    names = {"prompt": "prompt", "cached": "cachedPrompt", "completion": "completion"}
    return sum((tokens[kind] * Decimal(prices.get(names[kind], "0")) for kind in KINDS), Decimal(0)) / 10**6


def test_of_streams_that_were_left_the_tokens_seen_until_then_are_accounted(story: Story) -> None:
    sandbox = story.sandbox
    tokens = accounted(sandbox, "tokens_total", policy="auto", kind="completion")
    requests = accounted(sandbox, "requests_total", policy="auto")
    made = made_by_policy(sandbox)
    seen = sum(tokens_until_left(url, 1 + number) for number in range(LEFT // 2) for url in gateway_urls(sandbox))
    eventually(
        lambda: accounted(sandbox, "requests_total", policy="auto") == requests + LEFT, f"{LEFT} accounted", 60.0
    )
    more = accounted(sandbox, "tokens_total", policy="auto", kind="completion") - tokens
    # What was on its way to the client counts as well, what the engine made after it left does not.
    assert seen <= more <= made_by_policy(sandbox) - made
    assert [entry for entry in left(sandbox) if entry["completion_tokens"] is None] == []
    assert sum(entry["completion_tokens"] for entry in left(sandbox)) == more


def made_by_policy(sandbox: PoolSandbox) -> float:
    """Tokens that the engines of the policy's pools have made."""
    return sum(counted(sandbox)[pool, "completion"] for pool in ("small", "large"))


def tokens_until_left(url: str, chunks: int) -> int:
    """The tokens of an endless stream of which so many chunks were read."""
    asked: Any = {"model": "auto", "messages": [{"role": "user", "content": f"Go on {chunks}"}], "stream": True}
    with client_of(url).chat.completions.create(**asked, max_tokens=8000, extra_body={"ignore_eos": True}) as stream:
        [*_, last] = [chunk for chunk, _ in zip(stream, range(1 + chunks), strict=False)]
    assert last.usage is not None
    return int(last.usage.completion_tokens)


def left(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    """The lines of the access logs about requests that their clients left."""
    logs = [
        sandbox.cluster.paths.container_logs / f"{sandbox.namespace}_{pod['metadata']['name']}" / "envoy.log"
        for pod in gateway_pods(sandbox)
    ]
    lines = [line for log in logs for line in log.read_text().splitlines() if '"flags":"DC"' in line]
    return [json.loads(line) for line in lines]
