"""The sources of checkpoints that the settings allow, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.controller.checkpoints.hub_source import HubSource
from mixserve.controller.checkpoints.volume_source import VolumeSource
from mixserve.observe.hub import HubReader
from mixserve.observe.hub_cache import HubCache

if TYPE_CHECKING:
    from mixserve.apply.connection import Connection
    from mixserve.controller.checkpoints.source_reader import SourceReader
    from mixserve.controller.settings import Settings

HUB_KIND, VOLUME_KIND = "hf", "pvc"


def kinds_read(settings: Settings) -> frozenset[str]:
    """The kinds of sources, by what stands before `://`, that the operator reads besides `host://`."""
    return frozenset(
        ([HUB_KIND] if settings.hub_enabled else []) + ([VOLUME_KIND] if settings.files_image is not None else [])
    )


def hub_reader(settings: Settings) -> HubReader | None:
    """The hub, or none where it is switched off; to be closed in the end."""
    if not settings.hub_enabled:
        return None
    cache = None if settings.cache_directory is None else HubCache(settings.cache_directory / "hub")
    return HubReader(settings.hub_endpoint, cache=cache)


def sources(settings: Settings, connection: Connection, hub: HubReader | None) -> dict[str, SourceReader]:
    """Readers by the kind of source."""
    found: dict[str, SourceReader] = {}
    if hub is not None:
        found[HUB_KIND] = HubSource(hub, connection, reads_tokens=settings.hub_read_tokens)
    if settings.files_image is not None:
        found[VOLUME_KIND] = VolumeSource(connection, image=settings.files_image)
    return found
