import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.workload import Arrival, Lengths

CHUNK = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
HEADERS = {"x-mixserve-pool": "mid", "x-mixserve-tier": "medium"}


async def answer(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    if body["model"] == "unknown":
        return web.json_response({"error": {"message": "no such model"}}, status=404)
    response = web.StreamResponse(headers=HEADERS if body["model"] == "auto" else {})
    await response.prepare(request)
    if body["model"] == "endless":
        await response.write(CHUNK)
        await asyncio.Event().wait()
    if body["model"] == "counting":
        await response.write(
            b'data: {"choices":[{"delta":{"content":"two words"}}],"usage":{"completion_tokens":2}}\n\n'
        )
        await response.write(b'data: {"choices":[],"usage":{"completion_tokens":9}}\n\n')
        body["max_tokens"] = 0
    if body["model"] == "garbled":
        await response.write(b"data: {\n\n")
    await response.write(ROLE + CHUNK * body["max_tokens"] + (b"" if body["model"] == "cut" else DONE))
    return response


@pytest.fixture
async def endpoint():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def send(model: str, endpoints: dict[str, str], count: int = 3, timeout_s: float = 30.0) -> Client:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session:
        client = Client(model=model, session=session, endpoints=endpoints)
        await client.run(Arrival(at_s=0.0, lengths=Lengths(100, 7)) for _ in range(count))
        return client


async def test_a_finished_stream_counts_its_tokens_and_its_time_to_first_token(endpoint):
    client = await send("small", {"pod-a": endpoint})
    assert [result.answer_tokens for result in client.results] == [7, 7, 7]
    assert all(not result.error and 0 < result.ttft_s <= result.duration_s for result in client.results)


async def test_where_the_engine_says_how_many_tokens_there_are_that_counts(endpoint):
    client = await send("counting", {"pod-a": endpoint}, count=1)
    assert (client.results[0].answer_tokens, client.results[0].error) == (9, "")


async def test_a_stream_without_its_end_is_an_error(endpoint):
    client = await send("cut", {"pod-a": endpoint}, count=1)
    assert client.results[0].error == "the stream was cut short"


async def test_a_refusal_is_an_error_with_the_servers_words(endpoint):
    client = await send("unknown", {"pod-a": endpoint}, count=1)
    assert client.results[0].error.startswith("HTTP 404: ")
    assert "no such model" in client.results[0].error


async def test_nobody_there_is_an_error():
    client = await send("small", {"pod-a": "http://127.0.0.1:1"}, count=1)
    assert "ClientConnectorError" in client.results[0].error


async def test_an_answer_that_takes_too_long_is_an_error_and_others_go_on(endpoint):
    client = await send("endless", {"pod-a": endpoint}, count=2, timeout_s=0.2)
    assert [result.error for result in client.results] == ["no end of the answer within 0 s"] * 2
    assert [result.answer_tokens for result in client.results] == [1, 1]


async def test_a_part_that_is_no_json_is_an_error(endpoint):
    client = await send("garbled", {"pod-a": endpoint}, count=1)
    assert "JSONDecodeError" in client.results[0].error


async def test_no_routable_pod_is_an_error():
    client = await send("small", {}, count=1)
    assert client.results[0].error == "no pod is routable"


async def test_requests_go_to_the_pod_with_the_fewest_in_flight(endpoint):
    client = await send("small", {"pod-a": endpoint, "pod-b": endpoint}, count=4)
    assert sorted(result.pod for result in client.results) == ["pod-a", "pod-a", "pod-b", "pod-b"]
    assert not any(client.in_flight.values())


async def test_equals_are_asked_in_turn(endpoint):
    async with aiohttp.ClientSession() as session:
        client = Client(model="small", session=session, endpoints={"a": endpoint, "b": endpoint})
        for _ in range(4):
            await client.run([Arrival(0.0, Lengths(10, 1))])
        assert [result.pod for result in client.results] == ["a", "b", "a", "b"]


async def test_what_the_gateway_says_about_an_answer_is_kept(endpoint):
    [through_gateway] = (await send("auto", {"gateway": endpoint}, count=1)).results
    [direct] = (await send("small", {"pod-a": endpoint}, count=1)).results
    assert (through_gateway.pool, through_gateway.tier) == ("mid", "medium")
    assert (direct.pool, direct.tier) == ("", "")


async def test_requests_are_sent_at_their_time(endpoint):
    async with aiohttp.ClientSession() as session:
        client = Client(model="small", session=session, endpoints={"a": endpoint})
        began_s = asyncio.get_running_loop().time()
        await client.run([Arrival(at_s=0.2, lengths=Lengths(10, 1))])
        assert asyncio.get_running_loop().time() - began_s >= 0.2
