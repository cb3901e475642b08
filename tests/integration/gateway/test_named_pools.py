"""Requests that name a pool: Envoy alone."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import AsyncExitStack

import openai
import pytest

from mixserve.api.engine import Task
from mixserve.gateway.deciding import Verdict
from support.envoy import deciding_for, free_port, running_gateway
from support.scripted_engine import CHUNKS, Script, ScriptedEngine, scripted_engine, usage, whole_stream
from support.tables import policy, pool, table
from support.waiting_in_loop import until

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


def chat(model: str, **more) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}


async def test_the_model_names_the_pool(small, large, http):
    async with running_gateway(
        table(pool("small", small), pool("large", large, served_names=("big", "org/big")))
    ) as gateway:
        for model, name in (("small", "small"), ("big", "large"), ("org/big", "large")):
            async with http.post(gateway.url + CHAT, json=chat(model)) as response:
                assert (await response.json())["model"] == name
                assert response.headers["x-mixserve-pool"] == name

        assert large.seen[0].json() == chat("big")


async def test_a_stream_comes_byte_for_byte_and_is_accounted(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        async with http.post(gateway.url + CHAT, json=chat("small", stream=True)) as response:
            assert await response.read() == whole_stream("small")

        line = await gateway.log_line()
        assert line["seen"]["model"] == "small"
        assert {key: line[key] for key in ("pool", "endpoint", "status", "flags", "attempts")} == {
            "pool": "small",
            "endpoint": small.endpoint,
            "status": 200,
            "flags": "-",
            "attempts": 1,
        }
        assert json.loads(line["seen"]["usage"]) == usage(CHUNKS)
        assert line["first_byte_us"] > 0


@pytest.mark.parametrize(
    ("path", "body", "used"),
    [
        (CHAT, chat("small"), usage(CHUNKS)),
        (EMBEDDINGS, {"model": "small", "input": "hi"}, {"prompt_tokens": 11, "total_tokens": 11}),
    ],
)
async def test_plain_answers_are_accounted(small, http, path, body, used):
    task = Task.EMBED if path == EMBEDDINGS else Task.GENERATE
    async with running_gateway(table(pool("small", small, task=task))) as gateway:
        async with http.post(gateway.url + path, json=body) as response:
            assert response.status == 200

        line = await gateway.log_line()
        assert json.loads(line["seen"]["usage"]) == used


async def test_a_client_that_leaves_ends_the_generation_and_pays_for_what_it_saw(small, http):
    small.always = Script(chunk_after=asyncio.Event())
    async with running_gateway(table(pool("small", small))) as gateway:
        async with http.post(gateway.url + CHAT, json=chat("small", stream=True)) as response:
            await response.content.readuntil(b"\n\n")
            response.close()
        await until(lambda: small.left == 1)

        line = await gateway.log_line()
        assert (line["flags"], json.loads(line["seen"]["usage"])) == ("DC", usage(1))


async def test_a_replica_that_fails_before_the_first_byte_is_replaced(small, http):
    async with scripted_engine("other") as other:
        small.always = Script(die_after_chunks=-1)
        async with running_gateway(table(pool("p", small, other))) as gateway:
            for _ in range(4):
                async with http.post(gateway.url + CHAT, json=chat("p", stream=True)) as response:
                    assert await response.read() == whole_stream("other")


async def test_a_dead_replica_is_not_tried_again_because_it_has_the_fewest_requests(small, http):
    dead = ScriptedEngine("dead", endpoint=f"127.0.0.1:{free_port()}")
    names = [f"p{number}" for number in range(40)]
    small.scripts.extend(Script(chunk_after=asyncio.Event()) for _ in names)
    async with running_gateway(table(*(pool(name, small) for name in names))) as gateway, AsyncExitStack() as held:
        for name in names:
            await held.enter_async_context(http.post(gateway.url + CHAT, json=chat(name, stream=True)))
        await gateway.apply(table(*(pool(name, small, dead) for name in names)))

        async def status(name: str) -> int:
            async with http.post(gateway.url + CHAT, json=chat(name)) as response:
                return response.status

        assert await asyncio.gather(*map(status, names)) == [200] * len(names)


@pytest.mark.parametrize("status", [429, 503])
async def test_an_overloaded_replica_is_replaced(small, http, status):
    async with scripted_engine("other") as other:
        small.always = Script(status=status)
        async with running_gateway(table(pool("p", small, other))) as gateway:
            for _ in range(4):
                async with http.post(gateway.url + CHAT, json=chat("p")) as response:
                    assert (await response.json())["model"] == "other"


async def test_what_has_begun_is_never_begun_again_and_no_client_takes_it_for_complete(small):
    small.always = Script(die_after_chunks=3)
    async with scripted_engine("other") as other, running_gateway(table(pool("p", small, other))) as gateway:
        client = openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="x", max_retries=0)
        failures = complete = 0
        while not (failures and complete):
            stream = await client.chat.completions.create(**chat("p"), stream=True)
            try:
                assert len([event async for event in stream]) == CHUNKS
                complete += 1
            except openai.APIError as error:
                failures += error.code == "engine_failed"
        await client.close()
        assert failures == len(small.seen)

        lines = [await gateway.log_line(number) for number in range(failures + complete)]
        assert [line["seen"].get("state") for line in lines].count("broken_off") == failures


async def test_ten_megabytes_pass_and_eleven_do_not(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        for mib, status in ((9.9, 200), (10.1, 413)):
            body = json.dumps(chat("small", extra="x" * round(mib * 2**20)))
            async with http.post(gateway.url + CHAT, data=io.BytesIO(body.encode())) as response:
                assert response.status == status
                answer = await response.json()

        assert answer["error"]["code"] == "request_too_large"
        assert len(small.seen[0].json()["extra"]) > 9_900_000


async def test_other_models_and_unreadable_bodies_are_refused_as_the_api_does(small, http):
    async with running_gateway(table(pool("small", small), pool("gone"))) as gateway:
        cases = {
            json.dumps(chat('no "such" one')): (404, "model_not_found", 'The model `no "such" one` does not exist.'),
            json.dumps(chat("gone")): (503, "no_replica", "No replica of the model takes requests at the moment."),
            '{"messages": []}': (400, None, "The request names no model."),
            '{"model": 5}': (400, None, "The request names no model."),
            '{"model": "small"': (400, None, "The body of the request is no JSON object."),
            "[1]": (400, None, "The body of the request is no JSON object."),
            "": (400, None, "The body of the request is no JSON object."),
        }
        for body, (status, code, message) in cases.items():
            async with http.post(gateway.url + CHAT, data=body) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"], error["message"], error["param"]) == (
                    status,
                    code,
                    message,
                    None,
                )
        assert not small.seen


@pytest.mark.parametrize(
    ("name", "wrong", "there"),
    [
        ("text", [EMBEDDINGS], f"{CHAT} and {COMPLETIONS}"),
        ("texts", [EMBEDDINGS], f"{CHAT} and {COMPLETIONS}"),
        ("vectors", [CHAT, COMPLETIONS], EMBEDDINGS),
        ("org/vectors", [CHAT, COMPLETIONS], EMBEDDINGS),
        ("embed", [CHAT, COMPLETIONS], EMBEDDINGS),
    ],
    ids=["pool", "policy", "pool of embeddings", "its other name", "policy of embeddings"],
)
async def test_paths_of_another_task_are_refused_with_those_that_the_model_has(small, http, name, wrong, there):
    entries = (
        pool("text", small),
        pool("vectors", small, served_names=("vectors", "org/vectors"), task=Task.EMBED),
        policy("texts", ("text",), ("gone",)),
        policy("embed", ("vectors",), ("gone",)),
    )
    async with running_gateway(table(*entries)) as gateway:
        for path in wrong:
            async with http.post(gateway.url + path, json={"model": name}) as response:
                message = f"The model `{name}` is not for this address: it has {there}."
                error = {"message": message, "type": "invalid_request_error", "param": None, "code": "wrong_task"}
                assert (response.status, await response.json()) == (400, {"error": error})
                assert response.headers["access-control-allow-origin"] == "*"
        assert not small.seen
        assert not gateway.questions


async def test_a_policy_of_pools_for_both_refuses_no_path(small, http):
    entries = (pool("text", small), pool("vectors", small, task=Task.EMBED), policy("both", ("text",), ("vectors",)))
    async with running_gateway(table(*entries), deciding_for(Verdict(chain="both/t2/vectors"))) as gateway:
        for path in (CHAT, COMPLETIONS, EMBEDDINGS):
            async with http.post(gateway.url + path, json={"model": "both"}) as response:
                assert response.status == 200


async def test_addresses_that_there_are_not(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        for method, path, status in (
            ("GET", CHAT, 405),
            ("POST", "/v2/chat", 404),
            ("GET", "/", 404),
            ("POST", "/v1/other", 404),
            ("GET", "/v1/models/nope", 404),
        ):
            body = {"json": chat("nope")} if method == "POST" else {}
            async with http.request(method, gateway.url + path, **body) as response:
                assert response.status == status, path
                error = (await response.json())["error"]
                assert error["type"] == "invalid_request_error"
                assert error["code"] != "unknown_url" or CHAT in error["message"]  # where else to go


async def test_the_models_are_listed(small):
    async with running_gateway(table(pool("small", small, served_names=("small", "org/one")))) as gateway:
        client = openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="x", max_retries=0)
        assert [model.id for model in (await client.models.list()).data] == ["org/one", "small"]
        assert (await client.models.retrieve("org/one")).id == "org/one"
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(**chat("nope"))
        await client.close()
