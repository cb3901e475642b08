"""Whether the chat template that a pod waits for exists: of a volume that can't be mounted only events tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.observation import PodProblem, Trouble
from mixserve.apply.errors import ApiError, NotFound
from mixserve.apply.resources import CONFIG_MAPS
from mixserve.observe.pods import container_statuses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pod_inputs import ConfigMapKeyRef
    from mixserve.apply.connection import Connection


class ChatTemplates:
    """Looks for the ConfigMap of a pod whose container is not made yet; of other pods it reads nothing.

    Args:
        connection: to the API server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def trouble(self, pod: Mapping[str, Any], template: ConfigMapKeyRef | None) -> Trouble | None:
        """What the pod lacks; None also where it can't be told.

        Args:
            pod: the Pod as the API server sent it; its spec is not needed.
            template: what its pool says.
        """
        if template is None or not _is_being_made(pod):
            return None
        namespace = pod["metadata"]["namespace"]
        try:
            found = await self._connection.get(CONFIG_MAPS, namespace=namespace, name=template.name)
        except NotFound:
            return _missing(f"there is no ConfigMap {template.name} in this namespace")
        except ApiError:
            return None
        if template.key in {*(found.get("data") or {}), *(found.get("binaryData") or {})}:
            return None
        return _missing(f"ConfigMap {template.name} has no key {template.key}")


def _missing(what: str) -> Trouble:
    return Trouble(PodProblem.CHAT_TEMPLATE_MISSING, what)


def _is_being_made(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's node has it, and no container of it yet: so it is while volumes are mounted."""
    statuses = list(container_statuses(pod.get("status", {})))
    waits = all(status.get("state", {}).get("waiting", {}).get("reason") == "ContainerCreating" for status in statuses)
    return bool(statuses) and waits and "deletionTimestamp" not in pod["metadata"]
