"""Where an engine finds its pool's LoRA adapters, and what a pod needs for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve.engines.protocol import LaunchedAdapter

if TYPE_CHECKING:
    from mixserve.api.model import Adapter

ADAPTERS_PATH = "/adapters"
"""Where adapters of volumes and directories are mounted: beside models, which may be called the same."""

HUB_CACHE = "huggingface/hub"
"""Of the Hugging Face libraries, in the pod's cache directory (HF_HOME is the part before the slash)."""


@dataclass(frozen=True)
class HubAdapter:
    """An adapter that has to be fetched.

    Attributes:
        repository: ORGANISATION/NAME.
        revision: the commit.
    """

    repository: str
    revision: str

    @property
    def path(self) -> str:
        """Where the hub's library puts it, below the cache directory of HUB_CACHE."""
        return f"models--{self.repository.replace('/', '--')}/snapshots/{self.revision}"


@dataclass(frozen=True, kw_only=True)
class AdapterFiles:
    """A pool's adapters, as a pod sees them.

    Attributes:
        launched: with their paths inside the container.
        hub: those that have to be fetched before the engine starts.
        volumes: what the pod needs for them.
        mounts: what the engine's container needs for them.
    """

    launched: tuple[LaunchedAdapter, ...] = ()
    hub: tuple[HubAdapter, ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()


def adapter_files(adapters: tuple[Adapter, ...], *, cache_path: str) -> AdapterFiles:
    """What a pod needs for the adapters of its pool.

    Args:
        adapters: of a valid pool.
        cache_path: the pod's cache directory inside the container.
    """
    # Several adapters of one claim, or of one directory, need one volume.
    sources = dict.fromkeys(source for adapter in adapters if (source := _mounted(adapter)) is not None)
    names = {source: f"adapters-{number}" for number, source in enumerate(sources)}
    return AdapterFiles(
        launched=tuple(
            LaunchedAdapter(name=one.name, path=_path(one, names, cache_path), rank=one.rank) for one in adapters
        ),
        hub=tuple(dict.fromkeys(hub for one in adapters if (hub := _hub(one)) is not None)),
        volumes=tuple({"name": name, **_volume(source)} for source, name in names.items()),
        mounts=tuple(
            {"name": name, "mountPath": f"{ADAPTERS_PATH}/{name}", "readOnly": True} for name in names.values()
        ),
    )


def _hub(adapter: Adapter) -> HubAdapter | None:
    return None if adapter.revision is None else HubAdapter(adapter.source.removeprefix("hf://"), adapter.revision)


def _mounted(adapter: Adapter) -> str | None:
    """What is mounted for an adapter: pvc://CLAIM or host:///PATH; None for the hub."""
    scheme, _, rest = adapter.source.partition("://")
    if scheme == "hf":
        return None
    return f"pvc://{rest.partition('/')[0]}" if scheme == "pvc" else adapter.source


def _volume(source: str) -> dict[str, Any]:
    scheme, _, rest = source.partition("://")
    if scheme == "pvc":
        return {"persistentVolumeClaim": {"claimName": rest, "readOnly": True}}
    return {"hostPath": {"path": rest, "type": "Directory"}}


def _path(adapter: Adapter, names: dict[str, str], cache_path: str) -> str:
    hub, source = _hub(adapter), _mounted(adapter)
    if hub is not None:
        return f"{cache_path}/{HUB_CACHE}/{hub.path}"
    assert source is not None, "what is not on the hub is mounted"
    return f"{ADAPTERS_PATH}/{names[source]}{adapter.source.removeprefix(source)}"
