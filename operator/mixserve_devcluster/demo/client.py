"""The demo's client: streams chat completions from gateways or engines and measures what a user would feel."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from mixserve_devcluster.demo.prompts import conversation
from mixserve_devcluster.demo.workload import Arrival


@dataclass(frozen=True)
class Result:
    """One finished request.

    Attributes:
        sent_at_s: seconds since the load began.
        ttft_s: seconds to the first token, None if none came.
        pod: that was asked: the engine's name, or the gateway's address.
        pool: that answered, as the gateway says; empty without one.
        tier: of the policy, likewise.
        error: what went wrong, empty if all went well.
    """

    sent_at_s: float
    ttft_s: float | None
    duration_s: float
    answer_tokens: int
    pod: str
    pool: str = ""
    tier: str = ""
    error: str = ""


@dataclass
class Client:
    """Sends requests to the endpoint with the fewest requests of its own in flight; among equals, in turn.

    Attributes:
        model: the served model name.
        endpoints: name to base URL, kept up to date by the recorder.
        results: finished requests in the order in which they ended.
    """

    model: str
    session: aiohttp.ClientSession
    endpoints: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)

    async def run(self, arrivals: Iterable[Arrival]) -> None:
        """Send every request at its time, whether or not earlier ones have ended; return when all have."""
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number, arrival in enumerate(arrivals):
                await asyncio.sleep(max(0.0, began_s + arrival.at_s - time.monotonic()))
                requests.create_task(self._send(number, arrival))

    async def _send(self, number: int, arrival: Arrival) -> None:
        pod = min(self.endpoints, key=lambda name: (self.in_flight[name], self.sent[name]), default=None)
        if pod is None:
            self.results.append(Result(arrival.at_s, None, 0.0, 0, "", error="no pod is routable"))
            return
        self.in_flight[pod] += 1
        self.sent[pod] += 1
        try:
            self.results.append(await self._stream(pod, number, arrival))
        finally:
            self.in_flight[pod] -= 1

    async def _stream(self, pod: str, number: int, arrival: Arrival) -> Result:
        began_s, answer, error = time.monotonic(), _Answer(), ""
        try:
            url = f"{self.endpoints[pod]}/v1/chat/completions"
            async with self.session.post(url, json=self._body(number, arrival)) as response:
                await answer.read(response)
        except TimeoutError:
            error = f"no end of the answer within {time.monotonic() - began_s:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = repr(failure)
        return Result(
            sent_at_s=arrival.at_s,
            ttft_s=answer.first_token_at_s - began_s if answer.first_token_at_s else None,
            duration_s=time.monotonic() - began_s,
            answer_tokens=answer.tokens,
            pod=pod,
            pool=answer.pool,
            tier=answer.tier,
            error=error or answer.error,
        )

    def _body(self, number: int, arrival: Arrival) -> dict[str, object]:
        lengths = arrival.lengths
        return {
            "model": self.model,
            "stream": True,
            "max_tokens": lengths.answer_tokens,
            "ignore_eos": True,
            "messages": conversation(number, lengths.prompt_tokens),
        }


@dataclass
class _Answer:
    """What has come of one until now."""

    pool: str = ""
    tier: str = ""
    first_token_at_s: float | None = None
    tokens: int = 0
    error: str = "the stream was cut short"

    async def read(self, response: aiohttp.ClientResponse) -> None:
        """Take an answer as it comes."""
        self.pool = response.headers.get("x-mixserve-pool", "")
        self.tier = response.headers.get("x-mixserve-tier", "")
        if response.status != 200:  # noqa: PLR2004 - HTTP OK
            self.error = f"HTTP {response.status}: {(await response.text())[:200]}"
        async for line in response.content:
            if line.startswith(b"data: [DONE]"):
                self.error = ""
            elif line.startswith(b"data: "):
                self._take(json.loads(line[6:]))

    def _take(self, event: dict[str, Any]) -> None:
        if _has_text(event):
            self.first_token_at_s = self.first_token_at_s or time.monotonic()
            self.tokens += 1
        # One event may carry several tokens, so what the engine says counts, where it does.
        self.tokens = (event.get("usage") or {}).get("completion_tokens", self.tokens)


def _has_text(event: dict[str, Any]) -> bool:
    choices = event.get("choices") or [{}]
    return bool(choices[0].get("delta", {}).get("content"))
