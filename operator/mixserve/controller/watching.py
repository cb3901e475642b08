"""kopf watches; what it tells goes into the caches, and the keys of the pools that it concerns into the queue.

kopf gets handlers for raw events only: those need no finalizer and leave no annotations, and no error in them is lost,
because all that can go wrong happens later, in the workers of our own queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from mixserve.controller.cluster_view import LABELLED, MANAGED, WATCHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubernetes.aio.client import Configuration

    from mixserve.apply.resources import Resource
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import WorkKey
    from mixserve.controller.queue import KeyedQueue

# A Deployment and its pods change a few times in a row; then one look at their pool is enough.
_SETTLE_S = 0.1


def watch_registry(
    view: ClusterView,
    queue: KeyedQueue[WorkKey],
    resources: Sequence[Resource] = WATCHED,
) -> kopf.OperatorRegistry:
    """Handlers that keep the caches up to date and ask for the pools and gateways that a change concerns."""
    registry = kopf.OperatorRegistry()
    for resource in resources:
        _watch(registry, resource, view, queue)
    return registry


def watch_settings() -> kopf.OperatorSettings:
    """Kopf's settings: it writes nothing, and sees of other people's resources only what the operator manages."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.StatusProgressStorage()
    # Workers of objects that change a few times in a row are not worth keeping longer.
    settings.queueing.idle_timeout = 1.0
    for resource in LABELLED:
        settings.watching.label_selectors[_selector(resource)] = MANAGED
    return settings


def watch_login(registry: kopf.OperatorRegistry, configuration: Configuration) -> None:
    """Let kopf use the credentials of `kubernetes.aio`; it asks again when they are refused, as an old token is."""

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await connection_info(configuration)


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The credentials that `configuration` has now."""
    scheme, _, token = (await configuration.get_api_key_with_prefix("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme or None,
        token=token or None,
        proxy_url=configuration.proxy,
    )


def _watch(
    registry: kopf.OperatorRegistry,
    resource: Resource,
    view: ClusterView,
    queue: KeyedQueue[WorkKey],
) -> None:
    @kopf.on.event(*_selector(resource), id=f"see-{resource.plural}", registry=registry)
    async def see(event: kopf.RawEvent, **_: Any) -> None:
        take = view.remove if event["type"] == "DELETED" else view.put
        for key in take(resource, event["object"]):
            if resource in LABELLED:
                queue.add_after(key, _SETTLE_S)
            else:
                queue.add(key)


def _selector(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.api_version.rpartition("/")[2], resource.plural


class _NoDiffBase(kopf.DiffBaseStorage):
    """What kopf would compare objects with and note on them: nothing. It saves a copy of each object, too."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass
