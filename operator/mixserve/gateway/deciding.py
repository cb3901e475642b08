"""Envoy's question where a request goes, and the answer: the two sides of `envoy_module/question.zig`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.gateway.unix_server import Request, response
from mixserve.plan.envoy.module_filter import DECISION_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A request that needs a decision.

    Attributes:
        policy: metadata.name of the policy that it names; None if it names a pool.
        pool: metadata.name of the pool that it names; None if it names a policy.
        body: as the client sent it: a JSON object, as far as Envoy looked.
        tier: of the override header x-mixserve-tier.
        wished_pool: of x-mixserve-pool.
        session: of x-mixserve-session.
    """

    policy: str | None
    pool: str | None
    body: bytes
    tier: str | None = None
    wished_pool: str | None = None
    session: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Where a request goes.

    Attributes:
        chain: name of the chain of pools (`plan.envoy.chains`); None if the request named its pool.
        endpoints: ip:port in the order in which they are tried, of whichever pool of the chain; those that Envoy does
            not know are passed over, and after the last one the load balancer chooses.
        labels: policy, tier, complexity, cause, reason: what response headers and the request log say.
        first_byte_timeout_s: how long an attempt may take to begin its answer; None: as long as it takes.
    """

    chain: str | None = None
    endpoints: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    first_byte_timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """The gateway answers itself, in the form of the OpenAI API.

    Attributes:
        status: of the answer, 400 or more.
        message: for people.
        kind: the error's type, for example invalid_request_error.
        code: for programs.
        param: the field of the request that is wrong.
        retry_after_s: when it is worth trying again.
    """

    status: int
    message: str
    kind: str
    code: str | None = None
    param: str | None = None
    retry_after_s: int | None = None


if TYPE_CHECKING:
    Decided = Verdict | Refusal
    Decider = Callable[[Question], Decided | Awaitable[Decided]]


def deciding(decider: Decider) -> Callable[[Request], bytes | Awaitable[bytes]]:
    """The handler of questions below `DECISION_PATH`; one that fails is as no answer, and Envoy goes on without."""

    def handle(request: Request) -> bytes | Awaitable[bytes]:
        decided = decider(question_of(request))
        return encode(decided) if isinstance(decided, Verdict | Refusal) else _later(decided)

    return handle


async def _later(decided: Awaitable[Decided]) -> bytes:
    return encode(await decided)


def question_of(request: Request) -> Question:
    """Read what Envoy's module sends: /decide/policy/NAME or /decide/pool/NAME."""
    kind, _, name = request.path.removeprefix(DECISION_PATH).partition("/")
    return Question(
        policy=name if kind == "policy" else None,
        pool=name if kind == "pool" else None,
        body=request.body,
        tier=request.headers.get("x-mixserve-tier"),
        wished_pool=request.headers.get("x-mixserve-pool"),
        session=request.headers.get("x-mixserve-session"),
    )


def encode(decided: Decided) -> bytes:
    """What Envoy's module reads."""
    return _refusal(decided) if isinstance(decided, Refusal) else response(200, _headers(decided))


def _headers(verdict: Verdict) -> dict[str, str]:
    headers = {"x-mixserve-decided": "1"}
    if verdict.chain is not None:
        headers["x-mixserve-chain"] = verdict.chain
    if verdict.endpoints:
        headers["x-mixserve-endpoints"] = ",".join(verdict.endpoints)
    if verdict.first_byte_timeout_s is not None:
        headers["x-mixserve-first-byte-timeout-ms"] = str(round(verdict.first_byte_timeout_s * 1000))
    return headers | {f"x-mixserve-{name}": value for name, value in (verdict.labels or {}).items()}


def _refusal(refusal: Refusal) -> bytes:
    error = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
    headers = {"x-mixserve-refused": "1"}
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(refusal.retry_after_s)
    return response(refusal.status, headers, json.dumps({"error": error}).encode())
