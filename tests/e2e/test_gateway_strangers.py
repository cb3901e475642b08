"""What a gateway answers to clients that send too much, too slowly, or what no client should send."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from support.engine_counters import engine_url, total
from support.gateway_processes import envoy_of, python_of
from support.gateway_scenes import client_url, engines, gateway_cluster, gateway_pods, small_pool
from support.gateways import gateway_urls, wait_for_policy
from support.policies import policy_manifest
from support.raw_requests import answers_to, connect, everything, statuses
from support.steady_load import steady_load
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.pool_sandbox import PoolSandbox

# A minute on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PATH = "/v1/chat/completions"
CHAT = {"model": "plain", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
TEXT = json.dumps(CHAT).encode()
MIB = 2**20
DEEP = 100_000


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolSandbox]:
    with gateway_cluster("strangers", tmp_path_factory.mktemp("state"), time_scale=0.2) as made:
        pools = [small_pool("small"), small_pool("plain", routing={"strategy": "LeastLoad"}), small_pool("large")]
        made.apply([*pools, policy_manifest()])
        wait_for_policy(made, "auto")
        for pool in ("small", "plain", "large"):
            engines(made, pool)
        for url in gateway_urls(made):
            for model in ("plain", "small", "auto"):
                eventually(lambda url=url, model=model: ask(url, {**CHAT, "model": model}) == 200, model, 60.0)
        yield made


@pytest.fixture(scope="module")
def pod(sandbox: PoolSandbox) -> dict[str, Any]:
    return gateway_pods(sandbox)[0]


@pytest.fixture(scope="module")
def url(pod: Mapping[str, Any]) -> str:
    return client_url(pod)


@pytest.fixture(autouse=True)
def survived(pod: Mapping[str, Any], url: str) -> Iterator[None]:
    """Afterwards the same processes serve as before."""
    before = envoy_of(pod), python_of(pod)
    yield
    assert (envoy_of(pod), python_of(pod)) == before
    assert ask(url, {**CHAT, "model": "auto"}) == 200


def ask(url: str, body: Mapping[str, Any]) -> int:
    return httpx2.post(f"{url}{PATH}", json=body, timeout=60).status_code


def post(url: str, content: bytes) -> httpx2.Response:
    return httpx2.post(f"{url}{PATH}", content=content, headers={"content-type": "application/json"}, timeout=60)


@pytest.mark.parametrize("model", ["auto", "small", "plain"])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        (b'{"model":"%s","messages":' + b"[" * DEEP, b"]" * DEEP + b"}"),
        (b'{"model":"%s","messages":[{"role":"user","content":"Hi"}],"x":' + b'{"a":' * DEEP + b"1", b"}" * (DEEP + 1)),
        (b"[" * DEEP + b'{"model":"%s"}', b"]" * DEEP),
        (b'{"model":"%s","messages":' + b"[" * DEEP, b""),
        (b'{"model":"%s","messages":"' + b"\\" * DEEP * 2, b'"}'),
    ],
    ids=["lists", "objects", "list outside", "never closed", "backslashes"],
)
def test_what_is_nested_deeply_or_broken_is_400_at_once(url: str, model: str, opening: bytes, closing: bytes) -> None:
    started_s = time.monotonic()
    answer = post(url, opening.replace(b"%s", model.encode()) + closing)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert time.monotonic() - started_s < 10


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT)


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST /v1/chat/completions HTTP/1.1", b"Host: x", *lines, b"", b""])


@pytest.mark.parametrize(
    "sent",
    [
        head(b"Content-Length: %d" % (len(CHUNKED) + len(SMUGGLED)), b"Transfer-Encoding: chunked") + CHUNKED,
        head(b"Transfer-Encoding: chunked", b"Content-Length: 4") + CHUNKED,
        head(b"Content-Length: 0", b"Content-Length: %d" % len(TEXT)) + TEXT,
        head(b"Content-Length: 0, %d" % len(TEXT)) + TEXT,
        head(b"Transfer-Encoding : chunked") + CHUNKED,
        head(b"Transfer-Encoding: xchunked") + CHUNKED,
        head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKED,
        head(b"Transfer-Encoding:\x0bchunked") + CHUNKED,
        head(b"Content-Length: -1") + TEXT,
        head(b"Content-Length: +%d" % len(TEXT)) + TEXT,
        head(b"X: a\r\n b", b"Content-Length: %d\x00" % len(TEXT)) + TEXT,
        head(b"Transfer-Encoding: chunked") + b"5;a=\n\r\nhello\r\n0\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n\r\n",
        b"GET /v1/models\r\n\r\n",
    ],
    ids=[
        "length and chunks",
        "chunks and length",
        "two lengths",
        "a list of lengths",
        "blank before the colon",
        "unknown encoding",
        "two encodings",
        "vertical tab",
        "negative length",
        "signed length",
        "folded line and NUL",
        "line end in a chunk's extension",
        "hexadecimal prefix",
        "bare line feeds",
        "no host",
        "no version",
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_its_connection_ended(
    sandbox: PoolSandbox, url: str, sent: bytes
) -> None:
    [engine] = engines(sandbox, "plain")
    before = total(engine_url(engine), "vllm:request_success_total")
    received = answers_to(url, [sent, SMUGGLED])
    assert statuses(received) in ([400], [426], [501])
    assert b'"object": "list"' not in received
    assert total(engine_url(engine), "vllm:request_success_total") == before


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-%d: a" % number for number in range(101)],
        [b"X: " + b"a" * 40_000],
        [b"X-%d: " % n + b"a" * 9000 for n in range(9)],
    ],
    ids=["101 headers", "a long one", "many long ones"],
)
def test_too_many_and_too_long_headers_are_431(url: str, lines: list[bytes]) -> None:
    received = answers_to(url, [head(*lines, b"Content-Length: %d" % len(TEXT)) + TEXT])
    assert statuses(received) == [431]


def test_a_header_that_never_ends_is_cut_off(url: str) -> None:
    sent = (b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(10_000))
    received = answers_to(url, [b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n", *sent])
    assert statuses(received) in ([431], [])


def test_a_long_url_is_refused(url: str) -> None:
    received = answers_to(url, [b"GET /v1/models?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert statuses(received) == [431]


@pytest.mark.parametrize("model", ["auto", "plain"])
def test_a_body_over_the_limit_is_413_however_it_is_sent(url: str, model: str) -> None:
    body = {**CHAT, "model": model, "user": "x" * 10 * MIB}
    assert post(url, json.dumps(body).encode()).status_code == 413
    endless = (b"%x\r\n%b\r\n" % (MIB, b"x" * MIB) for _ in range(30))
    started = b'{"model":"%b","user":"' % model.encode()
    first = b"%x\r\n%b\r\n" % (len(started), started)
    assert 413 in statuses(answers_to(url, [head(b"Transfer-Encoding: chunked") + first, *endless]))


async def test_sixteen_long_bodies_at_a_time_are_answered(url: str) -> None:
    body = {**CHAT, "model": "auto", "user": "x" * 9 * MIB}
    async with httpx2.AsyncClient(timeout=120) as client:
        answers = await asyncio.gather(*(client.post(f"{url}{PATH}", json=body) for _ in range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16


async def test_others_are_served_while_a_hundred_clients_are_slow(sandbox: PoolSandbox, url: str) -> None:
    streamed = json.dumps({**CHAT, "stream": True, "max_tokens": 2000, "ignore_eos": True}).encode()
    whole = head(b"Connection: close", b"Content-Length: %d" % len(streamed)) + streamed
    with ExitStack() as stack:
        slow_headers = [stack.enter_context(connect(url)) for _ in range(50)]
        slow_bodies = [stack.enter_context(connect(url)) for _ in range(40)]
        slow_readers = [stack.enter_context(connect(url)) for _ in range(10)]
        for connection in slow_headers:
            connection.sendall(head()[:-4])
        for connection in slow_bodies:
            connection.sendall(head(b"Content-Length: 1000") + b'{"model":')
        for connection in slow_readers:
            connection.sendall(whole)
        async with steady_load(lambda: [url], "plain", "auto", max_tokens=2) as load:
            # Half a header is waited for ten seconds.
            ends = [await asyncio.to_thread(everything, connection) for connection in slow_headers]
            await load.seen("auto", 200, 50)
            await load.seen("plain", 200, 50)
        streams = [await asyncio.to_thread(everything, connection) for connection in slow_readers]
    assert [statuses(end) for end in ends] == [[408]] * 50
    assert [stream.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for stream in streams] == [True] * 10
    assert (load.failed, load.errors) == (0, set())
    [engine] = engines(sandbox, "plain")
    eventually(lambda: total(engine_url(engine), "vllm:num_requests_running") == 0, "idle engine", 30.0)
