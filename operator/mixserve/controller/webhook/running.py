"""The webhook in the operator's process, whether that leads or stands by."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mixserve.controller.checkpoints.sources import kinds_read
from mixserve.controller.webhook.answering import Answerer
from mixserve.controller.webhook.judging import Judge
from mixserve.controller.webhook.mounted import Mounted
from mixserve.controller.webhook.renewing import Renewal
from mixserve.controller.webhook.self_signed import SelfSigned
from mixserve.controller.webhook.serving import serve_webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve.apply.connection import Connection
    from mixserve.controller.settings import Settings
    from mixserve.controller.telemetry import Telemetry
    from mixserve.controller.webhook.renewing import Source


class Webhook:
    """The webhook, or none where the settings have none.

    Args:
        settings: how it runs.
        connection: to the API server.
        telemetry: takes the outcomes.
    """

    def __init__(self, settings: Settings, *, connection: Connection, telemetry: Telemetry) -> None:
        self._settings = settings
        self._renewal = Renewal(_source(settings, connection), settings.webhook_certificate_interval_s)
        self._answerer = Answerer(
            Judge(connection, kinds=kinds_read(settings), policies=settings.gateway is not None),
            lambda outcome: telemetry.reviews.labels(outcome).inc(),
        )

    def problem(self) -> str | None:
        """What it still waits for, or None."""
        waits = self._settings.webhook_enabled and not self._renewal.serving
        return "the webhook has no certificate yet" if waits else None

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Serve while the context lasts.

        Yields:
            What must not end meanwhile.

        Raises:
            ListenError: the port is taken.
        """
        if not self._settings.webhook_enabled:
            yield []
            return
        async with serve_webhook(
            host=self._settings.http_host,
            port=self._settings.webhook_port,
            context=self._renewal.context,
            answer=self._answerer.answer,
        ):
            yield [asyncio.create_task(self._renewal.run(), name="webhook certificate")]


def _source(settings: Settings, connection: Connection) -> Source:
    if settings.webhook_certificate_directory is not None:
        return Mounted(settings.webhook_certificate_directory)
    return SelfSigned(
        connection,
        namespace=settings.namespace,
        secret=settings.webhook_secret,
        configuration=settings.webhook_configuration,
        names=settings.webhook_names,
    )
