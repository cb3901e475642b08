"""Whether the chat template that a pod waits for exists: of a volume that can't be mounted only events tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import CHAT_TEMPLATE_VOLUME
from mixserve.api.observation import PodProblem, Trouble
from mixserve.apply.errors import ApiError, NotFound
from mixserve.apply.resources import CONFIG_MAPS
from mixserve.observe.pods import container_statuses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection


class ChatTemplates:
    """Looks for the ConfigMap of a pod whose container is not made yet; of other pods it reads nothing.

    Args:
        connection: to the API server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def trouble(self, pod: Mapping[str, Any]) -> Trouble | None:
        """What the pod lacks; None also where it can't be told."""
        template = _awaited(pod)
        if template is None:
            return None
        name, key = template
        try:
            found = await self._connection.get(CONFIG_MAPS, namespace=pod["metadata"]["namespace"], name=name)
        except NotFound:
            return _missing(f"there is no ConfigMap {name} in this namespace")
        except ApiError:
            return None
        if key in {*(found.get("data") or {}), *(found.get("binaryData") or {})}:
            return None
        return _missing(f"ConfigMap {name} has no key {key}")


def _missing(what: str) -> Trouble:
    return Trouble(PodProblem.CHAT_TEMPLATE_MISSING, what)


def _awaited(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and key of the template, if the pod has one and waits for its volumes."""
    statuses = list(container_statuses(pod.get("status", {})))
    waits = all(status.get("state", {}).get("waiting", {}).get("reason") == "ContainerCreating" for status in statuses)
    if not statuses or not waits or "deletionTimestamp" in pod["metadata"]:
        return None
    for volume in pod["spec"].get("volumes", ()):
        if volume["name"] == CHAT_TEMPLATE_VOLUME and "configMap" in volume:
            [item] = volume["configMap"]["items"]
            return volume["configMap"]["name"], item["key"]
    return None
