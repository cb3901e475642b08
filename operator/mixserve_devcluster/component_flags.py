"""The command lines of the control plane's components; paths in them are relative to its directory."""

from __future__ import annotations

from dataclasses import dataclass

# The order in which they start.
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

# A unix socket: a file "etcd-clients:0" in the directory (etcd insists on the form of a port). No port to
# collide on, and the directory's mode keeps others out, where an open etcd on loopback would be a way around
# RBAC for every pod and user of the machine.
_ETCD_CLIENTS = "unix://etcd-clients:0"
_ETCD_PEERS = "unix://etcd-peers:0"
# What etcd leaves in the directory: its data and, when it is killed, its sockets.
ETCD_FILES = ("etcd", "etcd-clients:0", "etcd-peers:0")


@dataclass(frozen=True, kw_only=True)
class ControlPlaneSettings:
    """How a control plane runs.

    Attributes:
        client_qps: requests per second that each controller, and the scheduler, may send. The default of
            Kubernetes, 20, gives 500 Deployments their pods only after 90 s.
        concurrent_syncs: objects of one kind that a controller works on at once.
        start_deadline_s: seconds until a control plane that is not ready counts as failed; it takes 3 s, and a
            minute on a machine with ten times too much to do.
    """

    client_qps: int = 500
    concurrent_syncs: int = 20
    start_deadline_s: float = 180.0


def etcd() -> list[str]:
    """Return the flags of etcd: unix sockets, and no fsync, since its data does not outlive it."""
    return [
        "--data-dir=etcd",
        f"--listen-client-urls={_ETCD_CLIENTS}",
        f"--advertise-client-urls={_ETCD_CLIENTS}",
        f"--listen-peer-urls={_ETCD_PEERS}",
        f"--initial-advertise-peer-urls={_ETCD_PEERS}",
        f"--initial-cluster=devcluster={_ETCD_PEERS}",
        "--name=devcluster",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(port: int) -> list[str]:
    """Return the flags of the API server on 127.0.0.1:`port`, which a socket beside it reserves."""
    return [
        f"--etcd-servers={_ETCD_CLIENTS}",
        "--bind-address=127.0.0.1",
        # Said, because it is otherwise looked up from the default route, which not every machine has.
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--permit-port-sharing",
        "--tls-cert-file=apiserver.crt",
        "--tls-private-key-file=apiserver.key",
        "--client-ca-file=ca.crt",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-account-key-file=service-account.pub",
        "--service-account-signing-key-file=service-account.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        # For `kubectl logs`: how it proves itself to a node, and whom it believes to be one.
        "--kubelet-client-certificate=kubelet-client.crt",
        "--kubelet-client-key=kubelet-client.key",
        "--kubelet-certificate-authority=ca.crt",
        # Names of nodes are in no name server.
        "--kubelet-preferred-address-types=InternalIP",
        # Nobody asks for the endpoints of the `kubernetes` Service, and they may not be loopback addresses.
        "--endpoint-reconciler-type=none",
        "--allow-privileged",
        "--profiling=false",
    ]


def kube_controller_manager(settings: ControlPlaneSettings) -> list[str]:
    """Return the flags of the controllers, all but those of endpoints.

    They refuse the loopback addresses that pods have here, and would warn without end.
    """
    off = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")
    concurrent = ("deployment", "replicaset", "statefulset", "daemonset", "job", "namespace", "gc")
    return [
        "--kubeconfig=kube-controller-manager.kubeconfig",
        "--controllers=" + ",".join(["*", *(f"-{name}" for name in off)]),
        "--root-ca-file=ca.crt",
        "--service-account-private-key-file=service-account.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        f"--kube-api-qps={settings.client_qps}",
        f"--kube-api-burst={2 * settings.client_qps}",
        *(f"--concurrent-{kind}-syncs={settings.concurrent_syncs}" for kind in concurrent),
    ]


def kube_scheduler() -> list[str]:
    """Return the flags of the scheduler; its `scheduler_configuration` is in scheduler.yaml."""
    return ["--config=scheduler.yaml", "--secure-port=0"]


def scheduler_configuration(settings: ControlPlaneSettings) -> dict[str, object]:
    """Return what scheduler.yaml holds; the flags that say the same are deprecated."""
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {
            "kubeconfig": "kube-scheduler.kubeconfig",
            "qps": settings.client_qps,
            "burst": 2 * settings.client_qps,
        },
        "leaderElection": {"leaderElect": False},
        "enableProfiling": False,
    }
