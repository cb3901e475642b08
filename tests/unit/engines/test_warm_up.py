"""The program is run as a pod runs it: another process that asks a real HTTP server."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.engine import Task
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter
from mixserve.engines.vllm import VLLMAdapter
from mixserve.engines.warm_up import PROGRAM, warm_up_command
from support.fake_engines import running
from support.launches import launch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixserve.engines.protocol import EngineAdapter

LONG_S = 60.0
MODELS = {"data": [{"id": "chat"}, {"id": "talk"}]}
ANSWER = {"choices": [{"text": " world"}]}

Answer = tuple[int, Any]


class FakeEngine(ThreadingHTTPServer):
    """Answers each path with what it is given, one after the other, then with the last again and again."""

    def __init__(self, *, health: Sequence[int] = (200,), models: Answer = (200, MODELS), token: Answer) -> None:
        self.health = list(health)
        self.models = models
        self.token = token
        self.asked: list[tuple[str, Any, str | None]] = []
        self.hangs = threading.Event()
        self.hung_up = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(self.server.health.pop(0) if len(self.server.health) > 1 else self.server.health[0], {})
        else:
            self._answer(*self.server.models)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.hangs.is_set():
            self.rfile.read(1)  # until the client is gone
            self.server.hung_up.set()
            return
        self._answer(*self.server.token, body=body)

    def _answer(self, status: int, content: Any, *, body: Any = None) -> None:
        self.server.asked.append((self.path, body, self.headers["Authorization"]))
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running(FakeEngine(token=(200, ANSWER))) as one:
        yield one


def warm_up(
    port: int,
    *,
    wait_s: float = 0.3,
    adapter: EngineAdapter | None = None,
    task: Task = Task.GENERATE,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    adapter = adapter or VLLMAdapter()
    adapter.port = port
    command = warm_up_command(adapter, launch(task=task), wait_s=wait_s, poll_s=0.01)
    environment = {**os.environ, "POD_IP": "127.0.0.1", "http_proxy": "http://127.0.0.1:9", **variables}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=environment, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.stderr == ""
    return done


def complaint(port: int, **options: Any) -> str:
    done = warm_up(port, **options)
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    return line


def test_an_engine_that_has_made_a_token_has_started(engine: FakeEngine) -> None:
    done = warm_up(engine.server_port)

    assert (done.returncode, done.stdout) == (0, "")
    assert [path for path, _, _ in engine.asked] == ["/health", "/v1/models", "/v1/completions"]
    assert engine.asked[-1][1] == {"model": "chat", "prompt": "Hello", "max_tokens": 1}


def test_an_engine_that_has_made_an_embedding_has_started(engine: FakeEngine) -> None:
    engine.token = (200, {"data": [{"embedding": [0.5]}]})
    done = warm_up(engine.server_port, task=Task.EMBED)

    assert (done.returncode, done.stdout) == (0, "")
    assert [path for path, _, _ in engine.asked] == ["/health", "/v1/models", "/v1/embeddings"]
    assert engine.asked[-1][1] == {"model": "chat", "input": "Hello"}


def test_an_engine_without_a_route_for_embeddings_has_not_started(engine: FakeEngine) -> None:
    engine.token = (404, {"detail": "Not Found"})
    said = complaint(engine.server_port, task=Task.EMBED)

    assert said == 'the engine has not made its first embedding: /v1/embeddings answers 404 {"detail": "Not Found"}'


def test_it_asks_for_one_token_only_after_everything_else(engine: FakeEngine) -> None:
    engine.models = (200, {"data": [{"id": "other"}]})

    assert complaint(engine.server_port) == "the engine serves other, not chat, talk"
    assert "/v1/completions" not in [path for path, _, _ in engine.asked]


def test_it_waits_until_the_engine_is_there(engine: FakeEngine) -> None:
    engine.health = [503, 503, 200]

    assert warm_up(engine.server_port, wait_s=LONG_S).returncode == 0
    assert [path for path, _, _ in engine.asked].count("/health") == 3


def test_nothing_listens_while_the_engine_loads() -> None:
    with running(FakeEngine(token=(200, ANSWER))) as gone:
        port = gone.server_port

    assert complaint(port) == f"the engine is loading: nothing listens on port {port}"


def test_an_engine_that_is_not_healthy_has_not_started(engine: FakeEngine) -> None:
    engine.health = [503]

    assert complaint(engine.server_port) == "the engine is loading: /health answers 503 {}"


@pytest.mark.parametrize("models", [(200, {}), (200, {"data": [{}]}), (200, []), (200, b"<html>"), (200, {"data": 3})])
def test_whatever_else_the_list_of_models_may_be_is_none(engine: FakeEngine, models: Answer) -> None:
    engine.models = models

    assert complaint(engine.server_port).startswith("the engine has no list of models: ")


@pytest.mark.parametrize(
    "token", [(200, {"choices": []}), (200, {}), (200, b""), (500, {"error": "CUDA\nerror"}), (404, b"Not Found")]
)
def test_an_engine_without_a_token_has_not_started(engine: FakeEngine, token: Answer) -> None:
    engine.token = token

    assert complaint(engine.server_port).startswith("the engine has not made its first token: ")


def test_an_error_is_told_in_one_line_that_is_not_too_long(engine: FakeEngine) -> None:
    engine.token = (500, b"a\nb " + b"x" * 1000)

    said = complaint(engine.server_port)
    assert "/v1/completions answers 500 a b xxx" in said
    assert len(said) < 300


def test_it_gives_up_in_time_and_leaves_no_request_behind(engine: FakeEngine) -> None:
    engine.hangs.set()
    began_s = time.monotonic()

    said = complaint(engine.server_port, wait_s=0.5)
    assert time.monotonic() - began_s < LONG_S / 2
    assert said == "the engine has not made its first token: no answer to /v1/completions, timed out"
    assert engine.hung_up.wait(LONG_S)


def test_an_engine_with_a_key_is_asked_with_it(engine: FakeEngine) -> None:
    warm_up(engine.server_port, VLLM_API_KEY="made-up")

    assert {key for _, _, key in engine.asked} == {"Bearer made-up"}


def test_a_key_is_said_nowhere(engine: FakeEngine) -> None:
    engine.models = (401, {"error": "Unauthorized"})

    assert "made-up" not in complaint(engine.server_port, VLLM_API_KEY="made-up")


def test_an_engine_that_names_itself_is_asked_under_that_name(engine: FakeEngine) -> None:
    engine.models = (200, {"data": [{"id": "m"}]})

    assert warm_up(engine.server_port, adapter=TensorRTLLMAdapter()).returncode == 0
    assert engine.asked[-1][1]["model"] == "m"


def test_an_engine_that_names_itself_has_to_have_a_name(engine: FakeEngine) -> None:
    engine.models = (200, {"data": []})

    assert complaint(engine.server_port, adapter=TensorRTLLMAdapter()).startswith("the engine has no list of models")


def test_the_program_runs_on_the_oldest_python_of_the_images() -> None:
    ast.parse(PROGRAM, feature_version=(3, 9))


def test_the_command_is_the_images_python() -> None:
    command = warm_up_command(VLLMAdapter(), launch(served_names=("chat",)))

    assert command == ("python3", "-c", PROGRAM, "8000", "/health", "8", "1", "Generate", "chat")
