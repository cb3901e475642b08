"""What clients of a gateway see while one of its parts dies, or is replaced; docs/gateway-faults.md has the table."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import openai
import pytest

from mixserve.plan.envoy.openai_errors import BROKEN_OFF
from mixserve.plan.envoy.settings import EnvoySettings
from support.engine_counters import engine_url, total
from support.gateway_processes import engine_of, envoy_of, kill, python_of
from support.gateway_scenes import (
    client_url,
    completion_tokens,
    engines,
    gateway_cluster,
    gateway_pods,
    logged_requests,
    small_pool,
    web_url,
)
from support.gateways import client_of, gateway_urls, wait_for_policy
from support.policies import policy_manifest
from support.steady_load import steady_load
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.pool_sandbox import PoolSandbox

# Some three minutes on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

REPLICAS = {"small": 2, "plain": 2, "large": 1}
HI: Any = [{"role": "user", "content": "Hi"}]
# Some 5 ms for each token.
HALF_A_SECOND, FOUR_SECONDS = 100, 800
DECISION_LIMIT_S = EnvoySettings(directory=".").decision_timeout_s


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolSandbox]:
    with gateway_cluster("faults", tmp_path_factory.mktemp("state"), time_scale=1.0) as made:
        pools = [
            small_pool("small", replicas=REPLICAS["small"]),
            small_pool("plain", replicas=REPLICAS["plain"], routing={"strategy": "LeastLoad"}),
            small_pool("large", replicas=REPLICAS["large"]),
        ]
        made.apply([*pools, policy_manifest()])
        wait_for_policy(made, "auto")
        yield made


@pytest.fixture(autouse=True)
def whole(sandbox: PoolSandbox) -> None:
    """Each test begins with two pods of the gateway that know all engines."""
    for pool, replicas in REPLICAS.items():
        engines(sandbox, pool, replicas=replicas)
    pods = eventually(lambda: both(sandbox), "both pods of the gateway with all their processes", 180.0)
    for url in map(client_url, pods):
        for model in (*REPLICAS, "auto"):
            eventually(lambda url=url, model=model: serves(url, model), f"answer of {model}", 120.0)


def both(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    pods = gateway_pods(sandbox)
    urls = gateway_urls(sandbox)
    return pods if len(urls) == len(pods) == 2 and all(python_of(pod) and envoy_of(pod) for pod in pods) else []


def serves(url: str, model: str) -> bool:
    try:
        return bool(client_of(url).chat.completions.create(model=model, messages=HI, max_tokens=1))
    except openai.APIError:
        return False


def retries(sandbox: PoolSandbox) -> float:
    return sum(total(web_url(pod), "mixserve_gateway_retries_total") for pod in gateway_pods(sandbox))


async def test_without_the_process_named_pools_are_served_and_policies_are_refused_clearly(
    sandbox: PoolSandbox,
) -> None:
    pod, other = gateway_pods(sandbox)
    async with (
        steady_load(lambda: [client_url(pod)], "plain", "small", "auto", max_tokens=2) as load,
        steady_load(lambda: [client_url(other)], "auto", max_tokens=2) as elsewhere,
    ):
        for _ in range(2):
            await load.seen("auto", 200, 20)
            await asyncio.to_thread(kill, python_of(pod))
            await load.seen("auto", 503, 20)
            await load.seen("plain", 200, 50)
            await load.seen("small", 200, 50)
            # It is started again.
            await load.seen("auto", 200, 20)
    assert load.statuses("plain") == load.statuses("small") == {200}
    assert load.statuses("auto") == {200, 503}
    assert elsewhere.statuses("auto") == {200}
    for said in load.errors:
        error = json.loads(said)["error"]
        assert (error["type"], error["code"] in {"unavailable", "model_changing"}) in {
            ("service_unavailable_error", True),
            ("server_error", True),
        }
    report("process killed twice", load.outcomes, load.slowest_s)


async def test_a_process_that_stands_still_costs_policies_a_clear_503_in_time_and_is_replaced(
    sandbox: PoolSandbox,
) -> None:
    pod, other = gateway_pods(sandbox)
    stopped = python_of(pod)
    assert stopped is not None
    async with (
        steady_load(lambda: [client_url(pod)], "plain", max_tokens=2) as load,
        steady_load(lambda: [client_url(pod)], "small", "auto", max_tokens=2) as asking,
        steady_load(lambda: [client_url(other)], "auto", max_tokens=2) as elsewhere,
    ):
        await asking.seen("auto", 200, 20)
        os.kill(stopped, signal.SIGSTOP)
        await asking.seen("auto", 503, 4)
        before = load.outcomes["plain", 200]
        await asking.seen("small", 200, 4)
        # Nothing waits for the process but what asks it.
        assert load.outcomes["plain", 200] > before
        report("process stands still", asking.outcomes, asking.slowest_s, load.outcomes, load.slowest_s)
        assert asking.slowest_s < DECISION_LIMIT_S + 2.0
        # Its probe finds it, and it is started again.
        await asyncio.to_thread(eventually, lambda: python_of(pod) not in {None, stopped}, "new process", 150.0)
        await asking.seen("auto", 200, 20)
    assert load.statuses("plain") == asking.statuses("small") == elsewhere.statuses("auto") == {200}
    assert asking.statuses("auto") == {200, 503}
    assert {json.loads(said)["error"]["type"] for said in asking.errors} <= {
        "service_unavailable_error",
        "server_error",
    }


async def test_a_pod_whose_process_was_ended_alone_takes_requests_again(sandbox: PoolSandbox) -> None:
    pod, _ = gateway_pods(sandbox)
    ended = python_of(pod)
    assert ended is not None
    os.kill(ended, signal.SIGTERM)
    await asyncio.to_thread(eventually, lambda: client_url(pod) not in gateway_urls(sandbox), "draining pod", 60.0)
    await asyncio.to_thread(eventually, lambda: python_of(pod) not in {None, ended}, "new process", 60.0)
    await asyncio.to_thread(eventually, lambda: client_url(pod) in gateway_urls(sandbox), "ready pod", 60.0)


async def test_clients_that_try_the_other_pod_do_not_notice(sandbox: PoolSandbox) -> None:
    pods = gateway_pods(sandbox)
    failed = 0

    def ask(number: int) -> None:
        for attempt in range(2):
            try:
                client_of(client_url(pods[(number + attempt) % 2])).chat.completions.create(
                    model="auto", messages=HI, max_tokens=2
                )
            except openai.InternalServerError:
                nonlocal failed
                failed += 1
            else:
                return
        pytest.fail("both pods refused")

    kill(python_of(pods[0]))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(40)))
    assert failed > 0


@pytest.mark.parametrize("model", ["plain", "small", "auto"])
async def test_an_engine_that_dies_before_its_answer_is_replaced_by_another(sandbox: PoolSandbox, model: str) -> None:
    pool = "plain" if model == "plain" else "small"
    before, urls = retries(sandbox), gateway_urls(sandbox)
    [victim, _] = engines(sandbox, pool, replicas=2)
    async with steady_load(lambda: urls, model, clients=8, max_tokens=HALF_A_SECOND, ignore_eos=True) as load:
        await load.seen(model, 200, 8)
        await asyncio.to_thread(
            eventually, lambda: total(engine_url(victim), "vllm:num_requests_running") > 0, "busy victim"
        )
        await asyncio.to_thread(kill, engine_of(victim))
        await load.seen(model, 200, 32)
    assert load.statuses(model) == {200}
    again = eventually(lambda: retries(sandbox) - before, "accounted retries", 60.0)
    report(f"engine of {model} killed before its answers", load.outcomes, load.slowest_s, again)


@pytest.mark.parametrize("model", ["large", "auto"])
def test_clients_are_told_that_a_stream_broke_off_and_what_they_had_is_accounted(
    sandbox: PoolSandbox, model: str
) -> None:
    [victim] = engines(sandbox, "large", replicas=1)
    [pod, _] = gateway_pods(sandbox)
    before = total(web_url(pod), "mixserve_gateway_broken_answers_total")
    stream = client_of(client_url(pod)).chat.completions.create(
        model=model,
        messages=HI,
        max_tokens=FOUR_SECONDS,
        stream=True,
        extra_body={"ignore_eos": True},
        extra_headers={"x-mixserve-tier": "large"},
    )
    seen = [next(stream).usage for _ in range(20)]
    kill(engine_of(victim))
    with pytest.raises(openai.APIError) as raised:
        seen += [chunk.usage for chunk in stream]
    assert raised.value.code == "engine_failed"
    assert seen[-1] is not None
    [line] = eventually(lambda: broken_off(sandbox, pod, model), "line in the log", 30.0)
    assert seen[-1].completion_tokens <= completion_tokens(line) < FOUR_SECONDS
    assert (line["status"], line["pool"], line["attempts"]) == (200, "large", 1)
    eventually(lambda: total(web_url(pod), "mixserve_gateway_broken_answers_total") == before + 1, "count of it")
    report(f"engine of {model} killed in mid-stream", line["seen"]["state"], raised.value.message)


def broken_off(sandbox: PoolSandbox, pod: Mapping[str, Any], model: str) -> list[dict[str, Any]]:
    """The log's lines about answers that their engine did not finish."""
    lines = logged_requests(sandbox, pod)
    return [line for line in lines if line["seen"]["model"] == model and line["seen"].get("state") == "broken_off"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_so_is_curl(sandbox: PoolSandbox, version: str) -> None:
    [victim] = engines(sandbox, "large", replicas=1)
    [pod, _] = gateway_pods(sandbox)
    body = {"model": "large", "messages": HI, "max_tokens": FOUR_SECONDS, "stream": True, "ignore_eos": True}
    command = ["curl", "--silent", "--no-buffer", version, f"{client_url(pod)}/v1/chat/completions"]
    with subprocess.Popen([*command, "--data", json.dumps(body)], stdout=subprocess.PIPE) as asked:
        assert asked.stdout is not None
        assert asked.stdout.readline().startswith(b"data: ")
        kill(engine_of(victim))
        rest = asked.stdout.read()
    assert asked.returncode == 0
    assert rest.endswith(f"\n\ndata: {BROKEN_OFF}\n\n".encode())
    assert b"[DONE]" not in rest


async def test_a_pod_of_the_gateway_that_is_deleted_finishes_what_it_carries(sandbox: PoolSandbox) -> None:
    pod, _ = gateway_pods(sandbox)
    with Ready(sandbox) as there, ThreadPoolExecutor(10) as threads:
        loop = asyncio.get_running_loop()
        async with steady_load(lambda: there.urls, "plain", "small", "auto", max_tokens=2) as load:
            streams = [
                loop.run_in_executor(threads, tokens_of_stream, client_url(pod), FOUR_SECONDS) for _ in range(10)
            ]
            await load.seen("auto", 200, 20)
            await asyncio.to_thread(sandbox.kubectl, "delete", "pod", pod["metadata"]["name"], "--wait=false")
            finished = await asyncio.gather(*streams)
            await asyncio.to_thread(eventually, lambda: is_gone(sandbox, pod), "end of the pod", 120.0)
            await load.seen("auto", 200, 20)
    assert finished == [FOUR_SECONDS] * 10
    assert (load.failed, load.errors) == (0, set())
    report("gateway pod deleted", load.outcomes, load.slowest_s)


class Ready:
    """The gateway's pods that a Service would send clients to, kept up to date while the context lasts."""

    def __init__(self, sandbox: PoolSandbox) -> None:
        self._sandbox = sandbox
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self.urls = gateway_urls(sandbox)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        # About as late as a node learns of it.
        while not self._is_over.wait(0.2):
            self.urls = gateway_urls(self._sandbox)


def is_gone(sandbox: PoolSandbox, pod: Mapping[str, Any]) -> bool:
    return not sandbox.kubectl("get", "pod", pod["metadata"]["name"], "--ignore-not-found", "--output", "name")


def tokens_of_stream(url: str, tokens: int) -> int:
    """The tokens of a stream that was read to its end, as the engine tells them."""
    stream = client_of(url).chat.completions.create(
        model="plain", messages=HI, max_tokens=tokens, stream=True, extra_body={"ignore_eos": True}
    )
    *_, last = stream
    return 0 if last.usage is None else last.usage.completion_tokens


async def test_a_policy_may_be_edited_under_load(sandbox: PoolSandbox) -> None:
    urls = gateway_urls(sandbox)
    async with steady_load(lambda: urls, "auto", "plain", max_tokens=2) as load:
        for edit in range(20):
            target = ("plain", "small")[edit % 2]
            await asyncio.to_thread(sandbox.apply, [policy_manifest(small=target)])
            for url in urls:
                await asyncio.to_thread(
                    eventually, lambda url=url, target=target: answered_by(url) == target, "edited policy", 60.0
                )
    assert (load.failed, load.errors) == (0, set())
    report("policy edited 20 times", load.outcomes, load.slowest_s)


def answered_by(url: str) -> str:
    """The pool that answers for the policy."""
    raw = client_of(url).chat.completions.with_raw_response.create(model="auto", messages=HI, max_tokens=1)
    return str(raw.headers["x-mixserve-pool"])


async def test_an_envoy_that_dies_is_started_again_and_the_other_pod_serves(sandbox: PoolSandbox) -> None:
    pod, other = gateway_pods(sandbox)
    async with (
        steady_load(lambda: [client_url(pod)], "plain", "auto", max_tokens=2) as load,
        steady_load(lambda: [client_url(other)], "plain", "auto", max_tokens=2) as elsewhere,
    ):
        await load.seen("auto", 200, 20)
        await asyncio.to_thread(kill, envoy_of(pod))
        await load.seen("auto", 0)
        await load.seen("auto", 200, 20)
        await load.seen("plain", 200, 20)
    assert elsewhere.failed == 0
    assert load.statuses("auto") | load.statuses("plain") <= {0, 200, 503}
    report("Envoy killed", load.outcomes, load.slowest_s)


def report(*what: object) -> None:
    """For the table in the documentation: pytest shows it with -rP."""
    print(*what)  # noqa: T201
