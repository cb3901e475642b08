"""Requests that name a policy: Envoy asks, follows the answer, and falls back along the chain."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import FallbackReason
from mixserve.gateway.deciding import Refusal, Verdict
from mixserve.route.table import ShadowEntry
from support.envoy import deciding_for, running_gateway
from support.scripted_engine import Script, scripted_engine, whole_stream
from support.tables import policy, pool, table
from support.waiting_in_loop import eventually, until

CHAT = "/v1/chat/completions"
LABELS = {"policy": "auto", "tier": "t1", "complexity": "2", "cause": "Complexity", "reason": "-0.95: digits -0.23"}
TO_SMALL = Verdict(chain="auto/t1/small", labels=LABELS)
AUTO = policy("auto", ("small",), ("large",))


def chat(model: str = "auto", **more) -> dict:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}


@pytest.fixture
def tables(small, large):
    """A table with the two pools and a policy over both."""
    return lambda auto=AUTO: table(pool("small", small), pool("large", large), auto)


async def test_a_decision_is_asked_for_followed_and_told(tables, small, http):
    async with running_gateway(tables(), deciding_for(TO_SMALL)) as gateway:
        wishes = {"x-mixserve-tier": "t1", "x-mixserve-session": "s", "x-other": "1"}
        async with http.post(gateway.url + CHAT, json=chat(), headers=wishes) as response:
            assert (await response.json())["model"] == "small"
            told = {name: response.headers[f"x-mixserve-{name}"] for name in (*LABELS, "pool")}

        assert told == {**LABELS, "pool": "small"}
        (question,) = gateway.questions
        assert (question.policy, question.pool, question.tier, question.session) == ("auto", None, "t1", "s")
        assert json.loads(question.body) == chat()
        line = await gateway.log_line()
        assert {name: line["seen"][name] for name in (*LABELS, "model")} == {**LABELS, "model": "auto"}
        assert line["pool"] == "small"
        assert small.seen[0].json() == chat(model="")
        assert not [name for name in small.seen[0].headers if name.startswith("x-mixserve-c")]


@pytest.mark.parametrize(
    "script",
    [Script(status=429), Script(status=503), Script(die_after_chunks=-1)],
    ids=["busy", "unavailable", "dies before the first byte"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_next_pool_of_the_chain_answers(tables, small, http, script, stream):
    small.always = script
    gateway_ = running_gateway(tables(), deciding_for(TO_SMALL))
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat(stream=stream)) as response:
        text = await response.read()
        assert response.headers["x-mixserve-pool"] == "large"

        assert text == whole_stream("large") if stream else json.loads(text)["model"] == "large"
        line = await gateway.log_line()
        assert (line["pool"], line["seen"]["tier"], line["attempts"]) == ("large", "t1", 2)


@pytest.mark.parametrize(
    "script", [Script(status=429), Script(die_after_chunks=-1)], ids=["busy", "dies before the first byte"]
)
async def test_the_next_pool_answers_all_that_come_at_once(tables, small, large, http, script):
    small.always = script
    there = asyncio.Event()
    large.always = Script(first_byte_after=there)
    async with running_gateway(tables(), deciding_for(TO_SMALL)) as gateway:

        async def ask() -> int:
            async with http.post(gateway.url + CHAT, json=chat()) as response:
                return response.status

        asked = [asyncio.ensure_future(ask()) for _ in range(60)]
        await until(lambda: len(large.seen) == len(asked) or any(each.done() for each in asked))
        there.set()
        assert await asyncio.gather(*asked) == [200] * len(asked)


@pytest.mark.parametrize(
    "script",
    [Script(first_byte_after=asyncio.Event()), Script(chunk_after=asyncio.Event(), chunks_at_once=0)],
    ids=["without headers", "with headers alone"],
)
async def test_a_stream_that_does_not_begin_in_time_begins_elsewhere(tables, small, http, script):
    small.always = script
    verdict = Verdict(chain="auto/t1/small", labels=LABELS, first_byte_timeout_s=0.2)
    async with running_gateway(tables(), deciding_for(verdict)) as gateway:
        async with http.post(gateway.url + CHAT, json=chat(stream=True)) as response:
            assert await response.read() == whole_stream("large")
        await until(lambda: small.left == 1)


async def test_a_stream_that_no_pool_begins_in_time_is_a_timeout(tables, small, large, http):
    small.always = large.always = Script(chunk_after=asyncio.Event(), chunks_at_once=0)
    verdict = Verdict(chain="auto/t1/small", labels=LABELS, first_byte_timeout_s=0.1)
    async with running_gateway(tables(), deciding_for(verdict)) as gateway:
        async with http.post(gateway.url + CHAT, json=chat(stream=True)) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (504, "timeout")
        await until(lambda: small.left == large.left == 1)


async def test_a_stream_whose_engine_dies_before_its_first_token_begins_elsewhere(tables, small, http):
    small.always = Script(die_after_chunks=0)
    async with running_gateway(tables(), deciding_for(TO_SMALL)) as gateway:
        async with http.post(gateway.url + CHAT, json=chat(stream=True)) as response:
            assert await response.read() == whole_stream("large")
        assert len(small.seen) == 1


async def test_a_stream_that_has_begun_in_time_may_take_longer(tables, small, http):
    slow = asyncio.Event()
    small.always = Script(chunk_after=slow)
    verdict = Verdict(chain="auto/t1/small", labels=LABELS, first_byte_timeout_s=0.2)
    async with running_gateway(tables(), deciding_for(verdict)) as gateway:
        async with http.post(gateway.url + CHAT, json=chat(stream=True)) as response:
            await response.content.readuntil(b"\n\n")
            asyncio.get_running_loop().call_later(0.5, slow.set)
            rest = await response.read()
        assert rest.endswith(b"data: [DONE]\n\n")


async def test_no_fallback_for_reasons_that_the_policy_does_not_name(tables, small, large, http):
    small.always = Script(status=503)
    auto = policy("auto", ("small",), ("large",), fallback_when=frozenset({FallbackReason.UNAVAILABLE}))
    gateway_ = running_gateway(tables(auto), deciding_for(TO_SMALL))
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert response.status == 503
        assert (await response.json())["error"]["message"] == "small says 503"
    assert not large.seen


async def test_what_no_pool_answers_is_told_in_the_last_ones_words(tables, small, large, http):
    small.always = Script(status=429)
    large.always = Script(status=429)
    gateway_ = running_gateway(tables(), deciding_for(TO_SMALL))
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert (response.status, (await response.json())["error"]["message"]) == (429, "large says 429")


async def test_an_error_of_the_model_is_no_reason_to_ask_another(tables, small, large, http):
    small.always = Script(status=500)
    gateway_ = running_gateway(tables(), deciding_for(TO_SMALL))
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert response.status == 500
    assert not large.seen


async def test_pools_without_replicas_are_passed_over(large, http):
    one = table(pool("small"), pool("large", large), AUTO)
    async with running_gateway(one, deciding_for(TO_SMALL)) as gateway:
        async with http.post(gateway.url + CHAT, json=chat()) as response:
            assert (await response.json())["model"] == "large"

        await gateway.apply(table(pool("small"), pool("large"), AUTO))
        async with http.post(gateway.url + CHAT, json=chat()) as response:
            error = (await response.json())["error"]
            assert (response.status, error["message"]) == (503, "No pool of the policy takes requests at the moment.")
            assert response.headers["x-mixserve-tier"] == "t1"


async def test_the_endpoints_of_a_decision_are_tried_in_their_order(small, large, http):
    async with scripted_engine("b") as second, scripted_engine("c") as third:
        one = table(pool("small", small, second, third), pool("large", large), AUTO)
        order = (third.endpoint, small.endpoint, large.endpoint)
        verdict = Verdict(chain="auto/t1/small", endpoints=order, labels=LABELS)
        async with running_gateway(one, deciding_for(verdict)) as gateway:

            async def answered() -> str:
                async with http.post(gateway.url + CHAT, json=chat()) as response:
                    return (await response.json())["model"]

            assert [await answered() for _ in range(5)] == ["c"] * 5
            third.scripts.append(Script(status=503))
            assert await answered() == "small"
            third.scripts.append(Script(status=503))
            small.scripts.append(Script(status=503))
            assert await answered() == "large"
        assert not second.seen


async def test_a_long_request_is_sent_again_whole(tables, small, large, http):
    small.always = Script(status=503)
    body = chat(extra="x" * 9_000_000)
    gateway_ = running_gateway(tables(), deciding_for(TO_SMALL))
    async with (
        gateway_ as gateway,
        http.post(gateway.url + CHAT, data=io.BytesIO(json.dumps(body).encode())) as response,
    ):
        assert (await response.json())["model"] == "large"
    assert large.seen[0].json() == {**body, "model": ""}


async def test_the_gateway_may_answer_itself(tables, small, http):
    refusal = Refusal(status=429, message="Later.", kind="rate_limit_error", code="budget", retry_after_s=7)
    gateway_ = running_gateway(tables(), lambda _question: refusal)
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert (response.status, response.headers["retry-after"]) == (429, "7")
        assert (await response.json())["error"] == {
            "message": "Later.",
            "type": "rate_limit_error",
            "param": None,
            "code": "budget",
        }
    assert not small.seen


async def test_the_field_that_is_wrong_is_named(tables, small, http):
    refusal = Refusal(status=400, message="No.", kind="invalid_request_error", param="messages[0].content")
    gateway_ = running_gateway(tables(), lambda _question: refusal)
    async with gateway_ as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert (await response.json())["error"]["param"] == "messages[0].content"
    assert not small.seen


async def test_a_decision_by_tiers_that_envoy_does_not_have_is_followed_to_the_largest(tables, http):
    """Envoy and the process learn of an edited policy one after the other; the request must not fail for that."""
    renamed = Verdict(chain="auto/renamed/small", labels={**LABELS, "tier": "renamed"})
    running = running_gateway(tables(), deciding_for(renamed))
    async with running as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert (response.status, (await response.json())["model"]) == (200, "large")
        assert response.headers["x-mixserve-pool"] == "large"


async def test_a_decision_may_take_its_time(tables, http):
    async def later(_question):
        await asyncio.sleep(0.3)
        return TO_SMALL

    async with running_gateway(tables(), later) as gateway, http.post(gateway.url + CHAT, json=chat()) as response:
        assert (await response.json())["model"] == "small"


async def test_without_an_answer_policies_get_503_and_pools_go_on(small, large, http):
    aware = pool("aware", large, strategy=RoutingStrategy.PREFIX_AWARE)
    one = table(pool("small", small), aware, policy("auto", ("small",)))
    async with running_gateway(one, decision_timeout_s=0.3, picking_timeout_s=0.3) as gateway:

        async def asked(model: str) -> tuple[int, str]:
            async with http.post(gateway.url + CHAT, json=chat(model)) as response:
                answer = await response.json()
                return response.status, answer["error"]["message"] if "error" in answer else answer["model"]

        cannot = (503, "The gateway cannot decide at the moment where the request goes.")

        async def hang(_question):
            await asyncio.Event().wait()

        def fail(_question):
            raise RuntimeError("meant to fail")

        for decider in (hang, fail):
            gateway.decider = decider
            assert await asked("auto") == cannot
            assert await asked("aware") == (200, "large")
        await gateway.server.stop()
        assert await asked("auto") == cannot
        assert await asked("aware") == (200, "large")
        assert await asked("small") == (200, "small")

        gateway.decider = deciding_for(Verdict(chain="auto/t1/small", labels=LABELS))
        await gateway.restart_process()
        assert await asked("auto") == (200, "small")
        assert await asked("small") == (200, "small")


async def test_a_pool_may_have_its_endpoints_chosen(small, large, http):
    aware = pool("aware", small, large, strategy=RoutingStrategy.PREFIX_AWARE)
    async with running_gateway(table(aware), deciding_for(Verdict(endpoints=(large.endpoint,)))) as gateway:
        for _ in range(5):
            async with http.post(gateway.url + CHAT, json=chat("aware")) as response:
                assert (await response.json())["model"] == "large"
        assert gateway.questions[0].pool == "aware"
    assert large.seen[0].json() == chat("aware")


async def test_a_shadow_gets_copies_and_changes_nothing(small, large, http):
    auto = policy("auto", ("small",), shadow=ShadowEntry(pool="large", percent=100))
    large.scripts.extend(
        [Script(), Script(status=503), Script(die_after_chunks=-1), Script(first_byte_after=asyncio.Event())]
    )
    one = table(pool("small", small), pool("large", large), auto)
    async with running_gateway(one, deciding_for(TO_SMALL)) as gateway:
        for _ in range(4):
            async with http.post(gateway.url + CHAT, json=chat(stream=True)) as response:
                assert await response.read() == whole_stream("small")
        await until(lambda: len(large.seen) == 4)

        async def lines() -> bool:
            return await gateway.log_line(3) is not None

        await eventually(lines, "four lines")
