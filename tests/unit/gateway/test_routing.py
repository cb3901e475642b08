"""What Envoy is told when it asks where a request goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import ClassifierType, FallbackReason
from mixserve.gateway.deciding import Question, Refusal, Verdict
from mixserve.gateway.routing import Router
from mixserve.route.complexity.llm import NoAnswer
from mixserve.route.complexity.score import Complexity
from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable, TargetEntry, TierEntry

if TYPE_CHECKING:
    from mixserve.route.request import Prompt


def pool(name: str, *endpoints: str, strategy: RoutingStrategy = RoutingStrategy.PREFIX_AWARE) -> PoolEntry:
    adapters = frozenset({"lora"}) if name == "small" else frozenset()
    return PoolEntry(
        name=name, served_names=(name, *adapters), adapters=adapters, strategy=strategy, endpoints=endpoints
    )


def tier(name: str, most: int, *pools: str) -> TierEntry:
    targets = tuple(TargetEntry(pool=each, priority=0, weight=1) for each in pools)
    return TierEntry(name=name, max_complexity=most, targets=targets)


TIERS = (tier("small", 2, "small"), tier("large", 5, "large", "spare"))
POOLS = (
    pool("small", "10.0.0.1:8000", "10.0.0.2:8000"),
    pool("large", "10.0.0.3:8000", strategy=RoutingStrategy.LEAST_LOAD),
    pool("spare", "10.0.0.4:8000"),
    pool("empty"),
)


class World:
    """A router whose classifiers know the score of some texts; of others it is 1. The asked pool says `answer`."""

    def __init__(
        self, *, scores: dict[str, int] | None = None, answer: Complexity | NoAnswer = NoAnswer.TIMED_OUT, **policy: Any
    ) -> None:
        self.used: list[str] = []
        self.asked: list[tuple[str, float]] = []
        self._scores = scores or {}
        self._answer = answer
        self.router = Router(
            classifiers={each: self._classifier(each) for each in (ClassifierType.HEURISTIC, ClassifierType.EMBEDDING)},
            ask=self._ask,
            draw=lambda: 0.0,
        )
        entry = PolicyEntry(**{"name": "auto", "served_names": ("auto",), "tiers": TIERS, **policy})
        self.router.know(RoutingTable(namespace="llm", pools=POOLS, policies=(entry,)))
        self.router.see(lambda _: Missing(MissingReason.NOT_SCRAPED), now_s=0.0)

    def _classifier(self, name: ClassifierType) -> Any:
        def judge(prompt: Prompt) -> Complexity:
            self.used.append(name.value)
            return Complexity(self._scores.get(prompt.text, 1), "told so")

        return judge

    async def _ask(self, pool: PoolEntry, _: Prompt, timeout_s: float) -> Complexity | NoAnswer:
        self.asked.append((pool.name, timeout_s))
        return self._answer

    async def decided(
        self, sent: bytes, *, policy: str = "auto", pool: str | None = None, **more: str
    ) -> Verdict | Refusal:
        question = Question(policy=None if pool else policy, pool=pool, body=sent, **more)
        found = self.router.decide(question)
        return found if isinstance(found, Verdict | Refusal) else await found

    async def verdict(self, sent: bytes, **more: Any) -> Verdict:
        found = await self.decided(sent, **more)
        assert isinstance(found, Verdict), found
        return found


def body(model: str = "auto", text: str | list[str] = "hi", **more: Any) -> bytes:
    texts = [text] if isinstance(text, str) else text
    messages = [{"role": "user", "content": each} for each in texts]
    return json.dumps({"model": model, "messages": messages, **more}).encode()


async def test_a_request_for_a_policy_goes_to_the_tier_for_its_complexity() -> None:
    found = await World(scores={"prove it": 4}).verdict(body(text="prove it"))
    assert found.chain == "auto/large/large"
    assert found.labels == {
        "policy": "auto",
        "tier": "large",
        "complexity": "4",
        "cause": "Complexity",
        "reason": "told so",
    }


async def test_a_pool_that_envoy_spreads_itself_gets_no_endpoints() -> None:
    world = World()
    assert (await world.verdict(body("large"), pool="large")).endpoints == ()
    assert (await world.verdict(body("empty"), pool="empty")).endpoints == ()
    found = await world.verdict(body("small"), pool="small")
    assert set(found.endpoints) == {"10.0.0.1:8000", "10.0.0.2:8000"}
    assert (found.chain, found.labels) == (None, None)


async def test_a_policy_that_this_process_has_not_heard_of_yet_is_to_be_tried_again() -> None:
    found = await World().decided(body("new"), policy="new")
    assert isinstance(found, Refusal)
    assert (found.status, found.retry_after_s) == (503, 1)


async def test_a_pool_that_this_process_has_not_heard_of_yet_is_left_to_envoy() -> None:
    assert await World().decided(body("new"), pool="new") == Verdict()


@pytest.mark.parametrize("sent", [b"{", b"[]", b'{"model": "auto"}', b'{"model": 3, "messages": []}'])
async def test_what_can_not_be_read_is_refused(sent: bytes) -> None:
    found = await World().decided(sent)
    assert isinstance(found, Refusal)
    assert (found.status, found.kind) == (400, "invalid_request_error")


async def test_a_field_that_can_not_be_read_is_named() -> None:
    found = await World().decided(b'{"model": "auto", "messages": [{"role": "user", "content": 5}]}')
    assert isinstance(found, Refusal)
    assert found.param == "messages[0].content"


async def test_a_request_may_choose_its_tier_and_pool() -> None:
    world = World()
    assert (await world.verdict(body(), tier="large")).chain == "auto/large/large"
    assert (await world.verdict(body(), wished_pool="spare")).chain == "auto/large/spare"


@pytest.mark.parametrize(
    ("wish", "what", "message"),
    [
        ({"tier": "huge"}, "tier", "The policy auto has no tier `huge`, only small, large."),
        ({"wished_pool": "empty" * 20}, "pool", f"has no pool `{('empty' * 20)[:63]}`, only small, large, spare."),
    ],
)
async def test_a_wish_that_can_not_be_met_is_refused(wish: dict[str, str], what: str, message: str) -> None:
    found = await World().decided(body(), **wish)
    assert isinstance(found, Refusal)
    assert (found.status, found.kind) == (400, "invalid_request_error")
    assert (found.code, found.param) == (f"unknown_{what}", f"x-mixserve-{what}")
    assert found.message.endswith(message)


async def test_where_wishes_are_not_followed_none_is_wrong() -> None:
    found = await World(may_override=False).verdict(body(), tier="huge")
    assert found.chain == "auto/small/small"


@pytest.mark.parametrize("classifier", ClassifierType)
async def test_what_is_no_text_is_not_taken_for_easy(classifier: ClassifierType) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    sent = json.dumps({"model": "auto", "messages": [{"role": "user", "content": ["Solve this", image]}]}).encode()
    world = World(classifier=classifier, classifier_pool="small", answer=Complexity(1, "the model's score"))
    found = await world.verdict(sent)
    assert found.labels is not None
    assert (found.labels["complexity"], found.labels["tier"]) == ("3", "large")
    assert found.labels["reason"].startswith("not all is text, so at least 3; text ")


async def test_only_streams_have_to_begin_in_time() -> None:
    world = World(first_byte_timeout_s=7.0)
    assert (await world.verdict(body(stream=True))).first_byte_timeout_s == 7.0
    assert (await world.verdict(body())).first_byte_timeout_s is None
    never = World(fallback_when=frozenset({FallbackReason.UNAVAILABLE}))
    assert (await never.verdict(body(stream=True))).first_byte_timeout_s is None


async def test_a_session_stays_with_its_first_question_and_its_endpoint() -> None:
    world = World(scores={"prove it": 4, "hi\nprove it": 4})
    assert (await world.verdict(body(text=["hi", "prove it"]))).chain == "auto/large/large"
    turns = [await world.verdict(body(text=["hi", *["prove it"] * turn]), session="s-1") for turn in range(4)]
    assert {each.chain for each in turns} == {"auto/small/small"}
    assert len({each.endpoints[0] for each in turns}) == 1


async def test_a_session_without_a_question_is_judged_as_it_is() -> None:
    sent = json.dumps({"model": "auto", "messages": [{"role": "system", "content": "prove it"}]}).encode()
    found = await World(scores={"prove it": 4}).verdict(sent, session="s-1")
    assert found.labels is not None
    assert found.labels["tier"] == "large"


async def test_sessions_are_spread_over_the_targets_of_a_tier() -> None:
    world = World(scores={"hi": 5})
    chains = {(await world.verdict(body(), session=f"s-{number}")).chain for number in range(50)}
    assert chains == {"auto/large/large", "auto/large/spare"}


async def test_a_pool_is_asked_where_the_policy_says_so() -> None:
    policy = {"classifier": ClassifierType.LLM, "classifier_pool": "small", "classifier_timeout_s": 0.25}
    world = World(answer=Complexity(5, "the model's score"), **policy)
    assert (await world.verdict(body())).chain == "auto/large/large"
    assert world.asked == [("small", 0.25)]


async def test_heuristic_decides_where_the_pool_does_not_answer() -> None:
    world = World(answer=NoAnswer.TIMED_OUT, classifier=ClassifierType.LLM, classifier_pool="small")
    found = await world.verdict(body())
    assert found.chain == "auto/small/small"
    assert found.labels is not None
    assert found.labels["reason"].startswith("TimedOut")
    assert world.used == ["Heuristic"]


@pytest.mark.parametrize("pool", ["gone", "empty"])
async def test_a_pool_that_can_not_be_asked_is_not_waited_for(pool: str) -> None:
    world = World(classifier=ClassifierType.LLM, classifier_pool=pool)
    assert (await world.verdict(body())).chain == "auto/small/small"
    assert world.asked == []


async def test_nobody_is_asked_about_a_request_that_chooses_itself() -> None:
    world = World(classifier=ClassifierType.LLM, classifier_pool="small")
    assert (await world.verdict(body(), tier="large")).chain == "auto/large/large"
    assert world.asked == []


async def test_the_embedding_is_used_where_the_policy_says_so() -> None:
    world = World(classifier=ClassifierType.EMBEDDING)
    await world.verdict(body())
    assert world.used == ["Embedding"]


async def test_load_moves_requests_away() -> None:
    world = World()
    busy = (await world.verdict(body("small"), pool="small")).endpoints[0]

    def sample(address: str) -> EngineSample:
        return EngineSample(
            scraped_at_s=1.0,
            running=100 if address == busy else 0,
            waiting=0,
            kv_cache_usage=0.5,
            speculation=Missing(MissingReason.METRIC_ABSENT),
        )

    world.router.see(sample, now_s=1.0)
    assert (await world.verdict(body("small"), pool="small")).endpoints[0] != busy


async def test_requests_for_an_adapter_stay_where_it_was_loaded() -> None:
    world = World()
    found = [(await world.verdict(body("lora"), pool="small")).endpoints[0] for _ in range(4)]
    assert len(set(found)) == 1


async def test_a_new_table_is_decided_by_at_once() -> None:
    world = World()
    world.router.know(RoutingTable(namespace="llm", pools=(pool("new", "10.0.0.9:8000"),)))
    world.router.see(lambda _: Missing(MissingReason.NOT_SCRAPED), now_s=0.0)
    assert isinstance(await world.decided(body()), Refusal)
    assert (await world.verdict(body("small"), pool="small")).endpoints == ()
    assert (await world.verdict(body("new"), pool="new")).endpoints == ("10.0.0.9:8000",)
