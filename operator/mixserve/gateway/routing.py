"""Decides, with what is known at the moment, where a request goes that Envoy asks about."""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING
from zlib import crc32

from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import ClassifierType, FallbackReason
from mixserve.gateway.deciding import Refusal, Verdict
from mixserve.plan.envoy.chains import chain_name
from mixserve.route.complexity.llm import decided
from mixserve.route.complexity.score import with_unread
from mixserve.route.decision import Cause, Wish, decide, unknown_name
from mixserve.route.picking.affinity import affinity_of
from mixserve.route.picking.endpoint import Endpoint
from mixserve.route.picking.picker import PrefixAwarePicker
from mixserve.route.request import Malformed, Prompt, read_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mixserve.api.observation import EngineSample, Missing
    from mixserve.gateway.deciding import Question
    from mixserve.route.complexity.llm import NoAnswer
    from mixserve.route.complexity.score import Classifier, Complexity
    from mixserve.route.decision import UnknownName
    from mixserve.route.request import InferenceRequest
    from mixserve.route.table import PolicyEntry, PoolEntry, RoutingTable

    Ask = Callable[[PoolEntry, Prompt, float], Awaitable[Complexity | NoAnswer]]

_SPREAD = 2.0**32

# Of a name that a client made up, in an error: no name of an object is longer.
_LONGEST_NAME = 63

# Envoy and this process learn of changes one after the other; a client that tries again meets both with the same news.
_UNKNOWN = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    message="The gateway is just learning about this model; try again.",
    kind="server_error",
    code="model_changing",
    retry_after_s=1,
)


class Router:
    """Answers Envoy's questions.

    Args:
        classifiers: those of this process; `Heuristic` is among them, and decides where another one can't.
        ask: asks a pool how hard a prompt is, within a time limit in seconds.
        draw: evenly spread numbers from 0 to below 1, for requests without a session.
    """

    def __init__(
        self,
        *,
        classifiers: Mapping[ClassifierType, Classifier],
        ask: Ask,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._classifiers = classifiers
        self._ask = ask
        self._draw = draw
        self._policies: dict[str, PolicyEntry] = {}
        self._pools: dict[str, PoolEntry] = {}
        self._pickers: dict[str, PrefixAwarePicker] = {}

    def know(self, table: RoutingTable) -> None:
        """Decide by this table from now on; `see` has to follow."""
        self._policies = {policy.name: policy for policy in table.policies}
        self._pools = {pool.name: pool for pool in table.pools}
        aware = [pool.name for pool in table.pools if pool.strategy is RoutingStrategy.PREFIX_AWARE]
        self._pickers = {name: self._pickers.get(name) or PrefixAwarePicker() for name in aware}

    def see(self, sample: Callable[[str], EngineSample | Missing], *, now_s: float) -> None:
        """Take the load of all endpoints; `now_s` is the clock of the samples."""
        for name, picker in self._pickers.items():
            endpoints = [Endpoint(address=each, sample=sample(each)) for each in self._pools[name].endpoints]
            picker.update(endpoints, now_s=now_s)

    def decide(self, question: Question) -> Verdict | Refusal | Awaitable[Verdict]:
        """Where the request goes; awaitable where a pool has to be asked first."""
        policy = self._policies.get(question.policy or "")
        pool = self._pools.get(question.pool or "")
        if policy is None and pool is None:
            # Without a policy there is nothing to decide: the load balancer knows endpoints of the pool.
            return _UNKNOWN if question.pool is None else Verdict()
        request = read_request(question.body)
        if isinstance(request, Malformed):
            return _malformed(request)
        if policy is None:
            assert pool is not None
            return Verdict(endpoints=self._endpoints(pool.name, request, question.session))
        return self._by_policy(policy, request, question)

    def _by_policy(
        self, policy: PolicyEntry, request: InferenceRequest, question: Question
    ) -> Verdict | Refusal | Awaitable[Verdict]:
        wish = Wish(tier=question.tier, pool=question.wished_pool)
        unknown = unknown_name(policy, wish)
        if unknown is not None:
            return _no_such(unknown, policy)
        prompt = _judged(request.prompt, question.session)
        asked = self._asked(policy, wish)
        if asked is not None:
            return self._after_asking(asked, policy, wish, prompt=prompt, request=request, question=question)
        complexity = self._classify(policy, prompt)
        return self._follow(policy, request, wish, question=question, complexity=complexity)

    async def _after_asking(
        self,
        asked: PoolEntry,
        policy: PolicyEntry,
        wish: Wish,
        *,
        prompt: Prompt,
        request: InferenceRequest,
        question: Question,
    ) -> Verdict:
        answer = await self._ask(asked, prompt, policy.classifier_timeout_s)
        complexity = with_unread(decided(answer, heuristic=self._classify(policy, prompt)), prompt)
        return self._follow(policy, request, wish, question=question, complexity=complexity)

    def _follow(
        self, policy: PolicyEntry, request: InferenceRequest, wish: Wish, *, question: Question, complexity: Complexity
    ) -> Verdict:
        decision = decide(
            policy,
            complexity=complexity.score,
            wish=wish,
            takes_requests=self._takes_requests,
            draw=crc32(question.session.encode()) / _SPREAD if question.session else self._draw(),
        )
        waits = request.stream and FallbackReason.TIMEOUT in policy.fallback_when
        return Verdict(
            chain=chain_name(policy.name, decision.tier, decision.pool),
            endpoints=self._endpoints(decision.pool, request, question.session),
            labels={
                "policy": policy.name,
                "tier": decision.tier,
                "complexity": str(complexity.score),
                "cause": decision.cause.value,
                "reason": complexity.reason,
            },
            first_byte_timeout_s=policy.first_byte_timeout_s if waits else None,
        )

    def _asked(self, policy: PolicyEntry, wish: Wish) -> PoolEntry | None:
        """The pool that has to be asked: none where the request names its tier or pool, which decides alone."""
        pool = self._pools.get(policy.classifier_pool or "")
        if pool is None or not pool.endpoints or not pool.served_names:
            return None
        found = decide(policy, complexity=1, wish=wish, takes_requests=self._takes_requests, draw=0.0)
        return None if found.cause in {Cause.TIER_OVERRIDE, Cause.POOL_OVERRIDE} else pool

    def _classify(self, policy: PolicyEntry, prompt: Prompt) -> Complexity:
        here = policy.classifier if policy.classifier in self._classifiers else ClassifierType.HEURISTIC
        return with_unread(self._classifiers[here](prompt), prompt)

    def _takes_requests(self, name: str) -> bool:
        pool = self._pools.get(name)
        return pool is not None and bool(pool.endpoints)

    def _endpoints(self, name: str, request: InferenceRequest, session: str | None) -> tuple[str, ...]:
        """Endpoints of the pool in order; none where Envoy chooses, or the pool has none."""
        picker = self._pickers.get(name)
        if picker is None:
            return ()
        adapter = request.model if request.model in self._pools[name].adapters else ""
        pick = picker.pick(affinity_of(request.prompt.text, pool=name, adapter=adapter, session=session or ""))
        return () if pick is None else pick.addresses


def _malformed(request: Malformed) -> Refusal:
    status = HTTPStatus.BAD_REQUEST
    return Refusal(status=status, message=request.message, kind="invalid_request_error", param=request.param)


def _no_such(unknown: UnknownName, policy: PolicyEntry) -> Refusal:
    """A wish for what the policy never has is a mistake, which its client should hear of."""
    name, known = unknown.name[:_LONGEST_NAME], ", ".join(unknown.known)
    return Refusal(
        status=HTTPStatus.BAD_REQUEST,
        message=f"The policy {policy.name} has no {unknown.what} `{name}`, only {known}.",
        kind="invalid_request_error",
        code=f"unknown_{unknown.what}",
        param=f"x-mixserve-{unknown.what}",
    )


def _judged(prompt: Prompt, session: str | None) -> Prompt:
    """What the complexity is judged by: in a session, its first question, so that all of it stays in one tier."""
    if not session:
        return prompt
    first = next((number for number, message in enumerate(prompt.messages) if message.role == "user"), None)
    return prompt if first is None else Prompt(prompt.messages[: first + 1])
