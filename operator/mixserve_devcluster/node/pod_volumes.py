"""Makes a pod's volumes on the host and keeps their files up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.api_server import ApiError
from mixserve_devcluster.node.fields import UnknownFieldError
from mixserve_devcluster.node.host_volumes import claimed_path, host_path
from mixserve_devcluster.node.source_reader import read_sources
from mixserve_devcluster.node.sources import Sources, UnresolvedError, names_in_volumes, service_account_tokens
from mixserve_devcluster.node.tokens import ServiceAccountTokens
from mixserve_devcluster.node.volume_directory import write_volume
from mixserve_devcluster.node.volumes import FILE_VOLUMES, PodFacts, volume_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mixserve_devcluster.node.pod_context import PodContext


class VolumeError(Exception):
    """A volume cannot be provided (yet); the message names it."""


class PodVolumes:
    """The volumes of one pod.

    Attributes:
        paths: where each volume lies on the host, once `prepare` has succeeded.
    """

    def __init__(self, pod: PodContext) -> None:
        self._pod = pod
        self._tokens = ServiceAccountTokens(pod)
        self.paths: dict[str, Path] = {}

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The volumes in the pod's manifest, by name."""
        return {volume["name"]: volume for volume in self._pod.manifest["spec"].get("volumes", [])}

    async def prepare(self) -> None:
        """Make every volume, or renew the files of those that are made.

        Raises:
            VolumeError: one of them cannot be provided (yet).
        """
        try:
            names = names_in_volumes(list(self.declared.values()))
            sources = await read_sources(self._pod.services.api, self._pod.namespace, names)
        except ApiError as error:
            raise VolumeError(str(error)) from error
        for name, volume in self.declared.items():
            try:
                self.paths[name] = await self._provide(volume, sources)
            except (UnresolvedError, UnknownFieldError, ApiError, OSError) as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    async def _provide(self, volume: Mapping[str, Any], sources: Sources) -> Path:
        own = self._pod.directory / "volumes" / str(volume["name"])
        if any(kind in volume for kind in FILE_VOLUMES):
            await self._write(own, volume, sources)
            return own
        if "emptyDir" in volume:
            own.mkdir(parents=True, exist_ok=True)
            own.chmod(0o777)  # as a kubelet: for whatever user the process is
            return own
        if "hostPath" in volume:
            return host_path(volume["hostPath"])
        if claim := volume.get("persistentVolumeClaim"):
            return await claimed_path(self._pod.services.api, self._pod.namespace, claim["claimName"])
        kind = next(key for key in volume if key != "name")
        raise UnresolvedError(f"the local node has no volumes of type {kind}")

    async def _write(self, directory: Path, volume: Mapping[str, Any], sources: Sources) -> None:
        requests = service_account_tokens(volume)
        facts = PodFacts(
            pod=self._pod.described,
            sources=sources,
            allocatable=self._pod.node.allocatable,
            tokens={request["path"]: await self._tokens.get(volume["name"], request) for request in requests},
        )
        write_volume(directory, volume_files(volume, facts))
