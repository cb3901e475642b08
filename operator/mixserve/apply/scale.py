"""Write replicas: through the scale subresource, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import Conflict, Rejected
from mixserve.apply.resources import DEPLOYMENTS

if TYPE_CHECKING:
    from mixserve.apply.connection import Connection

UNPROCESSABLE = 422
"""What a JSON patch is answered with whose test does not hold."""


async def write_replicas(
    connection: Connection,
    *,
    namespace: str,
    deployment: str,
    seen: int,
    wanted: int,
    version: str,
) -> dict[str, Any]:
    """Change a Deployment's replicas from `seen` to `wanted`; return its Scale as it is now.

    Growth asks for no more than the same replicas, so that it does not wait. A Deployment that is to shrink must not
    have changed at all since `version`: perhaps a rollout has begun, and then other pods would go than those that are
    meant.

    Raises:
        Conflict: the Deployment is not as it was decided about.
        ApiError: the API server refused or did not answer.
    """
    # A zero is left out of the object, and a test for null holds where there is nothing.
    test: dict[str, Any] = {"op": "test", "path": "/spec/replicas", "value": seen or None}
    write: dict[str, Any] = {"op": "add", "path": "/spec/replicas", "value": wanted}
    same: dict[str, Any] = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    patch = [test, same, write] if wanted < seen else [test, write]
    try:
        return await connection.patch(
            DEPLOYMENTS,
            patch,
            namespace=namespace,
            name=deployment,
            subresource="scale",
            field_manager=FIELD_MANAGER,
        )
    except Rejected as error:
        if error.status == UNPROCESSABLE:
            raise Conflict(f"{deployment} no longer has {seen} replicas", status=error.status) from error
        raise
