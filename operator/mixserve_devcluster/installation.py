"""Mixserve on an embedded cluster, installed as its chart installs it, but with the operator as a local process.

There are no images here, so the chart's Deployment is the one object that is not applied: its command, environment and
ServiceAccount are used to start the operator beside the cluster. There is no way through a Service either, so the API
server is told the operator's own address for the webhook.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import filelock

from mixserve_devcluster import chart, kubectl, service_account
from mixserve_devcluster.api_connection import ApiConnection
from mixserve_devcluster.errors import InstallError
from mixserve_devcluster.processes import GuardedProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMESPACE = "mixserve-system"
"""Where the chart's namespaced objects are."""

# Import of the operator's libraries on a busy machine, the first lists and the Lease.
_OPERATOR_START_S = 60.0
# On SIGTERM it gives the Lease back and finishes what it is doing.
_OPERATOR_STOP_S = 10.0
_POLL_S = 0.05
_LOOPBACK = "127.0.0.1"
# Any one, until the operator has been started and says its own.
_NO_PORT_YET = 9443
# The API server reads a new CRD within a second.
_ESTABLISHED_S = 30


@dataclass(frozen=True, kw_only=True)
class OperatorProgram:
    """How the chart runs the operator.

    Attributes:
        command: the container's words.
        environment: its variables, as they would be in a pod of the Deployment.
        service_account: the account that it runs under.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    service_account: str

    @classmethod
    def of(cls, deployment: Mapping[str, Any]) -> Self:
        """Read the chart's Deployment."""
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        # The pod's name stays the same over restarts of its container, and so does this one over those of the process.
        fields = {"metadata.namespace": NAMESPACE, "metadata.name": f"{deployment['metadata']['name']}-local"}
        environment = {
            each["name"]: each["value"] if "value" in each else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in container.get("env", ())
        }
        return cls(
            command=(*container.get("command", ()), *container.get("args", ())),
            environment=environment,
            service_account=pod["serviceAccountName"],
        )


class Installation:
    """Mixserve on a cluster; made by `installed`.

    Attributes:
        kubeconfig: the cluster administrator's.
        operator_kubeconfig: the operator's own, of the chart's ServiceAccount.
        operator_log: what the operator says, one JSON object per line, over all its restarts.
    """

    def __init__(
        self,
        kubeconfig: Path,
        program: OperatorProgram,
        *,
        webhooks: Sequence[Mapping[str, Any]],
        settings: Mapping[str, str],
    ) -> None:
        self.kubeconfig = kubeconfig
        self.operator_kubeconfig = service_account.write_kubeconfig(
            ApiConnection.from_kubeconfig(kubeconfig), kubeconfig, namespace=NAMESPACE, name=program.service_account
        )
        self.operator_log = kubeconfig.with_name("operator.log")
        self._program = program
        self._webhooks = webhooks
        self._settings = settings
        self._process: GuardedProcess | None = None
        self._address = ""

    @property
    def metrics_url(self) -> str:
        """The page with the operator's own metrics; another one after each start."""
        return f"http://{self._address}/metrics"

    @property
    def operator(self) -> GuardedProcess:
        """The operator's process."""
        if self._process is None:
            raise InstallError("the operator is not running")
        return self._process

    def start_operator(self) -> None:
        """Start the operator, and wait until it is ready.

        Raises:
            ProcessError: it ended; with the end of its log.
            InstallError: it does not get ready.
        """
        before = self.operator_log.stat().st_size if self.operator_log.exists() else 0
        self._process = GuardedProcess.start(
            "the operator",
            _local_command(self._program.command),
            log_file=self.operator_log,
            environment=self._environment(),
        )
        deadline = time.monotonic() + _OPERATOR_START_S
        while not self._is_ready(before):
            self._process.ensure_running()
            if time.monotonic() > deadline:
                raise InstallError(f"the operator does not get ready; its log ends with:\n{self._process.log_tail()}")
            time.sleep(_POLL_S)
        if self._webhooks:
            # The port is another one after each start.
            port = _started_port(self.operator_log, before, "webhook_started")
            configurations = [_at_loopback(each, port or _NO_PORT_YET) for each in self._webhooks]
            kubectl.apply(self.kubeconfig, configurations, namespace=NAMESPACE)

    def stop_operator(self) -> None:
        """End the operator as Kubernetes would: SIGTERM, then SIGKILL after its grace."""
        if self._process is not None:
            self._process.stop(_OPERATOR_STOP_S)
            self._process = None

    def kill_operator(self) -> None:
        """End the operator as a crash would, by SIGKILL; it is gone when this returns."""
        self.operator.kill()
        self.operator.wait(None)
        self._process = None

    def _environment(self) -> dict[str, str]:
        own = {
            "MIXSERVE_KUBECONFIG": str(self.operator_kubeconfig),
            "MIXSERVE_HTTP_HOST": _LOOPBACK,
            "MIXSERVE_HTTP_PORT": "0",
            "MIXSERVE_WEBHOOK_PORT": "0",
            "MIXSERVE_WEBHOOK_NAMES": _LOOPBACK,
            "MIXSERVE_LOG_FORMAT": "json",
            "MIXSERVE_CACHE_DIRECTORY": str(self.kubeconfig.with_name("operator-cache")),
        }
        return {**_without_settings(os.environ), **self._program.environment, **own, **self._settings}

    def _is_ready(self, log_offset: int) -> bool:
        address = _web_address(self.operator_log, log_offset)
        if address is None:
            return False
        self._address = address
        return _answers_ok(address, "/readyz")


@contextlib.contextmanager
def installed(
    kubeconfig: Path,
    *,
    webhook: bool = False,
    values: Mapping[str, Any] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """Install CRDs, catalogue, RBAC and the rest of the chart, and run the operator while the context lasts.

    What is installed stays; the operator is gone afterwards.

    Args:
        kubeconfig: the cluster administrator's, in a directory that the operator's files may go into.
        webhook: whether pools that can't work are refused when they are applied; else their conditions say so.
        values: the chart's, but whether there is a webhook; the hub is switched off unless they say otherwise.
        settings: environment variables of the operator (MIXSERVE_...) besides the chart's; they win.

    Raises:
        InstallError: the chart cannot be rendered, or the operator does not get ready.
        KubectlError: the API server refuses an object of the chart.
        ProcessError: the operator ended.
    """
    chosen = dict(values or {})
    chosen["webhook"] = {**chosen.get("webhook", {}), "enabled": webhook}
    # The engines here stand for models that are on no hub, and pools should not wait to be told so.
    chosen["hub"] = {"enabled": False, **chosen.get("hub", {})}
    manifests = chart.render(chosen, namespace=NAMESPACE)
    [deployment] = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    webhooks = [manifest for manifest in manifests if manifest["kind"] == "ValidatingWebhookConfiguration"]
    as_they_are = [manifest for manifest in manifests if manifest is not deployment and manifest not in webhooks]
    _apply(kubeconfig, [*as_they_are, *(_at_loopback(each, _NO_PORT_YET) for each in webhooks)])
    installation = Installation(kubeconfig, OperatorProgram.of(deployment), webhooks=webhooks, settings=settings or {})
    try:
        installation.start_operator()
        yield installation
    finally:
        installation.stop_operator()


@contextlib.contextmanager
def sole_operator(kubeconfig: Path) -> Iterator[None]:
    """Keep a second operator off a cluster: it would have the same name in the Lease, so that both would work.

    Raises:
        InstallError: somebody else is in this context.
    """
    try:
        with filelock.FileLock(kubeconfig.with_name("operator.lock"), blocking=False):
            yield
    except filelock.Timeout as error:
        raise InstallError("an operator runs on this cluster already; end it first with Ctrl-C") from error


def _apply(kubeconfig: Path, manifests: Sequence[Mapping[str, Any]]) -> None:
    definitions = [manifest for manifest in manifests if manifest["kind"] == "CustomResourceDefinition"]
    others = [manifest for manifest in manifests if manifest["kind"] != "CustomResourceDefinition"]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kubectl.apply(kubeconfig, [namespace, *definitions], namespace=NAMESPACE)
    names = [f"customresourcedefinition/{definition['metadata']['name']}" for definition in definitions]
    kubectl.run(kubeconfig, "wait", "--for=condition=Established", f"--timeout={_ESTABLISHED_S}s", *names)
    kubectl.apply(kubeconfig, others, namespace=NAMESPACE)


def _at_loopback(configuration: Mapping[str, Any], port: int) -> dict[str, Any]:
    """The configuration with the operator's address instead of its Service."""
    webhooks = [
        {**webhook, "clientConfig": {"url": f"https://{_LOOPBACK}:{port}{webhook['clientConfig']['service']['path']}"}}
        for webhook in configuration["webhooks"]
    ]
    return {**configuration, "webhooks": webhooks}


def _local_command(command: Sequence[str]) -> list[str]:
    """The container's command, with the `mixserve` of this environment."""
    program = shutil.which(command[0], path=str(Path(sys.executable).parent))
    if program is None:
        raise InstallError(f"there is no {command[0]!r} beside {sys.executable}: install Mixserve there")
    return [program, *command[1:]]


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("MIXSERVE_")}


def _web_address(log: Path, offset: int) -> str | None:
    """Where the operator that began to log at `offset` serves its metrics; None if it has not said so yet."""
    port = _started_port(log, offset, "web_started")
    return None if port is None else f"{_LOOPBACK}:{port}"


def _started_port(log: Path, offset: int, event: str) -> int | None:
    """The port of the event that an operator logs when it begins to listen; None if it has not logged it yet."""
    with log.open() as lines:
        lines.seek(offset)
        for line in lines:
            if line.startswith("{") and line.endswith("}\n"):
                entry = json.loads(line)
                if entry.get("event") == event:
                    return int(entry["port"])
    return None


def _answers_ok(address: str, path: str) -> bool:
    # 5 s: it may be busy reading the cluster.
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
