"""What Envoy is told when it asks where a request goes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import ClassifierType, FallbackReason
from mixserve.gateway.routing import Question, Refusal, RequestHeaders, Route, Router
from mixserve.route.decision import Cause
from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable, TargetEntry, TierEntry

if TYPE_CHECKING:
    from mixserve.route.request import Prompt


class Complexity(NamedTuple):
    score: int
    reason: str = "told so"


def pool(name: str, *endpoints: str, strategy: RoutingStrategy = RoutingStrategy.PREFIX_AWARE) -> PoolEntry:
    return PoolEntry(name=name, served_names=(name,), strategy=strategy, endpoints=endpoints)


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


def made(*, scores: dict[str, int] | None = None, draw: float = 0.0, **policy: Any) -> Router:
    """A router whose classifier knows the score of some texts; of others it is 1."""

    def classify(classifier: ClassifierType, prompt: Prompt) -> Any:
        asked.append(classifier)
        return Complexity((scores or {}).get(prompt.text, 1))

    asked: list[ClassifierType] = []
    router = Router(classify=classify, draw=lambda: draw)
    router.asked = asked  # type: ignore[attr-defined]
    entry = PolicyEntry(**{"name": "auto", "served_names": ("auto",), "tiers": TIERS, **policy})
    router.know(RoutingTable(namespace="llm", pools=POOLS, policies=(entry,)))
    router.see(lambda _: Missing(MissingReason.NOT_SCRAPED), now_s=0.0)
    return router


def body(model: str = "auto", text: str | list[str] = "hi", **more: Any) -> bytes:
    texts = [text] if isinstance(text, str) else text
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": each} for each in texts], **more}
    ).encode()


def routed(router: Router, sent: bytes, **headers: str) -> Route:
    found = router.route(sent, RequestHeaders(**headers))
    assert isinstance(found, Route), found
    return found


def test_a_request_for_a_policy_goes_to_the_tier_for_its_complexity() -> None:
    found = routed(made(scores={"prove it": 4}), body(text="prove it"))
    assert found.decision is not None
    assert (found.policy, found.decision.tier, found.pool) == ("auto", "large", "large")
    assert found.complexity is not None
    assert found.complexity.score == 4


def test_a_pool_that_envoy_spreads_itself_gets_no_pick() -> None:
    router = made()
    assert routed(router, body("large")).pick is None
    found = routed(router, body("small"))
    assert found.pick is not None
    assert set(found.pick.addresses) == {"10.0.0.1:8000", "10.0.0.2:8000"}
    assert found.policy is None
    assert routed(router, body("empty")).pick is None


def test_what_nobody_serves_does_not_exist() -> None:
    found = made().route(body("gpt-5"), RequestHeaders())
    assert isinstance(found, Refusal)
    assert (found.status, found.code, found.param) == (HTTPStatus.NOT_FOUND, "model_not_found", "model")


@pytest.mark.parametrize("sent", [b"{", b"[]", b'{"model": "auto"}', b'{"model": 3, "messages": []}'])
def test_what_can_not_be_read_is_refused(sent: bytes) -> None:
    found = made().route(sent, RequestHeaders())
    assert isinstance(found, Refusal)
    assert found.status == HTTPStatus.BAD_REQUEST


def test_a_request_may_choose_its_tier_and_pool() -> None:
    router = made()
    by_tier = routed(router, body(), tier="large").decision
    by_pool = routed(router, body(), pool="spare").decision
    assert by_tier is not None
    assert by_pool is not None
    assert (by_tier.cause, by_pool.cause, by_pool.pool) == (Cause.TIER_OVERRIDE, Cause.POOL_OVERRIDE, "spare")


def test_only_streams_have_to_begin_in_time() -> None:
    router = made(first_byte_timeout_s=7.0)
    assert routed(router, body(stream=True)).first_byte_timeout_s == 7.0
    assert routed(router, body()).first_byte_timeout_s is None
    never = made(fallback_when=frozenset({FallbackReason.UNAVAILABLE}))
    assert routed(never, body(stream=True)).first_byte_timeout_s is None


def test_a_session_stays_with_its_first_question_and_its_endpoint() -> None:
    router = made(scores={"prove it": 4, "hi\nprove it": 4})
    assert routed(router, body(text=["hi", "prove it"])).pool == "large"
    found = [routed(router, body(text=["hi", *["prove it"] * turn]), session="s-1") for turn in range(4)]
    assert {each.pool for each in found} == {"small"}
    assert len({each.pick.addresses[0] for each in found if each.pick}) == 1


def test_sessions_are_spread_over_the_targets_of_a_tier() -> None:
    router = made(scores={"hi": 5})
    found = {routed(router, body(), session=f"s-{number}").pool for number in range(50)}
    assert found == {"large", "spare"}


def test_a_pool_is_asked_where_the_policy_says_so_and_heuristic_decides_where_it_does_not_answer() -> None:
    router = made(classifier=ClassifierType.LLM, classifier_pool="small", classifier_timeout_s=0.25)
    question = router.route(body(), RequestHeaders())
    assert isinstance(question, Question)
    assert (question.pool, question.timeout_s) == ("small", 0.25)
    assert router.answered(question, Complexity(5)).pool == "large"  # type: ignore[arg-type]
    assert router.answered(question, None).pool == "small"
    assert router.asked == [ClassifierType.HEURISTIC]  # type: ignore[attr-defined]


def test_nobody_is_asked_about_a_request_that_chooses_itself() -> None:
    router = made(classifier=ClassifierType.LLM, classifier_pool="small")
    assert routed(router, body(), tier="large").pool == "large"


def test_the_embedding_is_asked_where_the_policy_says_so() -> None:
    router = made(classifier=ClassifierType.EMBEDDING)
    routed(router, body())
    assert router.asked == [ClassifierType.EMBEDDING]  # type: ignore[attr-defined]


def test_load_moves_requests_away() -> None:
    router = made()
    first = routed(router, body("small")).pick
    assert first is not None
    busy = first.addresses[0]

    def sample(address: str) -> EngineSample:
        return EngineSample(
            scraped_at_s=1.0,
            running=100 if address == busy else 0,
            waiting=0,
            kv_cache_usage=0.5,
            speculation=Missing(MissingReason.METRIC_ABSENT),
        )

    router.see(sample, now_s=1.0)
    again = routed(router, body("small")).pick
    assert again is not None
    assert again.addresses[0] != busy


def test_a_new_table_keeps_what_was_known_of_the_load() -> None:
    router = made()
    router.know(RoutingTable(namespace="llm", pools=(pool("new", "10.0.0.9:8000"),)))
    assert isinstance(router.route(body("small"), RequestHeaders()), Refusal)
    router.see(lambda _: Missing(MissingReason.NOT_SCRAPED), now_s=0.0)
    assert routed(router, body("new")).pick is not None
