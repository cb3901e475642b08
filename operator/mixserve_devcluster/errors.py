"""What can go wrong with the embedded cluster; each message says what to do about it.

DevClusterError
├── PlatformError       this is not Linux
├── BuildError          a binary is not there and cannot be compiled
├── InstallError        Mixserve or the real vLLM is not there, or cannot be installed
├── KubectlError        kubectl failed
├── ProcessError        a child process ended although it should be running
├── PortError           no pod can listen on a port that engines need
├── ControlPlaneError   the control plane did not come up in time
├── ApiError            the API server refused a call, or did not answer
├── ServiceError        a Service leads to no pod's port
└── ClusterError        a named cluster is unknown, runs already, or was asked for in the wrong way
"""


class DevClusterError(Exception):
    """Something is wrong with the embedded cluster."""


class PlatformError(DevClusterError):
    """This is not Linux."""


class BuildError(DevClusterError):
    """A binary is not there and cannot be compiled."""


class InstallError(DevClusterError):
    """Mixserve or the real vLLM is not there, or cannot be installed."""


class KubectlError(DevClusterError):
    """Kubectl failed."""


class ProcessError(DevClusterError):
    """A child process ended although it should be running."""


class PortError(DevClusterError):
    """No pod can listen on a port that engines need."""


class ControlPlaneError(DevClusterError):
    """The control plane did not come up in time."""


class ServiceError(DevClusterError):
    """A Service leads to no pod's port."""


class ClusterError(DevClusterError):
    """A named cluster is unknown, runs already, or was asked for in the wrong way."""


class ApiError(DevClusterError):
    """A call failed; `status` is the HTTP status, or None where there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
