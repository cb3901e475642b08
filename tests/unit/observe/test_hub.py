"""The hub's answers, from a test hub on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from mixserve.observe import checkpoint, hub
from mixserve.observe.hub import HubReader
from mixserve.observe.hub_cache import HubCache
from mixserve.observe.tokenizer import SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.checkpoint_size import INDEX
from mixserve.plan.model_source import Repository
from support.hub_server import REVISION, HubServer, hub_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

REPOSITORY = Repository("hf://org/Model", REVISION)
CONFIG = {"model_type": "llama", "hidden_size": 64}
VOCABULARY = json.dumps({"model": {"vocab": {"a": 0}}}).encode()
REST = {
    "hf_quant_config.json": b'{"quantization": {"quant_algo": "FP8"}}',
    INDEX: b'{"metadata": {"total_size": 7}, "weight_map": {"a": "b"}}',
    TOKENIZER: VOCABULARY,
    TOKENIZER_CONFIG: b'{"bos_token": "<s>"}',
    SPECIAL_TOKENS: b'{"eos_token": "</s>"}',
}


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


@pytest.fixture
async def reader(server: HubServer) -> AsyncIterator[HubReader]:
    reader = HubReader(server.endpoint, cache=None)
    yield reader
    await reader.close()


async def absence(reader: HubReader, repository: Repository = REPOSITORY, token: str | None = None) -> Absence:
    found = await reader.read(repository, token=token)
    assert isinstance(found, Absence)
    return found


async def test_a_checkpoint_is_its_small_files(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG, files=REST)
    found = await reader.read(REPOSITORY, token=None)
    assert found == {
        **CONFIG,
        "quantization_config": {"quantization": {"quant_algo": "FP8"}},
        INDEX: {"metadata": {"total_size": 7}},
        TOKENIZER: {
            "sha256": found[TOKENIZER]["sha256"],  # type: ignore[index]
            "specialTokens": {"bos_token": "<s>", "eos_token": "</s>"},
        },
    }
    assert all(path.startswith(("/org/Model/", "/api/resolve-cache/org/Model/")) for path, _ in server.asked)


async def test_files_that_are_not_there_are_left_out(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG)
    assert await reader.read(REPOSITORY, token=None) == CONFIG


async def test_a_tokenizer_that_nobody_asks_for_is_not_fetched(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG, files=REST)
    found = await reader.read(REPOSITORY, token=None, tokenizer=False)
    assert TOKENIZER not in found  # type: ignore[operator]
    assert not any(TOKENIZER in path for path, _ in server.asked)


async def test_a_commit_is_read_once_however_many_ask(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG)
    first = await asyncio.gather(*(reader.read(REPOSITORY, token=None) for _ in range(20)))
    asked = len(server.asked)
    assert await reader.read(REPOSITORY, token=None) == CONFIG
    assert first == [CONFIG] * 20
    assert len(server.asked) == asked == len({path for path, _ in server.asked})


async def test_what_was_read_with_a_token_is_not_told_to_others(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG, token="hf_x")
    assert await reader.read(REPOSITORY, token="hf_x", scope="team/hf/token") == CONFIG
    assert (await absence(reader)).outlook is Outlook.LATER
    assert {token for _, token in server.asked} == {"Bearer hf_x", None}


async def test_a_refusal_is_not_kept(server: HubServer, reader: HubReader) -> None:
    server.failing = 503
    found = await absence(reader)
    assert (found.outlook, found.detail) == (Outlook.LATER, f"{server.endpoint} answers 503")
    server.failing = None
    server.put("org/Model", config=CONFIG)
    assert await reader.read(REPOSITORY, token=None) == CONFIG


REFUSALS: dict[str, tuple[dict[str, Any], str | None, Outlook, str, str]] = {
    "no repository, or a private one": (
        {"name": "org/Other"},
        None,
        Outlook.LATER,
        "is not there, or",
        "tokenSecretRef",
    ),
    "no repository for the token": ({"name": "org/Other"}, "hf_x", Outlook.NOT_THERE, "this token may read", "correct"),
    "another token": ({"token": "hf_y"}, "hf_x", Outlook.LATER, "the token is not valid", "renew the token"),
    "gated": ({"gated": True}, None, Outlook.LATER, "accepted its licence", "tokenSecretRef"),
    "gated with a token": ({"gated": True}, "hf_x", Outlook.LATER, "accepted its licence", "accept its licence"),
    "no such revision": ({"revision": "f" * 40}, None, Outlook.NOT_THERE, "has no revision", "name a commit"),
    "no config.json": ({"config": None}, None, Outlook.NEVER, "there is no config.json", "spec.model.facts"),
    "a list": ({"config": [1]}, None, Outlook.NEVER, "is no object", "spec.model.facts"),
    "no JSON": ({"config": None, "files": {"config.json": b"{"}}, None, Outlook.NEVER, "is no JSON", "spec.model"),
    "no quantization": ({"files": {"hf_quant_config.json": b"{"}}, None, Outlook.NEVER, "is no JSON", "spec.model"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_says_what_is_the_case_and_what_to_do(
    server: HubServer, reader: HubReader, refusal: tuple[dict[str, Any], str | None, Outlook, str, str]
) -> None:
    options, token, outlook, detail, remedy = refusal
    changes = {"name": "org/Model", "config": CONFIG, **options}
    server.put(changes.pop("name"), **changes)
    found = await absence(reader, token=token)
    assert found.outlook is outlook
    assert detail in found.detail
    assert remedy in found.remedy


OTHER_REFUSALS = [
    (403, {}, "may not be read"),
    (401, {"X-Error-Message": "Access to this resource is disabled."}, "is disabled there"),
    (404, {}, "answers 404"),
    (429, {}, "answers 429"),
]


@pytest.mark.parametrize("refusal", OTHER_REFUSALS, ids=[text for _, _, text in OTHER_REFUSALS])
async def test_other_refusals_stop_nothing(
    server: HubServer,
    reader: HubReader,
    refusal: tuple[int, dict[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, headers, text = refusal
    monkeypatch.setattr(server, "answer", lambda *_: (status, headers, b"x"))
    for token in (None, "hf_x"):
        found = await absence(reader, token=token)
        assert found.outlook is Outlook.LATER
        assert text in found.detail


async def test_a_plain_web_server_may_stand_for_the_hub(
    server: HubServer, reader: HubReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"/org/Model/resolve/{REVISION}/config.json": json.dumps(CONFIG).encode()}
    monkeypatch.setattr(server, "answer", lambda path, _: (200 if path in files else 404, {}, files.get(path, b"")))
    assert await reader.read(REPOSITORY, token=None) == CONFIG


async def test_a_hub_that_is_not_there_is_told() -> None:
    reader = HubReader("http://127.0.0.1:9/", cache=None)
    found = await absence(reader)
    await reader.close()
    assert found.detail == "http://127.0.0.1:9 can't be reached (ConnectError)"
    assert "hub.endpoint" in found.remedy


@pytest.mark.parametrize(("gives_up", "tries"), [(True, 8), (False, 20)])
async def test_a_hub_that_is_not_there_is_not_tried_for_each_model_while_people_wait(
    monkeypatch: pytest.MonkeyPatch, gives_up: bool, tries: int
) -> None:
    reader = HubReader("http://127.0.0.1:9", cache=None, gives_up=gives_up)
    tried: list[str] = []

    async def fail(repository: Repository, *_: object, **__: object) -> None:
        tried.append(repository.source)
        await asyncio.sleep(0)
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(reader, "_read", fail)
    models = [Repository(f"hf://org/M{number}", REVISION) for number in range(20)]
    found = await asyncio.gather(*(reader.read(each, token=None) for each in models))
    await reader.close()
    assert {each.outlook for each in found} == {Outlook.LATER}  # type: ignore[union-attr]
    assert len(tried) == tries


async def test_a_hub_that_sends_its_readers_in_circles_is_told(
    server: HubServer, reader: HubReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "answer", lambda path, _: (302, {"Location": path}, b""))
    assert "TooManyRedirects" in (await absence(reader)).detail


async def test_a_slow_hub_is_given_up(server: HubServer, reader: HubReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LONGEST_READ_S", 0.0)
    assert "was not read within" in (await absence(reader)).detail


async def test_a_reader_that_gives_up_does_not_stop_the_others(server: HubServer, reader: HubReader) -> None:
    server.put("org/Model", config=CONFIG)
    impatient = asyncio.create_task(reader.read(REPOSITORY, token=None))
    other = asyncio.create_task(reader.read(REPOSITORY, token=None))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await other == CONFIG


async def test_a_reader_that_stumbles_tries_again(
    server: HubServer, reader: HubReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("org/Model", config=CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(hub, "config_of", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await reader.read(REPOSITORY, token=None)
    assert await reader.read(REPOSITORY, token=None) == CONFIG


@pytest.mark.parametrize(("file", "limit"), [("config.json", "MAX_CONFIG_BYTES"), (INDEX, "MAX_INDEX_BYTES")])
async def test_what_is_too_long_is_not_read(
    server: HubServer, reader: HubReader, monkeypatch: pytest.MonkeyPatch, file: str, limit: str
) -> None:
    server.put("org/Model", config=CONFIG, files=REST)
    monkeypatch.setattr(checkpoint, limit, 10)
    found = await reader.read(REPOSITORY, token=None)
    assert isinstance(found, Absence) if file == "config.json" else INDEX not in found  # type: ignore[operator]


async def test_a_token_goes_to_no_other_host(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as elsewhere:
        elsewhere.put("org/Model", config=CONFIG)
        monkeypatch.setattr(server, "answer", lambda path, _: (302, {"Location": f"{elsewhere.endpoint}{path}"}, b""))
        reader = HubReader(server.endpoint, cache=None)
        assert await reader.read(REPOSITORY, token="hf_x") == CONFIG
        await reader.close()
        assert {token for _, token in elsewhere.asked} == {None}


async def test_what_was_read_is_on_disk_for_the_next_process(server: HubServer, tmp_path: Path) -> None:
    server.put("org/Model", config=CONFIG)
    for _ in range(2):
        reader = HubReader(server.endpoint, cache=HubCache(tmp_path / "hub"))
        assert await reader.read(REPOSITORY, token=None) == CONFIG
        await reader.close()
        server.failing = 503


def test_a_cache_that_is_broken_is_as_good_as_none(tmp_path: Path) -> None:
    cache = HubCache(tmp_path / "hub")
    cache.put("a", {"x": 1})
    assert cache.get("a") == {"x": 1}
    assert cache.get("b") is None
    [file] = (tmp_path / "hub").iterdir()
    for content in (b"{", b"[1]", b"[" * 100_000):
        file.write_bytes(content)
        assert cache.get("a") is None
    (tmp_path / "file").touch()
    HubCache(tmp_path / "file").put("a", {"x": 1})


def test_a_cache_keeps_so_much_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixserve.observe.hub_cache.MOST_ENTRIES", 2)
    cache = HubCache(tmp_path)
    for key in "abc":
        cache.put(key, {"key": key})
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("mixserve.observe.hub_cache.MOST_BYTES", 10)
    cache.put("d", {"key": "long enough"})
    assert cache.get("d") is None
