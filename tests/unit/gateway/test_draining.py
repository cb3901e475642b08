"""A gateway that ends lets Envoy finish what it carries."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from mixserve.gateway import draining
from mixserve.gateway.draining import drain, resume
from mixserve.gateway.envoy_admin import EnvoyAdmin, EnvoyAdminError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Envoy:
    """Stands for Envoy's administration interface; `active` are the answers to how many requests there are."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.calls: list[str] = []
        self.active = [0]
        self.status = 200

    async def post(self, request: web.Request) -> web.Response:
        self.calls.append(request.path)
        return web.Response(text="OK\n", status=self.status)

    async def stats(self, request: web.Request) -> web.Response:
        assert request.query["filter"] == "^http.clients.downstream_rq_active$"
        count = self.active.pop(0) if len(self.active) > 1 else self.active[0]
        self.calls.append(f"active {count}")
        return web.Response(text=f"http.clients.downstream_rq_active: {count}\n" if count >= 0 else "")


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Envoy]:
    made = Envoy(str(tmp_path / "admin.sock"))
    app = web.Application()
    app.router.add_post("/{name}", made.post)
    app.router.add_post("/healthcheck/{what}", made.post)
    app.router.add_get("/stats", made.stats)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, made.path).start()
    yield made
    await runner.cleanup()


async def drained(envoy: Envoy, *, most_s: float = 5.0, quiet_s: float = 0.0) -> list[str]:
    with capture_logs() as logs:
        async with EnvoyAdmin(envoy.path) as admin:
            await drain(admin, stat_prefix="clients", most_s=most_s, quiet_s=quiet_s)
    return [str(entry["event"]) for entry in logs]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "LOOK_S", 0.001)


async def test_it_stays_until_nothing_is_under_way(envoy: Envoy) -> None:
    envoy.active = [2, 1, 0]
    assert await drained(envoy) == ["gateway_drained"]
    assert envoy.calls == ["/healthcheck/fail", "active 2", "active 1", "active 0"]


async def test_a_moment_without_requests_is_not_the_end_yet(envoy: Envoy, monkeypatch: pytest.MonkeyPatch) -> None:
    # A hundredth of a second for each look, however busy the machine is.
    looks = count()
    monkeypatch.setattr(draining, "time", SimpleNamespace(monotonic=lambda: next(looks) / 100))
    envoy.active = [0, 0, 1, 0]
    assert await drained(envoy, quiet_s=0.05) == ["gateway_drained"]
    assert envoy.calls.count("active 0") > 3


async def test_it_does_not_wait_for_ever(envoy: Envoy) -> None:
    envoy.active = [1]
    assert await drained(envoy, most_s=0.05) == ["drain_overdue"]


async def test_an_envoy_that_has_gone_is_not_waited_for(envoy: Envoy) -> None:
    envoy.status = 500
    assert await drained(envoy) == ["drain_ended"]
    envoy.path = f"{envoy.path}.gone"
    assert await drained(envoy) == ["drain_ended"]


async def test_an_envoy_that_does_not_answer_for_a_moment_still_carries_requests(envoy: Envoy) -> None:
    envoy.active = [1, -1, -1, -1, 1, -1, 0]
    assert await drained(envoy) == ["gateway_drained"]
    assert envoy.active == [0]


async def test_what_is_no_number_is_an_error(envoy: Envoy) -> None:
    envoy.active = [-1]
    async with EnvoyAdmin(envoy.path) as admin:
        with pytest.raises(EnvoyAdminError, match="is no number"):
            await admin.active_requests("clients")


async def test_logs_are_opened_anew(envoy: Envoy) -> None:
    async with EnvoyAdmin(envoy.path) as admin:
        await admin.reopen_logs()
    assert envoy.calls == ["/reopen_logs"]


async def test_a_new_process_takes_back_what_its_forerunner_told(envoy: Envoy) -> None:
    async with EnvoyAdmin(envoy.path) as admin:
        await resume(admin)
        envoy.status = 500
        with capture_logs() as logs:
            await resume(admin)
    assert envoy.calls == ["/healthcheck/ok"] * 2
    assert [entry["event"] for entry in logs] == ["drain_not_taken_back"]
