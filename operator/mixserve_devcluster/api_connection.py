"""The few calls that a cluster needs to come up, over plain HTTPS: a client library takes a second to import.

All of them raise ApiError where the server refuses (`status` says how) or cannot be reached (`status` is None).
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import yaml

from mixserve_devcluster import kubeconfig
from mixserve_devcluster.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# Everything is local; a busy server answers late, never that late.
_TIMEOUT_S = 30.0


class ApiConnection:
    """Calls to one API server, one TCP connection each: for a handful of calls, not for a workload."""

    def __init__(self, server: str, context: ssl.SSLContext, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.server = server
        self._timeout_s = timeout_s
        self._address = urlsplit(server).netloc
        self._context = context

    @classmethod
    def from_kubeconfig(cls, path: Path, *, timeout_s: float = _TIMEOUT_S) -> Self:
        """Read a kubeconfig of `mixserve_devcluster.kubeconfig` that has a client certificate.

        Args:
            path: of the file.
            timeout_s: how long the server may say nothing until a call has failed.
        """
        endpoint = kubeconfig.read_endpoint(path)
        user = yaml.safe_load(path.read_text())["users"][0]["user"]
        context = ssl.create_default_context(cadata=endpoint.authority.decode())
        # OpenSSL reads a client certificate from files only; this one has mode 0600 and lives for a moment.
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        return cls(endpoint.server, context, timeout_s=timeout_s)

    def get(self, path: str) -> dict[str, Any]:
        """Return an object, or a list of them."""
        return self._call("GET", path)

    def create(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object to a collection or subresource; return what the server made of it."""
        return self._call("POST", path, json.dumps(manifest))

    def replace(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """PUT an object or one of its subresources; return what the server made of it."""
        return self._call("PUT", path, json.dumps(manifest))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete an object, its dependents in the background; return what the server answers."""
        return self._call("DELETE", path)

    def is_ready(self) -> bool:
        """Whether the server says that it is ready to serve; False if it does not answer."""
        try:
            self._send("GET", "/readyz", None)
        except ApiError:
            return False
        return True

    def _call(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._send(method, path, body))
        return answer

    def _send(self, method: str, path: str, body: str | None) -> bytes:
        connection = http.client.HTTPSConnection(self._address, context=self._context, timeout=self._timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{method} {path}: no answer from {self._address}: {error}") from error
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            message = f"{method} {path}: {response.status} {response.reason}: {content.decode(errors='replace')}"
            raise ApiError(message, response.status)
        return content
