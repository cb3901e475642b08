"""Requests of all kinds to the pods of a gateway, and what its clients were told about tokens."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OK = 200
# A preamble that many prompts share, so that engines have its tokens in their caches: some 60 blocks of 16.
_SHARED = "You answer in the tone of a lighthouse keeper. " * 80
_AT_A_TIME = 32
# As clients do.
_ASK_AGAIN_S = 0.1


@dataclass
class Told:
    """What clients were told.

    Attributes:
        answered: requests by the pool that answered, as the header says; those without a header by their status.
        prompt: tokens by pool, those from caches among them.
        completion: tokens by pool.
        statuses: of all answers, also of those that were asked for again.
        refused: by the model that was asked for: answers that said to ask again.
    """

    answered: Counter[str] = field(default_factory=Counter)
    prompt: Counter[str] = field(default_factory=Counter)
    completion: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def complete(self) -> int:
        """Requests that were answered with 200."""
        return self.statuses[_OK]


async def mixed_load(
    urls: Sequence[str], count: int, *, progress: Callable[[Told], None], at_a_time: int = _AT_A_TIME
) -> Told:
    """Ask until `count` requests were answered; who is told that nobody can decide asks again.

    Args:
        urls: of the gateway's pods, without a path; they take turns.
        count: requests.
        progress: called after each answer with what clients were told until then.
        at_a_time: requests that are under way.
    """
    told, numbers = Told(), iter(range(count))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=300.0)) as session:

        async def use() -> None:
            for number in numbers:
                attempt = 0
                while not await _ask(session, urls[(number + attempt) % len(urls)], number, told):
                    attempt += 1
                    await asyncio.sleep(_ASK_AGAIN_S)
                progress(told)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_a_time):
                tasks.create_task(use())
    return told


async def _ask(session: aiohttp.ClientSession, url: str, number: int, told: Told) -> bool:
    path, body = _request(number)
    async with session.post(f"{url}{path}", json=body) as answer:
        content = await answer.read()
    told.statuses[answer.status] += 1
    if answer.status != _OK:
        assert answer.status == 503, content
        told.refused[body["model"]] += 1
        return False
    pool, usage = answer.headers["x-mixserve-pool"], _usage(content, is_stream=bool(body.get("stream")))
    told.answered[pool] += 1
    told.prompt[pool] += usage["prompt_tokens"]
    told.completion[pool] += usage.get("completion_tokens") or 0
    return True


def _request(number: int) -> tuple[str, dict[str, Any]]:
    """Chats, completions and embeddings in turn; of policies and of pools; plain and streamed; short and shared."""
    kind, mode, length = number % 5, number // 5 % 2, number // 10 % 3
    prompt = ("Hello", _SHARED, f"Request {number}: ")[length] + str(number)
    if kind == 4:
        return "/v1/embeddings", {"model": "vectors", "input": [prompt, "and another text"]}
    model = ("auto", "small", "plain", "auto")[kind]
    body: dict[str, Any] = {"model": model, "max_tokens": 1 + number % 13}
    if mode:
        body["stream"] = True
    if kind == 1:
        return "/v1/completions", {**body, "prompt": prompt}
    return "/v1/chat/completions", {**body, "messages": [{"role": "user", "content": prompt}]}


def _usage(content: bytes, *, is_stream: bool) -> dict[str, Any]:
    if not is_stream:
        return dict(json.loads(content)["usage"])
    *_, last, done, end = content.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b""), content
    return dict(json.loads(last.removeprefix(b"data: "))["usage"])
