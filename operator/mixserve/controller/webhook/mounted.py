"""The certificate that somebody else makes, such as cert-manager: in files that change when it is renewed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mixserve.controller.webhook.errors import CertificateError
from mixserve.controller.webhook.issuing import ServingPair, belongs_together

if TYPE_CHECKING:
    from pathlib import Path


class Mounted:
    """Reads `tls.crt` and `tls.key` of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def pair(self) -> ServingPair:
        """The certificate to serve with.

        Raises:
            CertificateError: it is not there (yet), or is none.
        """
        try:
            pair = await asyncio.to_thread(self._read)
        except OSError as error:
            raise CertificateError(f"{error.filename}: {error.strerror}") from error
        if not belongs_together(pair):
            raise CertificateError(f"{self._directory}: tls.key is not the private key of tls.crt")
        return pair

    def _read(self) -> ServingPair:
        certificate, key = (self._directory / name for name in ("tls.crt", "tls.key"))
        return ServingPair(certificate=certificate.read_bytes(), key=key.read_bytes())
