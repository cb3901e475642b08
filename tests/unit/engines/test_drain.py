"""The program is run as a pod runs it: another process that asks a real HTTP server."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mixserve.engines.drain import drain_command, program
from mixserve.engines.protocol import MetricNames, MetricsPage
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter
from mixserve.engines.vllm import VLLMAdapter
from support.fake_engines import running

LONG_S = 60.0
GAUGES = VLLMAdapter().metrics_page("0.33.0")
STATISTICS = TensorRTLLMAdapter().metrics_page("1.2.0")
READS = 3
"""Equal reads in a row that the program asks for."""


def page(running: float = 0, waiting: float = 0) -> str:
    return (
        "# TYPE vllm:num_requests_running gauge\n"
        f'vllm:num_requests_running{{engine="0",model_name="a b}}"}} {running}\n'
        f'vllm:num_requests_waiting{{engine="0",model_name="a b}}"}} {waiting}\n'
        'vllm:num_requests_waiting_by_reason{reason="capacity"} 7\n'
    )


IDLE = page()


class FakeEngine(HTTPServer):
    """Answers with the given pages one after the other, then with the last one again and again."""

    def __init__(self, *pages: str, status: int = 200) -> None:
        self.pages = list(pages)
        self.status = status
        self.reads = 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: FakeEngine

    def do_GET(self) -> None:
        assert self.path == "/metrics"
        page = self.server.pages[min(self.server.reads, len(self.server.pages) - 1)]
        self.server.reads += 1
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def drain(
    port: int,
    *,
    timeout_s: float = LONG_S,
    settle_s: float = 0.0,
    page: MetricsPage = GAUGES,
) -> str:
    """Run the program to its end and return what it says; it must exit with 0."""
    adapter = VLLMAdapter()
    adapter.port = port
    adapter.metrics_page = lambda _: page
    command = drain_command(adapter, version="0.33.0", timeout_s=timeout_s, settle_s=settle_s, poll_s=0.01)
    done = subprocess.run(
        [sys.executable, *command[1:]],
        env={**os.environ, "POD_IP": "127.0.0.1", "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_S,
    )
    assert done.stderr == ""
    return done.stdout


def test_it_ends_when_the_engine_is_idle():
    with running(FakeEngine(IDLE)) as engine:
        said = drain(engine.server_port)

    assert said.endswith("idle\n")
    assert engine.reads == READS


@pytest.mark.parametrize("busy", [page(running=2), page(waiting=1), page(running=0.5)])
def test_it_waits_while_requests_run_or_wait(busy):
    with running(FakeEngine(*[busy] * 10, IDLE)) as engine:
        said = drain(engine.server_port)

    assert said.endswith("idle\n")
    assert engine.reads == 10 + READS


def test_a_request_between_two_idle_reads_starts_the_count_again():
    with running(FakeEngine(IDLE, IDLE, page(running=1), IDLE)) as engine:
        drain(engine.server_port)

    assert engine.reads == 3 + READS


def test_idle_does_not_count_before_clients_know_that_the_pod_goes():
    with running(FakeEngine(IDLE)) as engine:
        began_s = time.monotonic()
        drain(engine.server_port, settle_s=0.5)

        assert time.monotonic() - began_s >= 0.5
    assert engine.reads > READS


def test_it_gives_up_after_the_timeout():
    with running(FakeEngine(page(running=3))) as engine:
        said = drain(engine.server_port, timeout_s=0.3)

    assert said.endswith("3 requests left\n")


def test_requests_of_all_engines_of_the_pod_count():
    second = 'vllm:num_requests_running{engine="1",model_name="a"} 1\n'
    with running(FakeEngine(IDLE + second)) as engine:
        said = drain(engine.server_port, timeout_s=0.3)

    assert said.endswith("1 requests left\n")


@pytest.mark.parametrize(
    "unclear",
    [
        "",
        'vllm:num_requests_running{engine="0"} 0\n',
        page(running=math.nan),
        'vllm:num_requests_running{engine="0"}\n',
        "vllm:num_requests_running many\n",
        page(running=math.inf),
        "\x00\xff",
    ],
)
def test_an_answer_without_the_metrics_counts_as_busy(unclear):
    with running(FakeEngine(unclear)) as engine:
        said = drain(engine.server_port, timeout_s=0.3)

    assert engine.reads > READS
    assert not said.endswith("idle\n")


def test_an_engine_that_does_not_answer_counts_as_busy():
    class Mute(Handler):
        def do_GET(self) -> None:
            self.server.reads += 1
            self.close_connection = True

    engine = FakeEngine(IDLE)
    engine.RequestHandlerClass = Mute
    with running(engine):
        said = drain(engine.server_port, timeout_s=0.3)

    assert "unknown" in said
    assert engine.reads > READS


def test_an_engine_that_is_gone_needs_no_drain():
    with running(FakeEngine(IDLE)) as engine:
        port = engine.server_port

    assert drain(port, settle_s=LONG_S).endswith("gone\n")


def test_older_names_are_read_where_the_newer_ones_are_absent():
    names = MetricNames(
        running=("vllm:running", "vllm:num_requests_running"),
        waiting=("vllm:num_requests_waiting",),
        kv_cache_usage=(),
    )
    with running(FakeEngine(page(running=2))) as engine:
        said = drain(engine.server_port, timeout_s=0.3, page=MetricsPage(path="/metrics", names=names))

    assert said.endswith("2 requests left\n")


def test_metrics_without_labels_are_read():
    with running(FakeEngine("vllm:num_requests_running 0\nvllm:num_requests_waiting 0.0 1700000000\n")) as engine:
        assert drain(engine.server_port).endswith("idle\n")


def iterations(running: int = 0, waiting: int = 0) -> str:
    older = {"numActiveRequests": 9, "numQueuedRequests": 9}
    return json.dumps([older, {"numActiveRequests": running, "numQueuedRequests": waiting}])


@pytest.mark.parametrize("busy", [iterations(running=1), iterations(waiting=2)])
def test_statistics_of_iterations_are_read_by_the_newest_and_none_means_idle(busy):
    with running(FakeEngine(busy, busy, "[]")) as engine:
        said = drain(engine.server_port, page=STATISTICS)

    assert said.endswith("idle\n")
    assert engine.reads == 2 + READS


@pytest.mark.parametrize("unclear", ["", "{}", "[1]", "[{}]", '[{"numActiveRequests": 0}]', "null", "[["])
def test_statistics_without_the_signals_count_as_busy(unclear):
    with running(FakeEngine(unclear)) as engine:
        said = drain(engine.server_port, timeout_s=0.3, page=STATISTICS)

    assert engine.reads > READS
    assert "unknown" in said


@pytest.mark.parametrize("page", [GAUGES, STATISTICS])
def test_the_program_runs_on_the_oldest_python_of_the_images(page):
    ast.parse(program(page), feature_version=(3, 9))


def test_the_command_is_the_images_python():
    command = drain_command(VLLMAdapter(), version="0.33.0", timeout_s=600)

    assert command[:3] == ("python3", "-c", program(GAUGES))
    assert command[3:] == (
        *("8000", "/metrics", "vllm:num_requests_running", "vllm:num_requests_waiting"),
        *("600", "5", "1"),
    )
