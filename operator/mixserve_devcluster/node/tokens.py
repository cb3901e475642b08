"""Service-account tokens for a pod's volumes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.pod_context import PodContext

# As a kubelet: a token is replaced when a fifth of its life is left.
_USED = 0.8
# What Kubernetes gives a token whose request names no time.
_DEFAULT_LIFE_S = 3600


@dataclass(frozen=True, kw_only=True)
class _Token:
    text: str
    renew_at: datetime


class ServiceAccountTokens:
    """Requests the tokens of one pod, which end with it, and keeps each until it is due for renewal."""

    def __init__(self, pod: PodContext) -> None:
        self._pod = pod
        self._tokens: dict[tuple[str, str], _Token] = {}

    async def get(self, volume: str, request: Mapping[str, Any]) -> str:
        """The token for a `serviceAccountToken` source of a volume.

        Raises:
            ApiError: it is not granted.
        """
        key, now = (volume, request["path"]), datetime.now(UTC)
        if key not in self._tokens or self._tokens[key].renew_at <= now:
            life_s = request.get("expirationSeconds", _DEFAULT_LIFE_S)
            text = await self._request(request.get("audience"), life_s)
            self._tokens[key] = _Token(text=text, renew_at=now + timedelta(seconds=life_s * _USED))
        return self._tokens[key].text

    async def _request(self, audience: str | None, life_s: int) -> str:
        account = self._pod.manifest["spec"].get("serviceAccountName", "default")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": life_s,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": self._pod.name, "uid": self._pod.uid},
            },
        }
        path = f"/api/v1/namespaces/{self._pod.namespace}/serviceaccounts/{account}/token"
        answer = await self._pod.services.api.create(path, body)
        return str(answer["status"]["token"])
