"""Asks a small pool how hard a prompt is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from mixserve.api.engine import EngineType
from mixserve.route.complexity.llm import NoAnswer, question, read_answer

if TYPE_CHECKING:
    from mixserve.route.complexity.score import Complexity
    from mixserve.route.request import Prompt
    from mixserve.route.table import PoolEntry

# One digit, and what engines write around it.
_LONGEST_ANSWER_BYTES = 64 * 1024


class Asker:
    """Asks through this pod's own Envoy, so that load is spread, tries are repeated, and tokens are accounted.

    Args:
        session: carries the requests.
        url: of Envoy, without a path.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/v1/chat/completions"

    async def ask(self, pool: PoolEntry, prompt: Prompt, timeout_s: float) -> Complexity | NoAnswer:
        """The pool's score, or why there is none; never raises for what the pool does."""
        body = question(prompt, model=pool.served_names[0], guided=pool.engine is EngineType.VLLM)
        if body is None:
            return NoAnswer.UNREADABLE
        headers = {"content-type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:  # noqa: PLR2004 - OK
                    return NoAnswer.UNAVAILABLE
                return read_answer(await _whole(response.content))
        except TimeoutError:
            return NoAnswer.TIMED_OUT
        except (aiohttp.ClientError, OSError):
            return NoAnswer.UNAVAILABLE


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """The answer, in however many pieces it comes; of one that is too long, its beginning."""
    body = b""
    while len(body) < _LONGEST_ANSWER_BYTES and (piece := await content.read(_LONGEST_ANSWER_BYTES)):
        body += piece
    return body
