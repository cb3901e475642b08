"""What a pool brings along for its pods: objects of its namespace by name, and environment variables."""

from typing import Annotated

from pydantic import Field

from mixserve.api.base import StrictModel

# As the API server has it: "." and what begins with ".." are no keys, since they are file names where it is mounted.
DATA_KEY_PATTERN = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
ENVIRONMENT_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"
# One line of printable ASCII: what every shell, log and file of a process's environment shows as it is.
ENVIRONMENT_VALUE_PATTERN = "^[ -~]*$"

SubdomainName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of a Secret, ConfigMap or PersistentVolumeClaim."""
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=DATA_KEY_PATTERN)]


class SecretKeyRef(StrictModel):
    """A key of a Secret in the pool's namespace."""

    name: SubdomainName
    """Name of the Secret."""
    key: DataKey
    """Key in the Secret's data."""


class ConfigMapKeyRef(StrictModel):
    """A key of a ConfigMap in the pool's namespace."""

    name: SubdomainName
    """Name of the ConfigMap."""
    key: DataKey
    """Key in the ConfigMap's data."""


class Cache(StrictModel):
    """A volume that outlives pods, for downloads and compiled kernels."""

    claim_name: SubdomainName
    """Name of a PersistentVolumeClaim of the pool's namespace: ReadWriteMany, unless there is never more than one
    replica, rollouts included. Several pools may share one: downloads are kept once, and what engines compile is kept
    apart by Deployment."""


class EnvironmentVariable(StrictModel):
    """A variable of the engine's environment; its value can be read by everyone who may see the pool."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=ENVIRONMENT_NAME_PATTERN)]
    """Name of the variable, for example NCCL_DEBUG."""
    value: Annotated[str, Field(max_length=4096, pattern=ENVIRONMENT_VALUE_PATTERN)]
    """Its value: one line of printable ASCII."""
