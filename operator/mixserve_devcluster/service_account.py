"""kubeconfigs for ServiceAccounts, with tokens from the TokenRequest API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve_devcluster import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve_devcluster.api_connection import ApiConnection

# As long as the cluster's certificates: a program that is started with the file need not look for a newer token.
_EXPIRATION_S = 365 * 24 * 3600


def write_kubeconfig(api: ApiConnection, administrator: Path, *, namespace: str, name: str) -> Path:
    """Write a kubeconfig for a ServiceAccount, beside the administrator's; return its path.

    Raises:
        ApiError: the account does not exist (status 404), or no answer.
    """
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _EXPIRATION_S},
    }
    answer = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
    path = administrator.parent / f"service-account_{namespace}_{name}.kubeconfig"
    endpoint = kubeconfig.read_endpoint(administrator)
    return kubeconfig.write_for_token(path, endpoint, answer["status"]["token"])
