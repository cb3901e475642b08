"""The local node's configuration file: JSON with camelCase names.

ConfigError: the file is missing or does not hold what this module describes; the message names each field.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

# A name that Kubernetes takes for a node, short enough for an ordinal.
_NODE_NAME = r"^[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?$"
# The notations of a quantity of CPU or memory that nodes use.
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"


class ConfigError(Exception):
    """The configuration file cannot be used."""


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Mode(StrEnum):
    """What a node does with its pods: run them, or only report that they run."""

    PROCESS = "process"
    HOLLOW = "hollow"


class Gpu(_Section):
    """The GPUs of a node, all of one kind; shown as `nvidia.com/gpu` and GPU Feature Discovery labels.

    Attributes:
        product: as the GPU Feature Discovery label has it, such as `NVIDIA-L4`.
        count: how many the node has.
        memory_mib: memory of one, in MiB.
        compute_major: compute capability before the point.
        compute_minor: compute capability after the point.
    """

    product: str = Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
    count: int = Field(ge=1, le=16)
    memory_mib: int = Field(ge=1, alias="memoryMiB")
    compute_major: int = Field(ge=1, le=99)
    compute_minor: int = Field(ge=0, le=9)


class NodeSpec(_Section):
    """One node, or `count` equal ones called `<name>-0`, `<name>-1`, ...

    Attributes:
        cpu: capacity, a Kubernetes quantity, as is `memory`.
        pods: how many pods fit.
        labels: added to those that a kubelet and GPU Feature Discovery set.
        ready_after_s: hollow nodes only: seconds until a pod is reported Ready.
    """

    name: str = Field(pattern=_NODE_NAME)
    count: int | None = Field(default=None, ge=1, le=1000)
    mode: Annotated[Mode, Field(strict=False)] = Mode.PROCESS
    gpu: Gpu | None = None
    cpu: str = Field(default="32", pattern=_QUANTITY)
    memory: str = Field(default="256Gi", pattern=_QUANTITY)
    pods: int = Field(default=110, ge=1)  # a kubelet's default
    labels: dict[str, str] = Field(default_factory=dict)
    ready_after_s: float = Field(default=0.0, ge=0, alias="readyAfterSeconds")

    @property
    def names(self) -> list[str]:
        """The names of the nodes that this stands for."""
        return [self.name] if self.count is None else [f"{self.name}-{ordinal}" for ordinal in range(self.count)]

    @model_validator(mode="after")
    def _check_delay(self) -> Self:
        if self.ready_after_s and self.mode is Mode.PROCESS:
            raise ValueError("readyAfterSeconds is for hollow nodes; pods of a process node are ready when they are")
        return self


class ImageSpec(_Section):
    """What stands for the images whose reference matches `pattern`.

    Attributes:
        pattern: as of `fnmatch`: `*` any text, `?` any character.
        executables: the commands of the image: name to the local command line that is run instead.
        entrypoint: what runs when a container has no command; its `args` follow.
        env: the image's environment; a container's own wins.
        simulated: hand the node's labels and the pod's annotations to its processes, as simulated hardware.
    """

    pattern: str = Field(min_length=1)
    executables: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    entrypoint: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    simulated: bool = False

    @field_validator("executables")
    @classmethod
    def _check_names(cls, executables: dict[str, list[str]]) -> dict[str, list[str]]:
        for name in executables:
            if not name or "/" in name:
                raise ValueError(f"{name!r} is not the plain name of a command: leave directories out")
        return executables


class NodeConfig(_Section):
    """The whole file.

    Attributes:
        log_directory: gets `<namespace>_<pod>/<container>.log`, of the running and (`.log.1`) the previous process.
        work_directory: gets what pods have mounted, and the images' commands.
        api_server: where processes of pods find the API server.
        ca_file: the authority of the client certificates that may read logs here, PEM.
        serving_certificate_file: certificate of the kubelet API (`kubectl logs`), which is off without it.
        serving_key_file: its key.
        pod_network: an IPv4 network of loopback addresses for pods; by default a free 127.x.0.0/16 is claimed.
        time_factor: scales the time between restarts, for tests.
        isolated: false runs processes without namespaces even where they are possible, for tests.
        nodes: what to register.
        images: first match wins; the built-in images come last.
    """

    log_directory: Annotated[Path, Field(strict=False)]
    work_directory: Annotated[Path, Field(strict=False)]
    api_server: str = Field(pattern=r"^https://[^/]+:[0-9]+$")
    ca_file: Annotated[Path, Field(strict=False)]
    serving_certificate_file: Annotated[Path, Field(strict=False)] | None = None
    serving_key_file: Annotated[Path, Field(strict=False)] | None = None
    pod_network: Annotated[ipaddress.IPv4Network, Field(strict=False)] | None = None
    time_factor: float = Field(default=1.0, gt=0, le=1)
    isolated: bool = True
    nodes: list[NodeSpec] = Field(min_length=1)
    images: list[ImageSpec] = Field(default_factory=list)

    @field_validator("pod_network")
    @classmethod
    def _check_network(cls, network: ipaddress.IPv4Network | None) -> ipaddress.IPv4Network | None:
        # 127.0.0.0/24 has other users: the control plane, name servers (127.0.0.53), everybody's servers.
        if network is not None and (not network.is_loopback or network.overlaps(ipaddress.IPv4Network("127.0.0.0/24"))):
            raise ValueError(f"{network} is not within 127.0.0.0/8 without 127.0.0.0/24")
        return network

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if (self.serving_certificate_file is None) != (self.serving_key_file is None):
            raise ValueError("servingCertificateFile and servingKeyFile go together: give both or none")
        names = [name for node in self.nodes for name in node.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"nodes: more than one is called {', '.join(twice)}")
        return self


def read_config(path: Path) -> NodeConfig:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, or a field is wrong, missing or unknown.
    """
    try:
        return NodeConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(f"{path}: " + "; ".join(faults)) from error
