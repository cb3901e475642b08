"""Two engines of which the tests say how they fail, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from support.scripted_engine import scripted_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.scripted_engine import ScriptedEngine


@pytest.fixture
async def small() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine("small") as engine:
        yield engine


@pytest.fixture
async def large() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine("large") as engine:
        yield engine


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session
