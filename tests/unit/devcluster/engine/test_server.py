from __future__ import annotations

import asyncio
import json

import pytest

from support.simulated_server import annotations, served

HELLO = [{"role": "user", "content": "hello"}]
# At real time a token of the small model takes some 7 ms: a request of a thousand tokens lasts for the whole test.
LONG = {"messages": HELLO, "max_tokens": 1000, "ignore_eos": True}
REJECTIONS = 'admission_rejections_total{model_name="some/model",reason='


async def test_a_chat_is_answered() -> None:
    async with served() as engine:
        status, answer = await engine.post("/v1/chat/completions", messages=HELLO, max_tokens=5)
    assert status == 200
    assert answer["usage"] == {
        "prompt_tokens": 5,
        "total_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    assert len(answer["choices"][0]["message"]["content"]) == 20
    assert answer["id"].startswith("chatcmpl-")


async def test_a_completion_is_answered() -> None:
    async with served() as engine:
        status, answer = await engine.post("/v1/completions", prompt=[1, 2, 3])
    assert (status, answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (200, 3, 16)
    assert answer["id"].startswith("cmpl-")


async def test_the_clients_request_id_is_kept() -> None:
    async with served() as engine:
        headers = {"X-Request-Id": "mine"}
        async with engine.client.post("/v1/completions", json={"prompt": "a"}, headers=headers) as response:
            assert (await response.json())["id"] == "cmpl-mine"


async def test_the_first_served_name_is_the_name_in_answers() -> None:
    async with served("--served-model-name", "first", "second") as engine:
        _, answer = await engine.post("/v1/completions", prompt="a", model="second")
        async with engine.client.get("/v1/models") as response:
            cards = (await response.json())["data"]
    assert answer["model"] == "first"
    assert [(card["id"], card["root"], card["max_model_len"]) for card in cards] == [
        ("first", "some/model", 2048),
        ("second", "some/model", 2048),
    ]


async def test_a_stream_has_events_that_end_with_done() -> None:
    async with served() as engine:
        body = {"messages": HELLO, "max_tokens": 3, "stream": True, "stream_options": {"include_usage": True}}
        async with engine.client.post("/v1/chat/completions", json=body) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            *events, done, rest = (await response.text()).split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    text = "".join(delta["content"] for delta in deltas)
    assert [delta.get("role") for delta in deltas] == ["assistant", *[None] * (len(deltas) - 1)]
    assert len(text) == 12
    assert chunks[-1]["usage"]["completion_tokens"] == 3


async def test_a_conversation_that_goes_on_is_cached() -> None:
    async with served("--enable-prompt-tokens-details") as engine:
        turns = [{"role": "user", "content": "x" * 400}]
        _, answer = await engine.post("/v1/chat/completions", messages=turns, max_tokens=40, ignore_eos=True)
        turns += [answer["choices"][0]["message"], {"role": "user", "content": "and then?"}]
        _, answer = await engine.post("/v1/chat/completions", messages=turns, max_tokens=1)
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == (103 + 40) // 16 * 16
        assert await engine.sample("prefix_cache_hits_total") == (103 + 40) // 16 * 16


async def test_without_prefix_caching_nothing_is_cached() -> None:
    async with served("--enable-prompt-tokens-details", "--no-enable-prefix-caching") as engine:
        for _ in range(2):
            _, answer = await engine.post("/v1/completions", prompt="x" * 400, max_tokens=1)
        assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/chat/completions", b"{", 400, "BadRequestError"),
        ("/v1/chat/completions", b'{"messages": [{"role": "user"}], "model": "x"}', 404, "NotFoundError"),
        ("/v1/completions", b'{"prompt": "a", "max_tokens": 2048}', 400, "BadRequestError"),
    ],
)
async def test_errors_have_vllms_form(path: str, body: bytes, status: int, kind: str) -> None:
    async with served() as engine, engine.client.post(path, data=body) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"], answer["error"]["type"]) == (status, status, kind)
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "status", "detail", "allow"),
    [("/v1/embeddings", 404, "Not Found", None), ("/health", 405, "Method Not Allowed", "GET,HEAD")],
)
async def test_a_route_that_there_is_not_has_fastapis_form(path: str, status: int, detail: str, allow: str) -> None:
    async with served() as engine, engine.client.post(path, data=b"{}") as response:
        assert (response.status, await response.json()) == (status, {"detail": detail})
        assert response.headers.get("Allow") == allow


async def test_a_body_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixserve_devcluster.engine.server._LARGEST_BODY_BYTES", 1000)
    async with served() as engine:
        status, answer = await engine.post("/v1/completions", prompt="x" * 2000)
    assert (status, answer["error"]["message"]) == (413, "The body is larger than 1000 bytes.")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health"), ("GET", "/ping"), ("POST", "/ping"), ("GET", "/version"), ("GET", "/metrics")],
)
async def test_probes_and_metrics_need_no_key(method: str, path: str) -> None:
    async with served(api_key="secret") as engine, engine.client.request(method, path) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("authorization", "status"), [("Bearer secret", 200), ("Bearer other", 401), ("secret", 401), ("", 401), ("ü", 401)]
)
async def test_the_api_needs_the_key(authorization: str, status: int) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with served(api_key="secret") as engine, engine.client.get("/v1/models", headers=headers) as response:
        assert response.status == status


async def test_the_version_says_that_it_is_simulated() -> None:
    async with served() as engine, engine.client.get("/version") as response:
        assert (await response.json())["version"].endswith("+simulated")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_aborts_its_request(*, stream: bool) -> None:
    async with served(time_scale=1.0) as engine:
        task = asyncio.create_task(engine.post("/v1/chat/completions", **LONG, stream=stream))
        await engine.until_running(1)
        task.cancel()
        await engine.until_running(0)
        assert engine.loop.core.kv_cache_usage == 0.0
        assert await engine.sample('request_success_total{engine="0",finished_reason="abort"') == 1


async def test_a_client_that_reads_slowly_does_not_hold_up_others() -> None:
    async with served(time_scale=0.001) as engine:
        body = {**LONG, "stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
        async with engine.client.post("/v1/chat/completions", json=body) as unread:
            status, _ = await engine.post("/v1/chat/completions", messages=HELLO, max_tokens=2)
            assert status == 200
            assert (await unread.text()).endswith("data: [DONE]\n\n")


async def test_too_many_requests_are_turned_away() -> None:
    async with served("--max-num-queued-reqs", "1", time_scale=1.0) as engine:
        task = asyncio.create_task(engine.post("/v1/chat/completions", **LONG))
        await engine.until_running(1)
        status, answer = await engine.post("/v1/completions", prompt="a")
        assert (status, answer["error"]["type"]) == (503, "ServiceUnavailableError")
        assert (
            await engine.sample('admission_rejections_total{model_name="some/model",reason="max_num_queued_reqs"') == 1
        )
        task.cancel()


async def test_too_many_tokens_to_prefill_are_turned_away() -> None:
    slow = annotations(parameters=10**12)
    async with served("--max-num-queued-tokens", "50", time_scale=1.0, pod_annotations=slow) as engine:
        task = asyncio.create_task(engine.post("/v1/completions", prompt="x" * 4000))
        await engine.until_running(1)
        status, _ = await engine.post("/v1/completions", prompt="a")
        assert status == 503
        assert (
            await engine.sample('admission_rejections_total{model_name="some/model",reason="max_num_queued_tokens"')
            == 1
        )
        task.cancel()


async def test_tokens_whose_prefill_is_done_do_not_count() -> None:
    async with served("--max-num-queued-tokens", "50", time_scale=1.0) as engine:
        body = {"prompt": "x" * 400, "max_tokens": 1000, "ignore_eos": True, "stream": True}
        async with engine.client.post("/v1/completions", json=body) as decoding:
            await decoding.content.readline()
            status, _ = await engine.post("/v1/completions", prompt="a", max_tokens=1)
            assert status == 200


async def test_a_draining_server_finishes_what_it_has_and_takes_nothing_new() -> None:
    async with served() as engine:
        generations = engine.server.generations
        assert generations.idle.is_set()
        task = asyncio.create_task(engine.post("/v1/chat/completions", messages=HELLO, max_tokens=500, ignore_eos=True))
        await engine.until_running(1)
        generations.draining = True
        assert not generations.idle.is_set()
        status, answer = await engine.post("/v1/completions", prompt="a")
        assert (status, answer["error"]["type"]) == (503, "ServiceUnavailableError")
        assert (await task)[0] == 200
        async with asyncio.timeout(10):
            await generations.idle.wait()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"messages":' + b"[" * 100_000,
        b'{"prompt":"a","max_tokens":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"messages":[{"role":"user","content":"a"}],"tools":[' + b"[" * 950 + b"]" * 950 + b"]}",
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_a_body_that_is_nested_too_deeply_is_a_bad_request_or_none(path: str, body: bytes) -> None:
    async with served() as engine, engine.client.post(path, data=body) as response:
        answer = await response.json()
    assert response.status == 200 or (response.status, answer["error"]["type"]) == (400, "BadRequestError")


async def test_a_body_that_is_nested_too_deeply_is_refused_in_openais_form() -> None:
    async with served() as engine, engine.client.post("/v1/completions", data=b"[" * 100_000) as response:
        assert (response.status, (await response.json())["error"]) == (
            400,
            {"message": "The body is nested too deeply.", "type": "BadRequestError", "param": None, "code": 400},
        )


async def test_a_body_that_is_not_compressed_as_it_says_is_refused_and_the_next_request_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as engine:
        headers = {"Content-Encoding": "gzip"}
        async with engine.client.post("/v1/completions", data=b"not compressed", headers=headers) as response:
            assert (response.status, (await response.json())["error"]["message"]) == (
                400,
                "The body is not encoded as its headers say.",
            )
        assert (await engine.post("/v1/completions", prompt="a"))[0] == 200
    assert not caplog.records
