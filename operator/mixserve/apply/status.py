"""Write the status of a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import Conflict, Rejected
from mixserve.apply.resources import POOLS
from mixserve.apply.scale import UNPROCESSABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection


async def write_status(
    connection: Connection, *, namespace: str, name: str, uid: str, status: Mapping[str, Any]
) -> dict[str, Any]:
    """Replace the status of the pool with this uid; return the pool as it is now.

    Raises:
        NotFound: the pool is gone.
        Conflict: another pool has taken its name.
        ApiError: the API server refused or did not answer.
    """
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": status},
    ]
    try:
        return await connection.patch(
            POOLS, patch, namespace=namespace, name=name, subresource="status", field_manager=FIELD_MANAGER
        )
    except Rejected as error:
        if error.status == UNPROCESSABLE and "Invalid value" not in str(error):
            raise Conflict(f"pool {namespace}/{name} is another one by now", status=error.status) from error
        raise
