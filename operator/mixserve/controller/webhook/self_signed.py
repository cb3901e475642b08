"""The certificate that operators make themselves and share: in a Secret that the chart creates empty.

Whoever comes first writes it; the others find it there. The authority goes into the ValidatingWebhookConfiguration
beside the ones before it, so that the API server trusts the old certificate and the new one while replicas change over.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import ApiError, Conflict, NotFound
from mixserve.apply.resources import SECRETS, WEBHOOK_CONFIGURATIONS
from mixserve.controller.webhook.errors import CertificateError
from mixserve.controller.webhook.issuing import ServingPair, issue, shortcoming, with_authority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mixserve.apply.connection import Connection

_log = structlog.get_logger(__name__)

_AUTHORITY, _CERTIFICATE, _KEY = "ca.crt", "tls.crt", "tls.key"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class SelfSigned:
    """Looks after the Secret and the configuration.

    Args:
        connection: to the API server.
        namespace: of the Secret.
        secret: its name.
        configuration: name of the ValidatingWebhookConfiguration.
        names: DNS names and IP addresses by which the API server calls the webhook.
        now: the clock.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str,
        secret: str,
        configuration: str,
        names: Sequence[str],
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._secret = secret
        self._configuration = configuration
        self._names = names
        self._now = now

    async def pair(self) -> ServingPair:
        """The certificate to serve with, which the API server has been told to trust.

        Raises:
            CertificateError: somebody else has written the Secret at this moment, or nobody may.
            ApiError: the API server refused or did not answer.
        """
        stored = await self._connection.get(SECRETS, namespace=self._namespace, name=self._secret)
        pair = _pair_in(stored)
        reason = "there is none" if pair is None else shortcoming(pair, self._names, self._now())
        if pair is None or reason is not None:
            pair = issue(self._names, self._now())
            await self._write(pair, stored)
            _log.info("webhook_certificate_issued", secret=self._secret, reason=reason)
        await self._trust(pair.authority)
        return pair

    async def _write(self, pair: ServingPair, stored: Mapping[str, Any]) -> None:
        parts = {_AUTHORITY: pair.authority, _CERTIFICATE: pair.certificate, _KEY: pair.key}
        patch = [
            _as_it_was(stored),  # whoever comes second takes what the first one has written
            {"op": "add", "path": "/data", "value": {name: _base64(part) for name, part in parts.items()}},
        ]
        where = {"namespace": self._namespace, "name": self._secret}
        try:
            await self._connection.patch(SECRETS, patch, **where, field_manager=FIELD_MANAGER)
        except ApiError as error:
            # Not what the server says, since that may quote what was sent.
            what = "was just written by another replica" if isinstance(error, Conflict) else "can't be written"
            raise CertificateError(f"secret {self._secret} {what}: {type(error).__name__} {error.status}") from None

    async def _trust(self, authority: bytes) -> None:
        """Have the API server trust the authority; it reads the configuration again within moments."""
        try:
            found = await self._connection.get(WEBHOOK_CONFIGURATIONS, name=self._configuration)
        except NotFound:
            _log.warning("webhook_configuration_missing", configuration=self._configuration, remedy="upgrade the chart")
            return
        changes: list[Mapping[str, Any]] = [
            {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": _base64(wanted)}
            for index, webhook in enumerate(found.get("webhooks", ()))
            if (wanted := with_authority(known := _bundle_of(webhook), authority, self._now())) != known
        ]
        if changes:
            patch = [_as_it_was(found), *changes]
            where = {"namespace": "", "name": self._configuration}
            await self._connection.patch(WEBHOOK_CONFIGURATIONS, patch, **where, field_manager=FIELD_MANAGER)
            _log.info("webhook_authority_trusted", configuration=self._configuration)


def _pair_in(secret: Mapping[str, Any]) -> ServingPair | None:
    data = secret.get("data") or {}
    try:
        authority, certificate, key = (
            base64.b64decode(data[name], validate=True) for name in (_AUTHORITY, _CERTIFICATE, _KEY)
        )
    except (KeyError, TypeError, binascii.Error):
        return None
    return ServingPair(authority=authority, certificate=certificate, key=key)


def _as_it_was(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a patch that makes it fail if somebody has written the object since it was read."""
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}


def _bundle_of(webhook: Mapping[str, Any]) -> bytes:
    return base64.b64decode(webhook["clientConfig"].get("caBundle") or "")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
