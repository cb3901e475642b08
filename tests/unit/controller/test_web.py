from __future__ import annotations

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from mixserve.controller.web import ListenError, serve_web


async def test_probes_say_what_is_wrong_and_metrics_are_shown() -> None:
    registry = CollectorRegistry()
    Gauge("things", "Things.", registry=registry).set(3)
    wrong: list[str | None] = [None]
    async with (
        serve_web(
            host="127.0.0.1", port=0, registry=registry, healthy=lambda: wrong[0], ready=lambda: "no cache yet"
        ) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        wrong[0] = "a worker hangs"
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (503, "a worker hangs\n")
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "no cache yet\n")
        async with session.get("/metrics") as answer:
            assert "things 3.0" in await answer.text()
            assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_port_that_is_taken_is_refused_with_what_to_set() -> None:
    def well() -> None:
        return None

    async with serve_web(host="127.0.0.1", port=0, registry=CollectorRegistry(), healthy=well, ready=well) as port:
        again = serve_web(host="127.0.0.1", port=port, registry=CollectorRegistry(), healthy=well, ready=well)
        with pytest.raises(ListenError, match=rf"can't listen on 127.0.0.1:{port}: .*MIXSERVE_HTTP_PORT"):
            await again.__aenter__()
