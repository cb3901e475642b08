from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

from mixserve.controller.settings import Settings
from mixserve.controller.telemetry import Telemetry
from mixserve.controller.webhook.issuing import issue
from mixserve.controller.webhook.running import Webhook
from support.recording_connection import RecordingConnection
from support.waiting_in_loop import until

if TYPE_CHECKING:
    from pathlib import Path


def webhook(settings: Settings) -> Webhook:
    return Webhook(settings, connection=RecordingConnection(), telemetry=Telemetry())  # type: ignore[arg-type]


async def test_where_there_shall_be_none_nothing_is_waited_for() -> None:
    none = webhook(Settings())
    assert none.problem() is None
    async with none.serve() as tasks:
        assert tasks == []


async def test_it_is_ready_with_its_certificate(tmp_path: Path) -> None:
    found = webhook(
        Settings(
            webhook_enabled=True,
            webhook_port=0,
            http_host="127.0.0.1",
            webhook_certificate_directory=tmp_path,
            webhook_certificate_interval_s=0.1,
        )
    )
    assert found.problem() == "the webhook has no certificate yet"
    async with found.serve() as [task]:
        pair = issue(["localhost"], dt.datetime.now(dt.UTC))
        (tmp_path / "tls.key").write_bytes(pair.key)
        (tmp_path / "tls.crt").write_bytes(pair.certificate)
        await until(lambda: found.problem() is None)
        task.cancel()
        with contextlib.suppress(BaseException):
            await task
