"""From a container's spec to the program that is started for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.container_directory import ContainerDirectory
from mixserve_devcluster.node.environment import declared_environment, expanded
from mixserve_devcluster.node.images import Image, command_line, with_own_host
from mixserve_devcluster.node.logs import older
from mixserve_devcluster.node.source_reader import read_sources
from mixserve_devcluster.node.sources import UnresolvedError, names_in_environment
from mixserve_devcluster.node.spawner.messages import Mount, Program
from mixserve_devcluster.node.unmounted import without_mounts
from mixserve_devcluster.node.volumes import VolumeMount, volume_mounts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mixserve_devcluster.node.pod_context import PodContext
    from mixserve_devcluster.node.pod_volumes import PodVolumes

# Where Kubernetes lets a process leave its last words, unless the container says otherwise.
_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A container that is ready to be started.

    Attributes:
        program: its main process.
        termination_log: the file on the host in which the process may leave its last words.
    """

    program: Program
    termination_log: Path


async def prepare_launch(container: Mapping[str, Any], pod: PodContext, volumes: PodVolumes) -> Launch:
    """Work out what to start, and make its files.

    Raises:
        UnknownImageError: no image of the node stands for the container's.
        NoCommandError: there is nothing to run.
        UnresolvedError: something that the environment or a mount refers to does not exist.
        UnknownFieldError: the downward API does not have a field that is asked for.
        ApiError: the API server does not give what the environment needs.
    """
    services = pod.services
    image = services.images.find(container["image"])
    sources = await read_sources(services.api, pod.namespace, names_in_environment(container))
    declared = declared_environment(
        pod=pod.described,
        container=container,
        sources=sources,
        allocatable=pod.node.allocatable,
        services=services.service_environment,
    )
    own = ContainerDirectory(path=pod.directory / "containers" / container["name"])
    own.make()
    mounts = [
        Mount(source=str(_source(mount, volumes)), target=mount.path, read_only=mount.read_only)
        for mount in volume_mounts(container, volumes.declared, declared)
    ]
    log = services.logs.file(pod.namespace, pod.name, container["name"])
    words = command_line(image.spec, container.get("command", []), container.get("args", []))
    program = Program(
        argv=with_own_host(expanded(words, declared, services.service_environment), pod.address),
        environment={**_image_environment(image, own, pod), **declared},
        directory=container.get("workingDir") or str(own.home),
        output=str(log),
        older_output=str(older(log)),
        mounts=[*mounts, _termination_mount(container, own)],
        stage=str(own.stage),
    )
    if not services.spawner.isolated:
        program = without_mounts(program, own)
    return Launch(program=program, termination_log=own.termination_log)


def _source(mount: VolumeMount, volumes: PodVolumes) -> Path:
    path = volumes.paths[mount.volume]
    if not mount.sub_path:
        return path
    below = (path / mount.sub_path).resolve()
    if not below.is_relative_to(path.resolve()):
        raise UnresolvedError(f'subPath "{mount.sub_path}" leads out of volume "{mount.volume}"')
    if not below.exists():
        below.mkdir(parents=True)
    return below


def _termination_mount(container: Mapping[str, Any], own: ContainerDirectory) -> Mount:
    target = container.get("terminationMessagePath") or _TERMINATION_LOG
    return Mount(source=str(own.termination_log), target=target, read_only=False)


def _image_environment(image: Image, own: ContainerDirectory, pod: PodContext) -> dict[str, str]:
    environment = {
        **pod.services.host_environment,
        **pod.services.service_environment,
        "HOSTNAME": pod.name,
        "HOME": str(own.home),
        "TMPDIR": str(own.temporary),
    }
    if image.spec.simulated:
        annotations = pod.manifest["metadata"].get("annotations", {})
        environment["MIXSERVE_SIMULATED_NODE_LABELS"] = json.dumps(dict(pod.node.labels))
        environment["MIXSERVE_SIMULATED_POD_ANNOTATIONS"] = json.dumps(annotations)
    environment |= image.spec.env
    environment["PATH"] = f"{image.commands}:{environment['PATH']}"
    return environment
