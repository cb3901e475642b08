from __future__ import annotations

import asyncio

import pytest

from mixserve_devcluster.engine import command_line
from mixserve_devcluster.engine.command_line import Adapter
from support.simulated_server import Served, served

MODULES = ("--enable-lora", "--lora-modules", "law=/adapters/law", '{"name": "tax", "path": "/a,b"}')
LONG = {"prompt": "a", "max_tokens": 1000, "ignore_eos": True}


async def models(engine: Served) -> list[tuple[str, str, str | None]]:
    async with engine.client.get("/v1/models") as response:
        return [(card["id"], card["root"], card["parent"]) for card in (await response.json())["data"]]


def test_modules_are_named_paths_or_json() -> None:
    options = command_line.parse(["serve", "m", *MODULES, "--max-loras", "3"])

    assert options.adapters == (Adapter(name="law", path="/adapters/law"), Adapter(name="tax", path="/a,b"))
    assert options.max_loras == 3


def test_without_lora_there_are_no_adapters() -> None:
    assert command_line.parse(["serve", "m", "--lora-modules", "a=b"]).adapters == ()


@pytest.mark.parametrize("module", ["name", "a=b,c", "[1]", '{"name": "a"}'])
def test_a_module_of_another_form_ends_the_engine(module: str) -> None:
    with pytest.raises(SystemExit, match="Invalid JSON format for --lora-modules"):
        command_line.parse(["serve", "m", "--enable-lora", "--lora-modules", module])


async def test_an_adapter_is_a_model_with_a_name_of_its_own() -> None:
    async with served(*MODULES, "--served-model-name", "base") as engine:
        status, answer = await engine.post("/v1/completions", prompt="a", model="tax")
        assert await models(engine) == [
            ("base", "some/model", None),
            ("law", "/adapters/law", "base"),
            ("tax", "/a,b", "base"),
        ]
        unknown, _ = await engine.post("/v1/completions", prompt="a", model="other")
    assert (status, answer["model"], unknown) == (200, "tax", 404)


async def test_an_empty_name_means_the_model_itself() -> None:
    async with served(*MODULES, "--served-model-name", "base") as engine:
        for body in ({"model": ""}, {"model": None}, {}):
            status, answer = await engine.post("/v1/completions", prompt="a", **body)
            assert (status, answer["model"]) == (200, "base")


async def test_an_adapter_shares_no_prefix_with_the_model() -> None:
    async with served(*MODULES, "--enable-prompt-tokens-details") as engine:
        cached = []
        for model in ("some/model", "law", "law", "tax"):
            _, answer = await engine.post("/v1/completions", prompt="x" * 400, max_tokens=1, model=model)
            cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert cached == [0, 0, 96, 0]


async def test_the_metric_names_the_adapters_that_have_requests() -> None:
    labels = 'max_lora="1",running_lora_adapters="{0}",waiting_lora_adapters="{0}"'
    async with served(*MODULES, time_scale=1.0) as engine:
        with pytest.raises(KeyError):
            await engine.sample("lora_requests_info{")
        requests = [
            asyncio.create_task(engine.post("/v1/completions", model=name, **LONG)) for name in ("law", "law", "tax")
        ]
        await engine.until_running(3)
        began_s = await engine.sample(f"lora_requests_info{{{labels.format('law,tax')}")
        for request in requests:
            request.cancel()
        await asyncio.wait(requests)
        await engine.post("/v1/completions", prompt="a", max_tokens=2)
        assert await engine.sample(f"lora_requests_info{{{labels.format('')}") > began_s


async def test_without_lora_there_is_no_such_metric() -> None:
    async with served() as engine, engine.client.get("/metrics") as response:
        assert "lora" not in await response.text()
