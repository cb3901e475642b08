"""A small pool is asked how hard a prompt is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from mixserve.api.engine import EngineType
from mixserve.api.pool import RoutingStrategy
from mixserve.gateway.asking import Asker
from mixserve.route.complexity.llm import NoAnswer
from mixserve.route.complexity.score import Complexity
from mixserve.route.request import Message, Prompt
from mixserve.route.table import PoolEntry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROMPT = Prompt((Message("user", "Prove it."),))


class Engine:
    """Answers with a text, a status, or not at all."""

    def __init__(self) -> None:
        self.text = "4"
        self.status = 200
        self.asked: list[dict[str, Any]] = []
        self.silent = False
        self.in_pieces = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(json.loads(await request.text()))
        if self.silent:
            await asyncio.Event().wait()
        if self.in_pieces:
            return await self._in_pieces(request)
        return web.json_response({"choices": [{"message": {"content": self.text}}]}, status=self.status)

    async def _in_pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"choices":[{"message":', b'{"content":"4"}}]}'):
            await response.write(piece)
            await asyncio.sleep(0.01)  # else both may arrive at once, and nothing is tried
        return response


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def pool(engine: EngineType = EngineType.VLLM) -> PoolEntry:
    return PoolEntry(
        name="judge",
        served_names=("judge-name",),
        engine=engine,
        strategy=RoutingStrategy.LEAST_LOAD,
        endpoints=("a:1",),
    )


async def asked(url: str, *, prompt: Prompt = PROMPT, timeout_s: float = 5.0, of: PoolEntry | None = None) -> object:
    async with aiohttp.ClientSession() as session:
        return await Asker(session, url).ask(of or pool(), prompt, timeout_s)


async def test_the_pools_digit_is_the_score(engine: Engine) -> None:
    found = await asked(engine.url)
    assert isinstance(found, Complexity)
    assert found.score == 4
    assert (engine.asked[0]["model"], "structured_outputs" in engine.asked[0]) == ("judge-name", True)


async def test_an_answer_may_come_in_pieces(engine: Engine) -> None:
    engine.in_pieces = True
    assert isinstance(await asked(engine.url), Complexity)


async def test_only_vllm_is_told_which_answers_there_are(engine: Engine) -> None:
    await asked(engine.url, of=pool(EngineType.TENSORRT_LLM))
    assert "structured_outputs" not in engine.asked[0]


async def test_anything_but_a_digit_is_no_answer(engine: Engine) -> None:
    engine.text = "rather hard"
    assert await asked(engine.url) is NoAnswer.UNREADABLE


async def test_an_error_is_no_answer(engine: Engine) -> None:
    engine.status = 503
    assert await asked(engine.url) is NoAnswer.UNAVAILABLE


async def test_it_is_not_waited_for_longer_than_the_policy_says(engine: Engine) -> None:
    engine.silent = True
    assert await asked(engine.url, timeout_s=0.05) is NoAnswer.TIMED_OUT


async def test_nobody_there_is_no_answer() -> None:
    assert await asked("http://127.0.0.1:1") is NoAnswer.UNAVAILABLE


async def test_a_prompt_without_text_is_not_asked_about(engine: Engine) -> None:
    assert await asked(engine.url, prompt=Prompt((Message("user", " "),))) is NoAnswer.UNREADABLE
    assert engine.asked == []
