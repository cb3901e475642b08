"""The certificate in use, replaced while the endpoint serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
from typing import TYPE_CHECKING, Protocol

import structlog

from mixserve.apply.errors import ApiError
from mixserve.controller.webhook.errors import CertificateError
from mixserve.controller.webhook.issuing import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.controller.webhook.issuing import ServingPair

_log = structlog.get_logger(__name__)

# Until there is a first certificate, without which nothing can be answered.
_FIRST_TRIES_S = 1.0


class Source(Protocol):
    """Where the certificate comes from."""

    async def pair(self) -> ServingPair:
        """The certificate to serve with from now on."""


class Renewal:
    """Looks from time to time whether there is a new certificate.

    Args:
        source: where it comes from.
        interval_s: seconds between two looks.

    Attributes:
        context: of TLS; its certificate counts for each new connection.
        serving: whether it has one.
    """

    def __init__(self, source: Source, interval_s: float) -> None:
        self._source = source
        self._interval_s = interval_s
        self._served: ServingPair | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @property
    def serving(self) -> bool:
        """Whether the context has a certificate."""
        return self._served is not None

    async def run(self) -> None:
        """Look again and again, until cancelled.

        A new certificate that follows another one is used a look later: by then every API server has read that its
        authority is to be trusted.
        """
        seen: ServingPair | None = None
        while True:
            found = await self._look()
            if found is not None and found != self._served and (not self.serving or found == seen):
                self._load(found)
            seen = found
            await asyncio.sleep(self._interval_s if self.serving else min(_FIRST_TRIES_S, self._interval_s))

    async def _look(self) -> ServingPair | None:
        try:
            return await self._source.pair()
        except (ApiError, CertificateError) as error:
            _log.warning("webhook_certificate_failed", error=str(error))
            return None

    def _load(self, pair: ServingPair) -> None:
        """Serve with the pair, or go on with the one before if OpenSSL refuses it: the operator has more to do."""
        try:
            with _as_file(pair.certificate + b"\n" + pair.key) as path:
                # What is refused half way would leave a context of half a pair.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
                self.context.load_cert_chain(path)
        except (ssl.SSLError, ValueError) as error:
            _log.warning("webhook_certificate_refused", error=str(error))
            return
        self._served = pair
        _log.info("webhook_certificate_loaded", not_after=end_of(pair).isoformat())


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A file for OpenSSL, which reads nothing else: in memory where the system can, since it has a private key."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("certificate"), "wb") as file:  # noqa: PTH123 - it has no path
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
