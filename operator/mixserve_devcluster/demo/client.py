"""The demo's client: streams chat completions from routable pods and measures what a user would feel."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp

from mixserve_devcluster.demo.workload import Arrival

# Every conversation begins with the same instructions, as those of an application do.
SYSTEM_PROMPT = "You answer briefly, in plain words, and say so when you do not know. " * 4
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Result:
    """One finished request.

    Attributes:
        sent_at_s: seconds since the load began.
        ttft_s: seconds to the first token, None if none came.
        error: what went wrong, empty if all went well.
    """

    sent_at_s: float
    ttft_s: float | None
    duration_s: float
    answer_tokens: int
    pod: str
    error: str = ""


@dataclass
class Client:
    """Sends requests to the endpoint with the fewest requests of its own in flight.

    Attributes:
        model: the served model name.
        endpoints: pod name to base URL, kept up to date by the recorder.
        results: finished requests in the order in which they ended.
    """

    model: str
    session: aiohttp.ClientSession
    endpoints: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)

    async def run(self, arrivals: Iterable[Arrival]) -> None:
        """Send every request at its time, whether or not earlier ones have ended; return when all have."""
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number, arrival in enumerate(arrivals):
                await asyncio.sleep(max(0.0, began_s + arrival.at_s - time.monotonic()))
                requests.create_task(self._send(number, arrival))

    async def _send(self, number: int, arrival: Arrival) -> None:
        pod = min(self.endpoints, key=lambda name: self.in_flight[name], default=None)
        if pod is None:
            self.results.append(Result(arrival.at_s, None, 0.0, 0, "", "no pod is routable"))
            return
        self.in_flight[pod] += 1
        try:
            self.results.append(await self._stream(pod, number, arrival))
        finally:
            self.in_flight[pod] -= 1

    async def _stream(self, pod: str, number: int, arrival: Arrival) -> Result:
        began_s, ttft_s, tokens, error = time.monotonic(), None, 0, ""
        try:
            url = f"{self.endpoints[pod]}/v1/chat/completions"
            async with self.session.post(url, json=self._body(number, arrival)) as response:
                if response.status != 200:  # noqa: PLR2004 - HTTP OK
                    error = f"HTTP {response.status}: {(await response.text())[:200]}"
                finished = False
                async for line in response.content:
                    if line.startswith(b"data: [DONE]"):
                        finished = True
                    elif line.startswith(b"data: ") and _has_text(line):
                        ttft_s = ttft_s or time.monotonic() - began_s
                        tokens += 1
                error = error or ("" if finished else "the stream was cut short")
        except TimeoutError:
            error = f"no end of the answer within {time.monotonic() - began_s:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = repr(failure)
        return Result(arrival.at_s, ttft_s, time.monotonic() - began_s, tokens, pod, error)

    def _body(self, number: int, arrival: Arrival) -> dict[str, object]:
        lengths = arrival.lengths
        return {
            "model": self.model,
            "stream": True,
            "max_tokens": lengths.answer_tokens,
            "ignore_eos": True,
            "messages": [
                {"role": "system", "content": SYSTEM_PROMPT},
                {"role": "user", "content": prompt_text(number, lengths.prompt_tokens)},
            ],
        }


def _has_text(line: bytes) -> bool:
    choices = json.loads(line[6:]).get("choices") or [{}]
    return bool(choices[0].get("delta", {}).get("content"))


def prompt_text(number: int, tokens: int) -> str:
    """A text of about so many tokens that no other request shares beyond the system prompt."""
    words = f"Request {number} asks about item {number * 7919 % 10007}. "
    length = max(1, tokens * _CHARACTERS_PER_TOKEN - len(SYSTEM_PROMPT))
    return (words * (length // len(words) + 1))[:length]
