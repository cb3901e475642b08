"""What is answered when Envoy asks where a request goes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from zlib import crc32

from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import ClassifierType, FallbackReason
from mixserve.route.decision import Cause, Decision, Wish, decide
from mixserve.route.picking.affinity import affinity_of
from mixserve.route.picking.endpoint import Endpoint
from mixserve.route.picking.picker import PrefixAwarePicker
from mixserve.route.request import InferenceRequest, Malformed, Prompt, read_request
from mixserve.route.table import RoutingTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixserve.api.observation import EngineSample, Missing
    from mixserve.route.complexity.score import Complexity
    from mixserve.route.picking.endpoint import Pick
    from mixserve.route.table import PolicyEntry, PoolEntry

_SPREAD = 2.0**32


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestHeaders:
    """The request's headers that decide something; empty where it has none."""

    tier: str = ""
    pool: str = ""
    session: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        policy: the policy that it named; None for one that named a pool.
        decision: the policy's; None for a request that named a pool.
        complexity: 1 to 5; None where nobody had to know.
        pool: the first to try.
        pick: endpoints of that pool; None where Envoy chooses, or none is ready.
        first_byte_timeout_s: how long the answer may take to begin; None: as long as it takes.
    """

    policy: str | None = None
    decision: Decision | None = None
    complexity: Complexity | None = None
    pool: str
    pick: Pick | None = None
    first_byte_timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a request goes nowhere: `type`, `param` and `code` are those of OpenAI's errors."""

    status: HTTPStatus
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Before the request can go anywhere, `pool` has to be asked how hard it is, within `timeout_s`."""

    policy: PolicyEntry
    request: InferenceRequest
    headers: RequestHeaders
    pool: str
    timeout_s: float


class Router:
    """Decides with what is known at the moment.

    Args:
        classify: the complexity of a prompt by a classifier of this process: `Heuristic` or `Embedding`.
        draw: evenly spread numbers from 0 to below 1, for requests without a session.
    """

    def __init__(
        self,
        *,
        classify: Callable[[ClassifierType, Prompt], Complexity],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._classify = classify
        self._draw = draw
        self._table = RoutingTable(namespace="")
        self._policies: dict[str, PolicyEntry] = {}
        self._pools: dict[str, PoolEntry] = {}
        self._pool_by_name: dict[str, PoolEntry] = {}
        self._pickers: dict[str, PrefixAwarePicker] = {}

    def know(self, table: RoutingTable) -> None:
        """Decide by this table from now on."""
        self._table = table
        self._policies = {name: policy for policy in table.policies for name in policy.served_names}
        self._pools = {pool.name: pool for pool in table.pools}
        self._pool_by_name = {name: pool for pool in table.pools for name in pool.served_names}
        aware = [pool.name for pool in table.pools if pool.strategy is RoutingStrategy.PREFIX_AWARE]
        self._pickers = {name: self._pickers.get(name) or PrefixAwarePicker() for name in aware}

    def see(self, sample: Callable[[str], EngineSample | Missing], *, now_s: float) -> None:
        """Take the load of all endpoints, each with its age."""
        for name, picker in self._pickers.items():
            endpoints = [Endpoint(address=each, sample=sample(each)) for each in self._pools[name].endpoints]
            picker.update(endpoints, now_s=now_s)

    def route(self, body: bytes, headers: RequestHeaders) -> Route | Refusal | Question:
        """Where a request goes; a `Question` where somebody else has to be asked first."""
        request = read_request(body)
        if isinstance(request, Malformed):
            return Refusal(status=HTTPStatus.BAD_REQUEST, message=request.message, param=request.param)
        policy = self._policies.get(request.model)
        if policy is None:
            return self._to_pool(request, headers)
        asked = policy.classifier_pool
        if policy.classifier is ClassifierType.LLM and asked is not None and not self._chooses_itself(policy, headers):
            return Question(
                policy=policy,
                request=request,
                headers=headers,
                pool=asked,
                timeout_s=policy.classifier_timeout_s,
            )
        return self._by_policy(policy, request, headers=headers, answer=None)

    def answered(self, question: Question, answer: Complexity | None) -> Route:
        """Where a request goes after somebody was asked; None: there was no answer in time, and Heuristic decides."""
        return self._by_policy(question.policy, question.request, headers=question.headers, answer=answer)

    def _to_pool(self, request: InferenceRequest, headers: RequestHeaders) -> Route | Refusal:
        pool = self._pool_by_name.get(request.model)
        if pool is None:
            return Refusal(
                status=HTTPStatus.NOT_FOUND,
                message=f"The model `{request.model}` does not exist; /v1/models lists those that do.",
                param="model",
                code="model_not_found",
            )
        return Route(pool=pool.name, pick=self._pick(pool.name, request, headers))

    def _by_policy(
        self,
        policy: PolicyEntry,
        request: InferenceRequest,
        *,
        headers: RequestHeaders,
        answer: Complexity | None,
    ) -> Route:
        complexity = answer or self._classify(_here(policy.classifier), _judged(request.prompt, headers.session))
        decision = decide(
            policy,
            complexity=complexity.score,
            wish=Wish(tier=headers.tier or None, pool=headers.pool or None),
            takes_requests=self._takes_requests,
            draw=crc32(headers.session.encode()) / _SPREAD if headers.session else self._draw(),
        )
        waits = request.stream and FallbackReason.TIMEOUT in policy.fallback_when
        return Route(
            policy=policy.name,
            decision=decision,
            complexity=complexity,
            pool=decision.pool,
            pick=self._pick(decision.pool, request, headers),
            first_byte_timeout_s=policy.first_byte_timeout_s if waits else None,
        )

    def _chooses_itself(self, policy: PolicyEntry, headers: RequestHeaders) -> bool:
        """Whether the request names its tier or pool, so that its complexity decides nothing."""
        wish = Wish(tier=headers.tier or None, pool=headers.pool or None)
        found = decide(policy, complexity=1, wish=wish, takes_requests=self._takes_requests, draw=0.0)
        return found.cause in {Cause.TIER_OVERRIDE, Cause.POOL_OVERRIDE}

    def _takes_requests(self, name: str) -> bool:
        pool = self._pools.get(name)
        return pool is not None and bool(pool.endpoints)

    def _pick(self, name: str, request: InferenceRequest, headers: RequestHeaders) -> Pick | None:
        picker = self._pickers.get(name)
        if picker is None:
            return None
        prompt = request.prompt.text.encode(errors="surrogatepass")
        return picker.pick(affinity_of(prompt, pool=name, session=headers.session))


def _here(classifier: ClassifierType) -> ClassifierType:
    """The one of this process that decides where nobody else has."""
    return ClassifierType.HEURISTIC if classifier is ClassifierType.LLM else classifier


def _judged(prompt: Prompt, session: str) -> Prompt:
    """What the complexity is judged by: in a session, its first question, so that all of it stays in one tier."""
    if not session:
        return prompt
    first = next((number for number, message in enumerate(prompt.messages) if message.role == "user"), None)
    return prompt if first is None else prompt._replace(messages=prompt.messages[: first + 1])
