"""The simulated engine server as a process, used as its clients use it: OpenAI's SDK, plain sockets, signals."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import signal
import socket
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import openai
import pytest

from support.simulated_server import ServerProcess, server_process
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
TOOL_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
IGNORE_EOS = {"ignore_eos": True}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server at three times real time: some 2 ms per token."""
    directory = tmp_path_factory.mktemp("engine")
    flags = ("--served-model-name", "small", "--enable-prompt-tokens-details", *TOOL_FLAGS)
    with server_process(directory, *flags, MIXSERVE_SIMULATED_TIME_SCALE="0.3") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture
def client(engine: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{engine.url}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk


def test_the_sdk_gets_a_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="small", messages=HELLO, max_completion_tokens=7, extra_body=IGNORE_EOS
    )
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.role) == ("length", "assistant")
    assert choice.message.content is not None
    assert len(choice.message.content) == 28
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 7)
    assert answer.system_fingerprint == "simulated"


def test_the_sdk_gets_the_same_chat_as_a_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="small", messages=HELLO, max_tokens=50)
    stream = client.chat.completions.create(
        model="small", messages=HELLO, max_tokens=50, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_the_sdk_gets_a_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="small", prompt="Once upon a time", max_tokens=6, extra_body=IGNORE_EOS)
    assert len(answer.choices[0].text) == 24
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 10)
    parts = client.completions.create(
        model="small", prompt="Once upon a time", max_tokens=6, stream=True, extra_body=IGNORE_EOS
    )
    assert "".join(part.choices[0].text for part in parts) == answer.choices[0].text


def test_the_sdk_sees_cached_tokens(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "the same long beginning " * 20}]
    cached = []
    for _ in range(2):
        answer = client.chat.completions.create(model="small", messages=messages, max_tokens=1)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
    assert cached == [0, 112]


def test_the_sdk_gets_a_call_of_a_tool(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="small", messages=HELLO, tools=TOOLS, tool_choice="required")
    (choice,) = whole.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "bak"})
    with client.chat.completions.stream(model="small", messages=HELLO, tools=TOOLS, tool_choice="required") as stream:
        (streamed,) = stream.get_final_completion().choices
    assert streamed.finish_reason == "tool_calls"
    assert streamed.message.tool_calls is not None
    assert streamed.message.tool_calls[0].function.arguments == call.function.arguments


def test_the_sdk_gets_usage_with_every_part_where_the_server_insists(tmp_path: Path) -> None:
    with server_process(tmp_path, "--enable-force-include-usage", MIXSERVE_SIMULATED_TIME_SCALE="0.3") as server:
        server.wait_until_ready()
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            stream = sdk.chat.completions.create(
                model="some/model", messages=HELLO, max_tokens=3, stream=True, extra_body=IGNORE_EOS
            )
            chunks = list(stream)
    assert all(chunk.usage for chunk in chunks)
    assert chunks[-2].usage is not None
    assert (chunks[-2].usage.completion_tokens, chunks[-1].choices) == (3, [])


def test_the_sdk_gets_embeddings(tmp_path: Path) -> None:
    with server_process(tmp_path, "--runner", "pooling", MIXSERVE_SIMULATED_TIME_SCALE="0.3") as server:
        server.wait_until_ready()
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as sdk:
            packed = sdk.embeddings.create(model="some/model", input=["hello", "world"])
            floats = sdk.embeddings.create(model="some/model", input="hello", encoding_format="float")
            with pytest.raises(openai.NotFoundError):
                sdk.chat.completions.create(model="some/model", messages=HELLO)
    assert [len(one.embedding) for one in packed.data] == [1024, 1024]
    assert packed.data[0].embedding == pytest.approx(floats.data[0].embedding)
    assert (packed.usage.prompt_tokens, packed.usage.total_tokens) == (4, 4)


def test_the_sdk_lists_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small"]


def test_the_sdk_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="The model `large` does not exist"):
        client.chat.completions.create(model="large", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens") as refused:
        client.chat.completions.create(model="small", messages=HELLO, max_tokens=2048)
    assert (refused.value.param, refused.value.type) == ("input_tokens", "BadRequestError")
    with pytest.raises(openai.BadRequestError, match="n must be 1, got 2"):
        client.chat.completions.create(model="small", messages=HELLO, n=2)


def test_a_stream_that_the_client_closes_is_aborted(engine: ServerProcess, client: openai.OpenAI) -> None:
    aborted = 'request_success_total{engine="0",finished_reason="abort"'
    before = engine.metric(aborted)
    stream = client.chat.completions.create(
        model="small", messages=HELLO, max_tokens=2000, stream=True, extra_body=IGNORE_EOS
    )
    next(iter(stream))
    stream.close()
    eventually(lambda: engine.metric(aborted) == before + 1, "aborted request")
    assert engine.metric("num_requests_running{") == 0
    assert engine.metric("kv_cache_usage_perc") == 0


def test_a_client_that_goes_away_without_streaming_is_noticed_too(engine: ServerProcess) -> None:
    aborted = 'request_success_total{engine="0",finished_reason="abort"'
    before = engine.metric(aborted)
    with socket.create_connection(("127.0.0.1", engine.port)) as connection:
        connection.sendall(posted({"messages": HELLO, "max_tokens": 2000, "ignore_eos": True}))
        eventually(lambda: engine.metric("num_requests_running{") == 1, "running request")
    eventually(lambda: engine.metric(aborted) == before + 1, "aborted request")


def test_a_stream_is_byte_for_byte_what_openai_and_vllm_send(engine: ServerProcess) -> None:
    body = {"model": "small", "messages": HELLO, "max_tokens": 2, "stream": True, "ignore_eos": True}
    head, chunks = exchange(engine.port, {**body, "stream_options": {"include_usage": True}})
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: text/event-stream; charset=utf-8\r\n" in head
    events = chunks.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    first = json.loads(events[0].removeprefix(b"data: "))
    common = (
        f'data: {{"id":"{first["id"]}","object":"chat.completion.chunk","created":{first["created"]},"model":"small"'
    )
    assert events[0].decode() == (
        f'{common},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"logprobs":null,'
        '"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}'
    )
    last = json.loads(events[-4].removeprefix(b"data: "))["choices"][0]["delta"]["content"]
    assert events[-4].decode() == (
        f'{common},"choices":[{{"index":0,"delta":{{"content":"{last}"}},"logprobs":null,"finish_reason":"length",'
        '"stop_reason":null,"token_ids":null}]}'
    )
    assert events[-3].decode() == (
        f'{common},"choices":[],"usage":{{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,'
        '"prompt_tokens_details":{"cached_tokens":0,"created_cache_tokens":0}},"system_fingerprint":"simulated"}'
    )


def posted(body: dict[str, Any]) -> bytes:
    """A chat as bytes on the wire."""
    content = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


def exchange(port: int, body: dict[str, Any]) -> tuple[bytes, bytes]:
    """POST a chat over a plain socket; the answer's head, and its body with the chunks put together."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(posted(body))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    joined = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        joined += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return head, joined


def test_a_burst_waits_runs_and_is_gone(tmp_path: Path) -> None:
    """With room for four requests, which take two seconds each: what an autoscaler sees of an overload."""
    with server_process(tmp_path, "--max-num-seqs", "4", MIXSERVE_SIMULATED_TIME_SCALE="0.3") as server:
        server.wait_until_ready()
        body = {"messages": HELLO, "max_tokens": 1000, "stream": True, "ignore_eos": True}
        threads = [threading.Thread(target=exchange, args=(server.port, body)) for _ in range(10)]
        for thread in threads:
            thread.start()
        eventually(lambda: server.metric("num_requests_waiting{") == 6, "waiting requests")
        assert server.metric("num_requests_running{") == 4
        assert server.metric("kv_cache_usage_perc") > 0
        for thread in threads:
            thread.join()
        eventually(lambda: server.metric("num_requests_running{") == 0, "idle engine")
        assert server.metric("num_requests_waiting{") == 0
        assert server.metric("generation_tokens_total") == 10_000
        assert server.metric('request_success_total{engine="0",finished_reason="length"') == 10


def opened(server: ServerProcess, path: str, body: dict[str, Any] | None = None) -> http.client.HTTPResponse:
    """GET, or POST a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    response = urllib.request.urlopen(f"{server.url}{path}", data)  # noqa: S310 - our own server
    assert isinstance(response, http.client.HTTPResponse)
    return response


def long_stream(server: ServerProcess) -> http.client.HTTPResponse:
    """A stream of 300 tokens, some two seconds long, whose first part has arrived."""
    body = {"messages": HELLO, "max_tokens": 300, "stream": True, "ignore_eos": True}
    response = opened(server, "/v1/chat/completions", body)
    response.readline()
    return response


def test_after_sigterm_a_server_with_time_to_shut_down_finishes_what_it_has(tmp_path: Path) -> None:
    with server_process(tmp_path, "--shutdown-timeout", "30") as server:
        server.wait_until_ready()
        with long_stream(server) as stream:
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: refuses(server), "refusal of new requests")
            assert server.metric("num_requests_running{") == 1
            assert stream.read().endswith(b"data: [DONE]\n\n")
        assert server.process.wait(timeout=30) == 0
    assert "event=engine_stopping simulated=true drained=true" in server.log


@pytest.mark.parametrize("timeout_s", ["0", "0.2"])
def test_after_sigterm_a_server_without_enough_time_cuts_its_streams(tmp_path: Path, timeout_s: str) -> None:
    with server_process(tmp_path, "--shutdown-timeout", timeout_s) as server:
        server.wait_until_ready()
        with long_stream(server) as stream:
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(http.client.IncompleteRead):
                stream.read()
        assert server.process.wait(timeout=30) == 0
    assert "event=engine_stopping simulated=true drained=false" in server.log


def refuses(server: ServerProcess) -> bool:
    """Whether a new request is refused with 503."""
    try:
        opened(server, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 1}).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    return False


def test_the_port_opens_when_the_cold_start_is_over(tmp_path: Path) -> None:
    cold_start = {"MIXSERVE_SIMULATED_COLD_START_S": "600", "MIXSERVE_SIMULATED_TIME_SCALE": "0.001"}
    with server_process(tmp_path, **cold_start) as server:
        eventually(lambda: "event=engine_starting simulated=true" in server.log, "start")
        assert not server.port
        server.wait_until_ready()
        with opened(server, "/health") as health:
            assert health.status == 200


def test_an_address_that_is_taken_is_told_at_once_in_vllms_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with server_process(tmp_path, "--port", str(port), MIXSERVE_SIMULATED_COLD_START_S="600") as server:
            assert server.process.wait(timeout=60) == 1
    assert server.log.splitlines()[0] == "Traceback (most recent call last):"
    assert server.log.splitlines()[-1] == "OSError: [Errno 98] Address already in use"
    assert "mixserve_devcluster" not in server.log


@contextlib.contextmanager
def lowered_soft_limit(files: int) -> Iterator[None]:
    """Let programs that are started meanwhile begin with so few open files, and this process go on with its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_engine_has_as_many_connections_as_come_whatever_the_soft_limit_of_open_files(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with lowered_soft_limit(64):
            server = stack.enter_context(server_process(tmp_path))
        server.wait_until_ready()
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        with urllib.request.urlopen(f"{server.url}/health", timeout=10) as health:  # noqa: S310 - our own server
            assert health.status == 200


def test_sigterm_ends_a_cold_start(tmp_path: Path) -> None:
    with server_process(tmp_path, MIXSERVE_SIMULATED_COLD_START_S="600") as server:
        eventually(lambda: "event=engine_starting" in server.log, "start")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        ("no-kv-memory", "ValueError: No available memory for the cache blocks."),
        ("max-seq-len", "ValueError: To serve at least one request with the model's max seq len (2048)"),
        ("cuda-oom", "torch.OutOfMemoryError: CUDA out of memory."),
        ("free-memory", "ValueError: Free memory on device cuda:0"),
    ],
)
def test_a_forced_failure_ends_the_start_with_vllms_words(tmp_path: Path, failure: str, cause: str) -> None:
    with server_process(tmp_path, MIXSERVE_SIMULATED_FAILURE=failure) as server:
        assert server.process.wait(timeout=60) == 1
    assert cause in server.log
    assert "engine_ready" not in server.log


def test_a_model_that_does_not_fit_fails_by_itself(tmp_path: Path) -> None:
    with server_process(tmp_path, "--max-model-len", "32k") as server:
        assert server.process.wait(timeout=60) == 1
    assert "max seq len (32000), (31.25 GiB KV cache is needed" in server.log


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"MIXSERVE_SIMULATED_TIME_SCALE": "0"}, "MIXSERVE_SIMULATED_TIME_SCALE: must be above 0"),
        ({"MIXSERVE_SIMULATED_NODE_LABELS": '{"nvidia.com/gpu.product": "x"}'}, "the simulation knows no GPU 'x'"),
    ],
)
def test_a_wrong_environment_is_named(tmp_path: Path, environment: dict[str, str], complaint: str) -> None:
    with server_process(tmp_path, **environment) as server:
        assert server.process.wait(timeout=60) == 2
    assert complaint in server.log


def test_a_flag_that_vllm_does_not_know_is_refused(tmp_path: Path) -> None:
    with server_process(tmp_path, "--no-such-flag") as server:
        assert server.process.wait(timeout=60) == 2
    assert "error: unrecognized arguments: --no-such-flag" in server.log
