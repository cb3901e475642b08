"""Clients of OpenAI's API, unchanged, at a gateway: the official SDK, curl, and a browser's fetch."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from mixserve_devcluster import service_endpoints
from support.certificates import certificate, tls_secret
from support.engine_counters import engine_url, total
from support.gateway_scenes import engines, gateway_cluster, small_pool
from support.gateways import client_of, gateway_urls, wait_for_policy
from support.policies import policy_manifest
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.pool_sandbox import PoolSandbox

# About a minute on a quiet machine, most of it for the cluster.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HOST, SECRET = "gateway", "gateway-tls"
# Longer than any test would wait for it: some 5 ms for each token.
ENDLESS: dict[str, Any] = {"max_tokens": 8000, "extra_body": {"ignore_eos": True}}
LARGEST_BYTES = 10 * 2**20
HI: Any = [{"role": "user", "content": "Hi"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TOOLS = {"args": ["--enable-auto-tool-choice", "--tool-call-parser=hermes"]}
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


@dataclass(frozen=True)
class Scene:
    """A gateway and what is behind it.

    Attributes:
        url: one of its pods.
        tls: the same with TLS: address and port.
        authority: a file with what signed the certificate.
    """

    sandbox: PoolSandbox
    url: str
    tls: tuple[str, int]
    authority: Path

    @property
    def client(self) -> openai.OpenAI:
        return client_of(self.url)

    def headers_of(self, **fields: Any) -> Mapping[str, str]:
        """Headers of the answer to a short chat."""
        return self.client.chat.completions.with_raw_response.create(messages=HI, max_tokens=1, **fields).headers


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    chain, key = certificate(HOST)
    authority = tmp_path_factory.mktemp("authority") / "ca.crt"
    authority.write_bytes(chain)
    values = {"gateway": {"tls": {"secretName": SECRET}}}
    with gateway_cluster("clients", tmp_path_factory.mktemp("state"), time_scale=1.0, values=values) as sandbox:
        pools = [
            small_pool("small", replicas=2, engine=TOOLS),
            small_pool("large"),
            small_pool("plain", servedNames=["plain", "acme/plain"], routing={"strategy": "LeastLoad"}, engine=TOOLS),
            small_pool("vectors", task="Embed"),
        ]
        sandbox.apply([tls_secret(SECRET, chain, key), *pools, policy_manifest()])
        wait_for_policy(sandbox, "auto")
        for each in pools:
            engines(sandbox, each["metadata"]["name"], replicas=each["spec"]["variants"][0]["replicas"]["min"])
        api = sandbox.cluster.plane.api
        [tls, *_] = service_endpoints.read(api, namespace=sandbox.namespace, service="mixserve-gateway", port="https")
        [url, *_] = gateway_urls(sandbox)
        everything = {"auto", "small", "large", "plain", "acme/plain", "vectors"}
        eventually(lambda: {model.id for model in client_of(url).models.list()} == everything, "all models", 60.0)
        yield Scene(sandbox, url, tls, authority)


def test_models_are_listed_and_found_one_by_one(scene: Scene) -> None:
    listed = list(scene.client.models.list())
    assert [model.id for model in listed] == ["acme/plain", "auto", "large", "plain", "small", "vectors"]
    assert [scene.client.models.retrieve(model.id) for model in listed] == listed
    with pytest.raises(openai.NotFoundError):
        scene.client.models.retrieve("other")


@pytest.mark.parametrize("model", ["auto", "small", "plain", "acme/plain"])
def test_a_chat(scene: Scene, model: str) -> None:
    answer = scene.client.chat.completions.create(model=model, messages=HI, max_tokens=5)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


@pytest.mark.parametrize("model", ["auto", "small", "plain"])
def test_a_streamed_chat(scene: Scene, model: str) -> None:
    plain = scene.client.chat.completions.create(model=model, messages=HI, max_tokens=20)
    chunks = list(scene.client.chat.completions.create(model=model, messages=HI, max_tokens=20, stream=True))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


def test_a_completion(scene: Scene) -> None:
    answer = scene.client.completions.create(model="auto", prompt="Once", max_tokens=5)
    assert answer.usage is not None
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (5, "length")
    parts = scene.client.completions.create(model="auto", prompt="Once", max_tokens=5, stream=True)
    assert "".join(choice.text for part in parts for choice in part.choices) == answer.choices[0].text


def test_embeddings(scene: Scene) -> None:
    texts = ["the first text", "the second text"]
    answer = scene.client.embeddings.create(model="vectors", input=texts)
    assert [each.index for each in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 100
    [alone] = scene.client.embeddings.create(model="vectors", input=texts[0], encoding_format="float").data
    assert alone.embedding == pytest.approx(answer.data[0].embedding, abs=1e-6)


@pytest.mark.parametrize("model", ["auto", "plain"])
def test_tools_are_called(scene: Scene, model: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    asked: Any = {"model": model, "messages": HI, "tools": [WEATHER], "tool_choice": choice}
    answer = scene.client.chat.completions.create(**asked)
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    with scene.client.chat.completions.stream(**asked) as stream:
        [streamed] = stream.get_final_completion().choices[0].message.tool_calls or []
    assert (streamed.function.name, streamed.function.arguments) == ("weather", call.function.arguments)


def test_the_asynchronous_client(scene: Scene) -> None:
    async def ask() -> tuple[int, list[int], list[str]]:
        async with openai.AsyncOpenAI(base_url=f"{scene.url}/v1", api_key="sk-test", max_retries=0) as client:

            async def streamed(tokens: int) -> int:
                stream = await client.chat.completions.create(model="auto", messages=HI, max_tokens=tokens, stream=True)
                usage = [chunk.usage async for chunk in stream][-1]
                return 0 if usage is None else usage.completion_tokens

            plain = await client.chat.completions.create(model="auto", messages=HI, max_tokens=3)
            many = await asyncio.gather(*(streamed(1 + number) for number in range(20)))
            models = [model.id async for model in client.models.list()]
            return plain.usage.completion_tokens if plain.usage else 0, many, models

    tokens, many, models = asyncio.run(ask())
    assert (tokens, many) == (3, [1 + number for number in range(20)])
    assert "auto" in models


def test_an_unknown_model_is_404(scene: Scene) -> None:
    with pytest.raises(openai.NotFoundError) as failed:
        scene.client.chat.completions.create(model="gpt-9", messages=HI)
    assert failed.value.body == {
        "message": "The model `gpt-9` does not exist.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


def test_what_the_engine_does_not_take_is_its_own_400(scene: Scene) -> None:
    with pytest.raises(openai.BadRequestError, match="at least 1"):
        scene.client.chat.completions.create(model="auto", messages=HI, max_tokens=0)


@pytest.mark.parametrize("body", [b"", b"{", b'{"model": "auto", "messages": [}', b"[]", b'"auto"', b"\xff\xfe\x00"])
def test_what_is_no_json_object_is_400(scene: Scene, body: bytes) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        scene.client.post("/chat/completions", content=body, cast_to=object)
    assert failed.value.type == "invalid_request_error"


def test_what_is_too_large_is_413(scene: Scene) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        scene.client.completions.create(model="auto", prompt="x" * LARGEST_BYTES)
    assert (failed.value.status_code, failed.value.code) == (413, "request_too_large")


def test_an_address_without_anything_is_404(scene: Scene) -> None:
    with pytest.raises(openai.NotFoundError) as failed:
        scene.client.post("/images/generations", body={"model": "auto"}, cast_to=object)
    assert failed.value.code == "unknown_url"


def test_another_method_is_405(scene: Scene) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        scene.client.get("/chat/completions", cast_to=object)
    assert (failed.value.status_code, failed.value.code) == (405, "method_not_supported")


@pytest.mark.parametrize("model", ["auto", "small", "plain"])
def test_a_prompt_of_ten_megabytes_arrives_whole(scene: Scene, model: str) -> None:
    # The engine cannot take so many tokens, but says how many it was sent: one for four characters.
    length = LARGEST_BYTES - 1000
    with pytest.raises(openai.BadRequestError, match=f"at least {-(-length // 4)} input tokens"):
        scene.client.completions.create(model=model, prompt="x" * length, max_tokens=1)


def test_so_does_what_else_is_long(scene: Scene) -> None:
    more = {"metadata": {"note": "x" * (LARGEST_BYTES - 1000)}}
    answer = scene.client.completions.create(model="auto", prompt="Once", max_tokens=2, extra_body=more)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def aborted(scene: Scene, pool: str, replicas: int) -> float:
    pods = engines(scene.sandbox, pool, replicas=replicas)
    return sum(total(engine_url(pod), "vllm:request_success_total", finished_reason="abort") for pod in pods)


def running(scene: Scene, pool: str, replicas: int) -> float:
    return sum(
        total(engine_url(pod), f"vllm:num_requests_{state}")
        for pod in engines(scene.sandbox, pool, replicas=replicas)
        for state in ("running", "waiting")
    )


@pytest.mark.parametrize(("model", "pool", "replicas"), [("auto", "small", 2), ("plain", "plain", 1)])
def test_a_stream_that_is_left_ends_in_the_engine(scene: Scene, model: str, pool: str, replicas: int) -> None:
    before = aborted(scene, pool, replicas)
    with scene.client.chat.completions.create(model=model, messages=HI, stream=True, **ENDLESS) as stream:
        next(iter(stream))
        assert running(scene, pool, replicas) == 1
    eventually(lambda: running(scene, pool, replicas) == 0, f"idle {pool}", 10.0)
    assert aborted(scene, pool, replicas) == before + 1


def test_so_does_an_answer_that_is_not_waited_for(scene: Scene) -> None:
    before = aborted(scene, "small", 2)

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=f"{scene.url}/v1", api_key="sk-test", max_retries=0) as client:
            asked = asyncio.create_task(client.chat.completions.create(model="auto", messages=HI, **ENDLESS))
            await asyncio.to_thread(eventually, lambda: running(scene, "small", 2) == 1, "request in the engine", 30.0)
            asked.cancel()

    asyncio.run(leave())
    eventually(lambda: running(scene, "small", 2) == 0, "idle engines", 10.0)
    assert aborted(scene, "small", 2) == before + 1


def stream_of(url: str, model: str, *, path: str, prompt: Mapping[str, Any]) -> bytes:
    # One token: more of them come in one event or in two, as the engine has time.
    # The engine ends each stream with what it used; the gateway keeps that for those who ask for it.
    options = {"stream_options": {"include_usage": True}}
    body = {"model": model, "max_tokens": 1, "stream": True, **options, **prompt}
    answer = httpx2.post(f"{url}{path}", json=body, timeout=60)
    return re.sub(rb'"id":"[^"]+","object":"([^"]+)","created":\d+', rb'"object":"\1"', answer.content)


@pytest.mark.parametrize("model", ["auto", "small"])
@pytest.mark.parametrize(
    ("path", "prompt"), [("/v1/chat/completions", {"messages": HI}), ("/v1/completions", {"prompt": "Once"})]
)
def test_a_stream_has_the_bytes_that_the_engine_sends(
    scene: Scene, model: str, path: str, prompt: Mapping[str, Any]
) -> None:
    [pod, _] = engines(scene.sandbox, "small", replicas=2)
    direct = stream_of(engine_url(pod), "small", path=path, prompt=prompt)
    assert direct.endswith(b"data: [DONE]\n\n")
    assert stream_of(scene.url, model, path=path, prompt=prompt) == direct


def test_headers_say_what_was_decided(scene: Scene) -> None:
    headers = scene.headers_of(model="auto")
    told = {name: value for name, value in headers.items() if name.startswith("x-mixserve-")}
    assert ": " in told.pop("x-mixserve-reason")  # the score, and the terms that weighed most
    assert told == {
        "x-mixserve-policy": "auto",
        "x-mixserve-tier": "small",
        "x-mixserve-pool": "small",
        "x-mixserve-complexity": "1",
        "x-mixserve-cause": "Complexity",
    }


def test_a_pool_that_is_named_needs_no_decision(scene: Scene) -> None:
    for name, pool in {"acme/plain": "plain", "small": "small"}.items():
        headers = scene.headers_of(model=name)
        assert {key: headers[key] for key in headers if key.startswith("x-mixserve-")} == {"x-mixserve-pool": pool}


@pytest.mark.parametrize(
    ("wish", "pool", "cause"),
    [
        ({"x-mixserve-tier": "large"}, "large", "TierOverride"),
        ({"x-mixserve-pool": "large"}, "large", "PoolOverride"),
    ],
)
def test_a_request_may_choose_among_the_targets_of_its_policy(
    scene: Scene, wish: dict[str, str], pool: str, cause: str
) -> None:
    headers = scene.headers_of(model="auto", extra_headers=wish)
    assert (headers["x-mixserve-pool"], headers["x-mixserve-cause"]) == (pool, cause)


@pytest.mark.parametrize("wish", [{"x-mixserve-tier": "other"}, {"x-mixserve-pool": "plain"}])
def test_a_wish_for_what_the_policy_does_not_have_is_refused(scene: Scene, wish: dict[str, str]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        scene.headers_of(model="auto", extra_headers=wish)
    [(header, name)] = wish.items()
    assert (refused.value.param, f"`{name}`" in refused.value.message) == (header, True)


@pytest.mark.parametrize("model", ["auto", "small"])
def test_a_session_stays_with_its_replica(scene: Scene, model: str) -> None:
    pods = engines(scene.sandbox, "small", replicas=2)

    def served(session: dict[str, str]) -> list[float]:
        before = [total(engine_url(pod), "vllm:request_success_total") for pod in pods]
        for number in range(12):
            scene.client.completions.create(
                model=model, prompt=f"{model} {session} {number}", max_tokens=1, extra_headers=session
            )
        return [
            total(engine_url(pod), "vllm:request_success_total") - count
            for pod, count in zip(pods, before, strict=True)
        ]

    alice = served({"x-mixserve-session": "alice"})
    assert sorted(alice) == [0, 12]
    assert served({})[alice.index(0)] > 0, "without a session requests go where there is less to do"


@needs_curl
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl(scene: Scene, tmp_path: Path, version: str) -> None:
    long = tmp_path / "long.json"
    # So long that curl asks first whether it may send it.
    long.write_text(json.dumps({"model": "auto", "messages": HI, "max_tokens": 2, "user": "x" * 5_000_000}))
    for data in (json.dumps({"model": "auto", "messages": HI, "max_tokens": 2, "stream": True}), f"@{long}"):
        answer = curl(version, f"{scene.url}/v1/chat/completions", "--data-binary", data)
        assert '"completion_tokens":2' in answer
    assert '"id": "auto"' in curl(version, f"{scene.url}/v1/models")


@needs_curl
@pytest.mark.parametrize(("wanted", "version"), [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl_with_tls(scene: Scene, wanted: str, version: str) -> None:
    address, port = scene.tls
    trust = ("--cacert", str(scene.authority), "--resolve", f"{HOST}:{port}:{address}")
    answer = curl(wanted, *trust, f"https://{HOST}:{port}/v1/models", "--write-out", "%{http_version}")
    assert answer.endswith(version)


def curl(*arguments: str) -> str:
    json_type = ("--header", "content-type: application/json")
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "60", *json_type, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tls_context(scene: Scene, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=scene.authority)
    context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), (("h3",), None)]
)
def test_tls_offers_both_versions_of_http(scene: Scene, offered: tuple[str, ...], chosen: str | None) -> None:
    with (
        closing(socket.create_connection(scene.tls, timeout=30)) as plain,
        tls_context(scene, *offered).wrap_socket(plain, server_hostname=HOST) as connection,
    ):
        assert connection.selected_alpn_protocol() == chosen
        assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_before_1_2_is_refused(scene: Scene) -> None:
    context = tls_context(scene, "http/1.1")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with closing(socket.create_connection(scene.tls, timeout=30)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=HOST)


def test_the_client_with_tls(scene: Scene) -> None:
    address, port = scene.tls
    context = tls_context(scene, "http/1.1")
    context.check_hostname = False  # the certificate has a name, the test an address
    with openai.OpenAI(
        base_url=f"https://{address}:{port}/v1",
        api_key="sk-test",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(verify=context),
    ) as client:
        answer = client.chat.completions.create(model="auto", messages=HI, max_tokens=4)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


PAGE = "https://page.example"


def test_a_browser_may_ask(scene: Scene) -> None:
    wanted = "authorization,content-type,x-mixserve-tier,x-stainless-lang"
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
    }
    status, headers = fetch(scene, "OPTIONS", "/v1/chat/completions", headers=asked)
    assert status == 204
    assert headers["access-control-allow-origin"] in {"*", PAGE}
    assert "POST" in headers["access-control-allow-methods"]
    # A star would not cover "authorization".
    assert headers["access-control-allow-headers"] == wanted


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "auto", "messages": HI, "max_tokens": 1}, 200),
        ({"model": "plain", "messages": HI, "max_tokens": 1, "stream": True}, 200),
        ({"model": "plain", "messages": []}, 400),
        ({"messages": HI}, 400),
        ({"model": "gpt-9"}, 404),
        ({"model": "auto", "user": "x" * LARGEST_BYTES}, 413),
    ],
)
def test_a_browser_shows_its_page_every_answer(scene: Scene, body: Mapping[str, Any], status: int) -> None:
    headers = {"Origin": PAGE, "Authorization": "Bearer sk-test", "Content-Type": "application/json"}
    seen, answered = fetch(scene, "POST", "/v1/chat/completions", headers=headers, body=json.dumps(body).encode())
    assert (seen, answered["access-control-allow-origin"]) == (status, "*")
    assert answered["access-control-expose-headers"] == "*"


def fetch(
    scene: Scene, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None
) -> tuple[int, dict[str, str]]:
    """Status and headers, with names in lower case; each at most once, as browsers want those of CORS."""
    answer = httpx2.request(method, f"{scene.url}{path}", headers=dict(headers), content=body, timeout=60)
    names = [name.lower() for name, _ in answer.headers.multi_items()]
    assert len(names) == len(set(names))
    return answer.status_code, {name.lower(): value for name, value in answer.headers.multi_items()}
