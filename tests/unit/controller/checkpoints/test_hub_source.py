"""Tokens of pools: read when they are needed, and only where the operator may."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.apply.errors import Forbidden, NotFound
from mixserve.controller.checkpoints.hub_source import HubSource
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.model_source import Repository
from support.manifests import REVISION
from support.manifests import pool as made
from support.recording_connection import RecordingConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Repository("hf://org/Model", REVISION)
CONFIG = {"model_type": "llama"}


def pool(**model: Any) -> Any:
    parsed = made(model={"source": "hf://org/Model", "revision": REVISION, **model})
    return parsed.model_copy(update={"metadata": parsed.metadata.model_copy(update={"namespace": "ns"})})


TOKEN = {"tokenSecretRef": {"name": "hf", "key": "token"}}


class Hub:
    """Gives a checkpoint to whoever has the token, or to all where there is none."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self.asked: list[tuple[str | None, str]] = []

    async def read(self, _: Repository, *, token: str | None, scope: str = "") -> Mapping[str, Any] | Absence:
        self.asked.append((token, scope))
        if self._token in {None, token}:
            return CONFIG
        return Absence(outlook=Outlook.LATER, detail="gated", remedy="accept")


def secret(text: str) -> dict[str, Any]:
    return {"data": {"token": base64.b64encode(text.encode()).decode()}}


async def read(hub: Hub, answer: Any = None, *, reads_tokens: bool = True, **model: Any) -> tuple[Any, list[Any]]:
    connection = RecordingConnection(get=answer)
    source = HubSource(hub, connection, reads_tokens=reads_tokens)  # type: ignore[arg-type]
    return await source.read(pool(**model), REPOSITORY, version=""), connection.calls


async def test_a_public_model_needs_no_token() -> None:
    hub = Hub()
    assert await read(hub) == (CONFIG, [])
    assert hub.asked == [(None, "")]


async def test_a_token_is_read_by_its_name_and_what_it_opens_is_the_pools() -> None:
    hub = Hub("hf_x")
    found, calls = await read(hub, secret("hf_x\n"), **TOKEN)
    assert (found, calls) == (CONFIG, [("get", ("secrets", "ns", "hf"))])
    assert hub.asked == [("hf_x", "ns/hf/token")]


@pytest.mark.parametrize(("token", "outlook"), [(None, None), ("hf_x", Outlook.LATER)])
async def test_without_the_right_only_what_is_public_is_read(token: str | None, outlook: Outlook | None) -> None:
    found, calls = await read(Hub(token), reads_tokens=False, **TOKEN)
    assert calls == []
    if outlook is None:
        assert found == CONFIG
    else:
        assert found.outlook is outlook
        assert "hub.readTokens" in found.remedy


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (NotFound("none", status=404), "there is no Secret hf of spec.model.tokenSecretRef"),
        (Forbidden("no", status=403), "can't be read (Forbidden)"),
        ({}, "has no token under token"),
        ({"data": {"token": "!"}}, "has no token under token"),
        (secret("two words"), "has no token under token"),
        (secret("ä"), "has no token under token"),
    ],
)
async def test_a_token_that_can_not_be_had_is_told(answer: Any, text: str) -> None:
    hub = Hub("hf_x")
    found, _ = await read(hub, answer, **TOKEN)
    assert found.outlook is Outlook.LATER
    assert text in found.detail
    assert hub.asked == []


def test_while_it_is_being_read() -> None:
    source = HubSource(Hub(), RecordingConnection(), reads_tokens=True)  # type: ignore[arg-type]
    assert source.being_read(REPOSITORY, for_long=False).outlook is Outlook.SOON
    assert source.being_read(REPOSITORY, for_long=True).outlook is Outlook.LATER
