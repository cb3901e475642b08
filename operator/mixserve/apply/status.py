"""Write the status of an object of our kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import Conflict, Rejected
from mixserve.apply.scale import UNPROCESSABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource


async def write_status(
    connection: Connection,
    resource: Resource,
    *,
    name: str,
    uid: str,
    status: Mapping[str, Any],
    namespace: str = "",
) -> dict[str, Any]:
    """Replace the status of the object with this uid; return the object as it is now.

    Raises:
        NotFound: the object is gone.
        Conflict: another object has taken its name.
        ApiError: the API server refused or did not answer.
    """
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/status", "value": status},
    ]
    try:
        return await connection.patch(
            resource, patch, namespace=namespace, name=name, subresource="status", field_manager=FIELD_MANAGER
        )
    except Rejected as error:
        if error.status == UNPROCESSABLE and "Invalid value" not in str(error):
            what = f"{resource.kind} {namespace}/{name}" if namespace else f"{resource.kind} {name}"
            raise Conflict(f"{what} is another one by now", status=error.status) from error
        raise
