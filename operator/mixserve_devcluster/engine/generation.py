"""From a request over HTTP to the engine and back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mixserve.simulate.requests import Request, chained_block_hashes
from mixserve_devcluster.engine import openai_responses
from mixserve_devcluster.engine.openai_requests import Limits, RequestError, read_body, read_chat, read_completion
from mixserve_devcluster.engine.openai_responses import ChatEvents, CompletionEvents, EventStream, ResponseContext
from mixserve_devcluster.engine.tokenizer import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mixserve_devcluster.engine.command_line import ServeOptions
    from mixserve_devcluster.engine.engine_loop import EngineLoop, TokenStream
    from mixserve_devcluster.engine.metrics import EngineMetrics
    from mixserve_devcluster.engine.openai_requests import Generation


@dataclass(frozen=True)
class Api:
    """One of OpenAI's APIs: how its requests are read and its answers written."""

    id_prefix: str
    read: Callable[[dict[str, Any], Limits], Generation]
    whole: Callable[[ResponseContext, Generation, int], dict[str, Any]]
    events: Callable[[ResponseContext, Generation], EventStream]


CHAT = Api("chatcmpl", read_chat, openai_responses.chat, ChatEvents)
COMPLETION = Api("cmpl", read_completion, openai_responses.completion, CompletionEvents)


class Generations:
    """Answers generation requests with one engine.

    Attributes:
        draining: refuse new requests; those in flight go on.
        idle: set while no request is being read or answered.
    """

    def __init__(self, options: ServeOptions, loop: EngineLoop, metrics: EngineMetrics) -> None:
        self.draining = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._options = options
        self._loop = loop
        self._metrics = metrics
        self._limits = Limits(
            served_names=options.served_model_name if options.trtllm is None else (),
            max_model_len=loop.core.settings.max_model_len,
            force_include_usage=options.enable_force_include_usage,
        )
        self._numbers = itertools.count()
        self._handlers = 0
        self._in_flight: dict[str, tuple[Generation, TokenStream]] = {}

    async def answer(self, http: web.Request, api: Api) -> web.StreamResponse:
        """Answer one request; raises a RequestError for one that gets no answer."""
        if self.draining:
            raise _unavailable("The server is shutting down and takes no new requests.")
        with self._counted():
            generation = self._read(await http.read(), api)
            self._check_queue()
            context = self._context(http, api)
            with self._submitted(generation) as tokens:
                if generation.stream:
                    return await _stream(http, tokens, generation, api.events(context, generation))
                await tokens.complete()
                return web.json_response(api.whole(context, generation, tokens.cached_tokens), dumps=_compact)

    def _read(self, content: bytes, api: Api) -> Generation:
        try:
            return api.read(read_body(content), self._limits)
        except RecursionError as error:
            # Wherever it shows: in reading the body, in putting a wrong value into a message, in writing tools again.
            raise RequestError("The body is nested too deeply.") from error

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._handlers += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._handlers -= 1
            if not self._handlers:
                self.idle.set()

    @contextlib.contextmanager
    def _submitted(self, generation: Generation) -> Iterator[TokenStream]:
        """Have the engine work on a request until it is done, or its client is gone."""
        request_id = str(next(self._numbers))
        tokens = self._loop.submit(
            self._engine_request(request_id, generation), functools.partial(self._metrics.request_done, generation)
        )
        self._in_flight[request_id] = (generation, tokens)
        try:
            yield tokens
        finally:
            if self._loop.abort(request_id):
                self._metrics.request_aborted()
            del self._in_flight[request_id]

    def _engine_request(self, request_id: str, generation: Generation) -> Request:
        settings = self._loop.core.settings
        tokens = [*generation.prompt, *encode(generation.answer.text)] if settings.enable_prefix_caching else []
        return Request(
            request_id=request_id,
            prompt_tokens=len(generation.prompt),
            answer_tokens=generation.answer.tokens,
            block_hashes=chained_block_hashes(tokens, settings.block_size),
        )

    def _check_queue(self) -> None:
        """Refuse what the queue limits keep out."""
        most_requests, most_tokens = self._options.max_num_queued_reqs, self._options.max_num_queued_tokens
        if most_requests is not None and len(self._in_flight) >= most_requests:
            self._metrics.request_rejected("max_num_queued_reqs")
            raise _unavailable(f"The engine has {len(self._in_flight)} requests (max_num_queued_reqs={most_requests}).")
        if most_tokens is not None and self._tokens_to_prefill() >= most_tokens:
            self._metrics.request_rejected("max_num_queued_tokens")
            raise _unavailable(f"Too many prompt tokens are waiting (max_num_queued_tokens={most_tokens}).")

    def _tokens_to_prefill(self) -> int:
        return sum(len(generation.prompt) for generation, tokens in self._in_flight.values() if not tokens.produced)

    def _context(self, http: web.Request, api: Api) -> ResponseContext:
        request_id = http.headers.get("X-Request-Id") or uuid.uuid4().hex
        return ResponseContext(
            response_id=f"{api.id_prefix}-{request_id}",
            created=int(time.time()),
            model=self._options.served_model_name[0],
            prompt_tokens_details=self._options.enable_prompt_tokens_details,
        )


async def _stream(
    http: web.Request,
    tokens: TokenStream,
    generation: Generation,
    events: EventStream,
) -> web.StreamResponse:
    """Send server-sent events as tokens come; whoever reads slowly gets several at a time."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(http)
    # A client that goes away is no error; the request is aborted, as always when this function ends early.
    with contextlib.suppress(ConnectionResetError):
        sent, due = 0, events.beginning
        while sent < generation.answer.tokens:
            produced = await tokens.more_than(sent)
            await response.write(due() + events.part(sent, produced))
            sent, due = produced, bytes
        await response.write(events.end(tokens.cached_tokens))
        await response.write_eof()
    return response


def _unavailable(message: str) -> RequestError:
    return RequestError(message, status=503, kind="ServiceUnavailableError")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
