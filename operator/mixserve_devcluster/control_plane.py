"""A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

Authentication is by client certificates and service-account tokens, authorization by RBAC, and ServiceAccount
admission is on, as in a cluster that somebody runs for a living. Not there: endpoints (EndpointSlices refuse
the loopback addresses that the local node's pods have) and an aggregation layer.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import yaml

from mixserve_devcluster import binaries, component_flags, kubeconfig, service_account
from mixserve_devcluster.api_connection import ApiConnection
from mixserve_devcluster.certificates import ClusterAuthority, service_account_keys, write_private
from mixserve_devcluster.component_flags import ControlPlaneSettings
from mixserve_devcluster.errors import ControlPlaneError
from mixserve_devcluster.processes import GuardedProcess, kill_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mixserve.controller.webhook.authority import KeyPair

# Between two looks at a starting API server.
_POLL_S = 0.05
# The group of local nodes; bound to the ClusterRole that Kubernetes ships for kubelets.
NODE_GROUP = "mixserve-devcluster:nodes"


class ControlPlane:
    """A running control plane; made by `ControlPlane.start`.

    Attributes:
        directory: holds its files; nobody else may enter it.
        server: the API server's URL.
        ca_file: the authority of its certificate, PEM.
        kubeconfig: of the administrator (group system:masters).
        api: the administrator's connection.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.server = f"https://127.0.0.1:{port}"
        self.ca_file = directory / "ca.crt"
        self.kubeconfig = directory / "admin.kubeconfig"
        self._processes: list[GuardedProcess] = []
        self._authority = ClusterAuthority()
        self._endpoint = kubeconfig.Endpoint(server=self.server, authority=self._authority.certificate)
        client = self._authority.client("admin", ["system:masters"])
        kubeconfig.write_for_certificate(self.kubeconfig, self._endpoint, client)
        self.api = ApiConnection.from_kubeconfig(self.kubeconfig)

    @classmethod
    @contextlib.contextmanager
    def start(cls, directory: Path, settings: ControlPlaneSettings | None = None) -> Iterator[ControlPlane]:
        """Run a control plane in `directory` (made if missing); it is ready when the context is entered.

        On leaving the context its processes are gone and its data is removed; logs and kubeconfigs stay.

        Raises:
            PlatformError: this is not Linux.
            BuildError: a binary is not there and cannot be built.
            ProcessError: a component ended; with the end of its log.
            ControlPlaneError: the deadline passed; with the ends of all logs.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _reserved_port() as port:
            plane = cls(directory.resolve(), port)
            try:
                plane._boot(settings or ControlPlaneSettings(), port)
                yield plane
            finally:
                # Killed, since the data goes too: on SIGTERM the API server would wait for its watchers.
                kill_all(reversed(plane._processes))
                plane._remove_data()

    def kubeconfig_for(self, *, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig with a client certificate for `user` (at most 64 characters) in `groups`."""
        path = self.directory / f"user_{quote(user, safe='')}.kubeconfig"
        return kubeconfig.write_for_certificate(path, self._endpoint, self._authority.client(user, groups))

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """Write a kubeconfig with a token for a ServiceAccount that exists."""
        return service_account.write_kubeconfig(self.api, self.kubeconfig, namespace=namespace, name=name)

    def serving_certificate(self, name: str, addresses: Sequence[str]) -> tuple[Path, Path]:
        """Write a server certificate for IP addresses; return the files of the certificate and of its key."""
        return self._write_pair(name, self._authority.server([name], addresses))

    def check(self) -> None:
        """Raise ProcessError, with the end of its log, if a component has ended."""
        for process in self._processes:
            process.ensure_running()

    def _boot(self, settings: ControlPlaneSettings, port: int) -> None:
        found = {name: binaries.find(name) for name in component_flags.COMPONENTS}
        self._remove_data()  # what a killed predecessor has left
        self._write_files(settings)
        deadline = time.monotonic() + settings.start_deadline_s
        self._launch(found["etcd"], component_flags.etcd())
        self._launch(found["kube-apiserver"], component_flags.kube_apiserver(port))
        self._wait_until(self.api.is_ready, "the API server to be ready", deadline)
        self._launch(found["kube-controller-manager"], component_flags.kube_controller_manager(settings))
        self._launch(found["kube-scheduler"], component_flags.kube_scheduler())
        self.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _node_binding())
        # Until the controllers have made it, pods are refused.
        self._wait_until(self._has_default_account, "the default ServiceAccount", deadline)

    def _has_default_account(self) -> bool:
        accounts = self.api.get("/api/v1/namespaces/default/serviceaccounts")["items"]
        return any(account["metadata"]["name"] == "default" for account in accounts)

    def _remove_data(self) -> None:
        for name in component_flags.ETCD_FILES:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _write_files(self, settings: ControlPlaneSettings) -> None:
        self.ca_file.write_bytes(self._authority.certificate)
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        self._write_pair("apiserver", self._authority.server(names, ["127.0.0.1", "10.96.0.1"]))
        self._write_pair("kubelet-client", self._authority.client("kube-apiserver-kubelet-client", []))
        private, public = service_account_keys()
        write_private(self.directory / "service-account.key", private)
        (self.directory / "service-account.pub").write_bytes(public)
        for name in ("kube-controller-manager", "kube-scheduler"):
            client = self._authority.client(f"system:{name}", [])
            kubeconfig.write_for_certificate(self.directory / f"{name}.kubeconfig", self._endpoint, client)
        scheduler = component_flags.scheduler_configuration(settings)
        (self.directory / "scheduler.yaml").write_text(yaml.safe_dump(scheduler))

    def _write_pair(self, name: str, pair: KeyPair) -> tuple[Path, Path]:
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        certificate.write_bytes(pair.certificate)
        return certificate, write_private(key, pair.key)

    def _launch(self, binary: Path, flags: Sequence[str]) -> None:
        process = GuardedProcess.start(
            binary.name,
            [str(binary), *flags],
            log_file=self.directory / f"{binary.name}.log",
            directory=self.directory,
        )
        self._processes.append(process)

    def _wait_until(self, condition: Callable[[], bool], what: str, deadline: float) -> None:
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                logs = "\n".join(f"{process.log_file}:\n{process.log_tail()}" for process in self._processes)
                raise ControlPlaneError(f"waited in vain for {what}; the ends of the logs:\n{logs}")
            time.sleep(_POLL_S)


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A loopback port that nobody else is given while the context lasts.

    The socket is bound, but never listens, so it takes no connection; the API server binds the same port
    beside it (`--permit-port-sharing`). So there is no moment at which another process could take the port.
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


def _node_binding() -> dict[str, object]:
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "mixserve-devcluster-nodes"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:node"},
        "subjects": [{"apiGroup": rbac, "kind": "Group", "name": NODE_GROUP}],
    }
