"""From a request over HTTP to the engine and back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import time
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from mixserve.simulate.requests import Request, chained_block_hashes
from mixserve_devcluster.engine import embeddings, openai_responses
from mixserve_devcluster.engine.openai_requests import Limits, read_body, read_chat, read_completion
from mixserve_devcluster.engine.openai_responses import CompletionEvents, EventStream, ResponseContext, chat_events
from mixserve_devcluster.engine.request_errors import RequestError
from mixserve_devcluster.engine.tokenizer import encode
from mixserve_devcluster.engine.tool_calls import ToolParsing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mixserve.simulate.requests import FinishedRequest
    from mixserve_devcluster.engine.command_line import ServeOptions
    from mixserve_devcluster.engine.embeddings import EmbeddingRequest
    from mixserve_devcluster.engine.engine_loop import EngineLoop, TokenStream
    from mixserve_devcluster.engine.metrics import EngineMetrics
    from mixserve_devcluster.engine.openai_requests import AnsweredModel, Generation

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Api:
    """One of OpenAI's APIs: how its requests are read and its answers written."""

    id_prefix: str
    read: Callable[[dict[str, Any], Limits], Generation]
    whole: Callable[[ResponseContext, Generation, int], dict[str, Any]]
    events: Callable[[ResponseContext, Generation], EventStream]


CHAT = Api("chatcmpl", read_chat, openai_responses.chat, chat_events)
# Of the ids of embeddings.
_EMBEDDING_PREFIX = "embd"
COMPLETION = Api("cmpl", read_completion, openai_responses.completion, CompletionEvents)


class Generations:
    """Answers requests for texts and embeddings with one engine.

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
            adapters=frozenset(adapter.name for adapter in options.adapters),
            tools=ToolParsing(automatic=options.enable_auto_tool_choice, parser=options.tool_call_parser is not None),
        )
        self._numbers = itertools.count()
        self._handlers = 0
        self._in_flight: dict[str, tuple[int, TokenStream]] = {}

    async def answer(self, http: web.Request, api: Api) -> web.StreamResponse:
        """Answer one request; raises a RequestError for one that gets no answer."""
        if self.draining:
            raise _unavailable("The server is shutting down and takes no new requests.")
        with self._counted():
            body = await http.read()
            generation = _read(lambda: api.read(read_body(body), self._limits))
            self._check_queue()
            context = self._context(http, api.id_prefix, generation.model)
            with self._generating(generation) as tokens:
                if generation.stream:
                    return await _stream(http, tokens, generation, api.events(context, generation))
                await tokens.complete()
                return web.json_response(api.whole(context, generation, tokens.cached_tokens), dumps=_compact)

    async def embed(self, http: web.Request) -> web.StreamResponse:
        """Answer one request for embeddings; raises a RequestError for one that gets no answer."""
        if self.draining:
            raise _unavailable("The server is shutting down and takes no new requests.")
        with self._counted():
            body = await http.read()
            request = _read(lambda: embeddings.read(read_body(body), self._limits))
            self._check_queue()
            context = self._context(http, _EMBEDDING_PREFIX, request.model)
            with contextlib.ExitStack() as texts:
                for tokens in [texts.enter_context(self._embedding(request, prompt)) for prompt in request.prompts]:
                    await tokens.complete()
            return web.json_response(embeddings.answer(context, request), dumps=_compact)

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

    def _generating(self, generation: Generation) -> contextlib.AbstractContextManager[TokenStream]:
        answer = generation.answer
        return self._submitted(
            [*generation.prompt, *encode(answer.text)],
            prompt_tokens=len(generation.prompt),
            answer_tokens=answer.tokens,
            adapter=generation.model.adapter,
            on_done=functools.partial(self._metrics.request_done, generation),
        )

    def _embedding(
        self, request: EmbeddingRequest, prompt: tuple[int, ...]
    ) -> contextlib.AbstractContextManager[TokenStream]:
        return self._submitted(
            prompt,
            # A prompt may fill the context; what stands for the vector is a token to the engine.
            prompt_tokens=min(len(prompt), self._limits.max_model_len - 1),
            answer_tokens=1,
            adapter=request.model.adapter,
            on_done=self._metrics.embedding_done,
        )

    @contextlib.contextmanager
    def _submitted(
        self,
        tokens: Sequence[int],
        *,
        prompt_tokens: int,
        answer_tokens: int,
        adapter: str | None,
        on_done: Callable[[FinishedRequest], None],
    ) -> Iterator[TokenStream]:
        """Have the engine work on a request until it is done, or its client is gone."""
        settings = self._loop.core.settings
        cached = tokens if settings.enable_prefix_caching else []
        request = Request(
            request_id=str(next(self._numbers)),
            prompt_tokens=prompt_tokens,
            answer_tokens=answer_tokens,
            block_hashes=chained_block_hashes(cached, settings.block_size, salt=_salt(adapter)),
        )
        stream = self._loop.submit(request, on_done)
        self._in_flight[request.request_id] = (prompt_tokens, stream)
        try:
            with self._metrics.adapter_used(adapter):
                yield stream
        finally:
            if self._loop.abort(request.request_id):
                self._metrics.request_aborted()
            del self._in_flight[request.request_id]

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
        return sum(prompt_tokens for prompt_tokens, tokens in self._in_flight.values() if not tokens.produced)

    def _context(self, http: web.Request, id_prefix: str, model: AnsweredModel) -> ResponseContext:
        request_id = http.headers.get("X-Request-Id") or uuid.uuid4().hex
        return ResponseContext(
            response_id=f"{id_prefix}-{request_id}",
            created=int(time.time()),
            model=model.name,
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
    writer = await response.prepare(http)
    if writer is not None:
        # Before the first token, as engines do; the server itself would wait for it.
        writer.send_headers()
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


def _read(reading: Callable[[], _Read]) -> _Read:
    try:
        return reading()
    except RecursionError as error:
        # Wherever it shows: in reading the body, in putting a wrong value into a message, in writing tools again.
        raise RequestError("The body is nested too deeply.") from error


def _salt(adapter: str | None) -> int:
    """What keeps the prefixes of an adapter apart from those of the model and of others."""
    return 0 if adapter is None else zlib.crc32(adapter.encode())


def _unavailable(message: str) -> RequestError:
    return RequestError(message, status=503, kind="ServiceUnavailableError")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
