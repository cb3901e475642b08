"""What Envoy says of itself; tests/integration/gateway asks a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from mixserve.gateway.envoy_admin import EnvoyAdmin, EnvoyAdminError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STATISTICS = """\
cluster.@gateway.membership_total: 1
cluster.a.membership_total: 2
cluster.b.c.membership_total: 1
cluster.empty.membership_total: 0
"""


@pytest.fixture
async def answers(tmp_path: Path) -> AsyncIterator[list[str]]:
    """What it answers, at the end of the list first."""
    said: list[str] = []

    async def stats(_: web.Request) -> web.Response:
        return web.Response(text=said.pop())

    app = web.Application()
    app.router.add_get("/stats", stats)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "admin.sock")).start()
    yield said
    await runner.cleanup()


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[EnvoyAdmin]:
    async with EnvoyAdmin(str(tmp_path / "admin.sock")) as made:
        yield made


async def test_pools_with_endpoints(admin: EnvoyAdmin, answers: list[str]) -> None:
    answers.append(STATISTICS)
    assert await admin.pools_with_endpoints() == {"@gateway", "a", "b.c"}


async def test_the_version_of_the_routes(admin: EnvoyAdmin, answers: list[str]) -> None:
    answers += ["", 'http.clients.rds.routes.version_text: "ff46"\n']
    assert await admin.routes_version() == "ff46"
    assert await admin.routes_version() == ""


async def test_an_envoy_that_is_not_there(tmp_path: Path) -> None:
    async with EnvoyAdmin(str(tmp_path / "admin.sock")) as admin:
        with pytest.raises(EnvoyAdminError):
            await admin.routes_version()
