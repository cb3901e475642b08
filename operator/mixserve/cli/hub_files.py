"""Checkpoints on the hub, for commands: several at once, with the token of whoever runs them, cached for that user."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mixserve.observe.hub_endpoint import DEFAULT_ENDPOINT, ENDPOINT_PATTERN, ENDPOINT_VARIABLE
from mixserve.plan.absence import Absence, Outlook

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mixserve.plan.model_source import Repository

_OFFLINE_VARIABLE = "HF_HUB_OFFLINE"
_TRUE = frozenset({"1", "on", "yes", "true"})

Found = dict["Repository", "Mapping[str, Any] | Absence"]


def is_offline() -> bool:
    """Whether the environment forbids asking the hub, as it does for every program of Hugging Face."""
    return os.environ.get(_OFFLINE_VARIABLE, "").lower() in _TRUE


def read_hub(repositories: Collection[Repository], *, with_tokenizer: Collection[Repository]) -> Found:
    """What there is to know of each checkpoint, or why nothing; all are read at the same time.

    Args:
        repositories: `hf://` sources at revisions.
        with_tokenizer: those whose tokenizer is read as well, the longest of the files.

    Raises:
        typer.BadParameter: HF_ENDPOINT is no URL.
    """
    return asyncio.run(_read(repositories, with_tokenizer)) if repositories else {}


def not_read(repositories: Collection[Repository], why: str) -> Found:
    """Of each checkpoint, that it is not read here."""
    remedy = "give the model's numbers in spec.model.facts to have its fit checked here, too"
    return {
        each: Absence(outlook=Outlook.LATER, detail=f"config.json of {each} can't be read here: {why}", remedy=remedy)
        for each in repositories
    }


async def _read(repositories: Collection[Repository], with_tokenizer: Collection[Repository]) -> Found:
    from mixserve.observe.hub import HubReader
    from mixserve.observe.hub_cache import HubCache

    endpoint = os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
    if not re.fullmatch(ENDPOINT_PATTERN, endpoint):
        raise typer.BadParameter(f"it is no URL like {DEFAULT_ENDPOINT}", param_hint=ENDPOINT_VARIABLE)
    token = os.environ.get("HF_TOKEN", "").strip() or None
    scope = "" if token is None else hashlib.sha256(token.encode()).hexdigest()
    hub = HubReader(endpoint, cache=HubCache(_cache_directory()), gives_up=True)
    try:
        reads = (hub.read(each, token=token, scope=scope, tokenizer=each in with_tokenizer) for each in repositories)
        return dict(zip(repositories, await asyncio.gather(*reads), strict=True))
    finally:
        await hub.close()


def _cache_directory() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "mixserve" / "hub"
