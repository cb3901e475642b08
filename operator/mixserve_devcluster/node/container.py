"""One container of a pod, from its first start to its last end."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.api_server import ApiError
from mixserve_devcluster.node.backoff import BackOff, duration_text
from mixserve_devcluster.node.fields import UnknownFieldError
from mixserve_devcluster.node.images import NoCommandError, UnknownImageError
from mixserve_devcluster.node.last_words import termination_message
from mixserve_devcluster.node.launch import Launch, prepare_launch
from mixserve_devcluster.node.roles import LOST, Role
from mixserve_devcluster.node.running_container import RunningContainer
from mixserve_devcluster.node.sources import UnresolvedError
from mixserve_devcluster.node.spawner.client import SpawnError
from mixserve_devcluster.node.status import (
    ContainerFacts,
    Running,
    State,
    Terminated,
    Waiting,
    should_restart,
)

if TYPE_CHECKING:
    from mixserve_devcluster.node.pod_context import PodContext
    from mixserve_devcluster.node.pod_volumes import PodVolumes

# How often something missing is looked for again. A kubelet takes 10 s and more; it has more to do.
_RETRY_S = 1.0
# How long ErrImagePull is shown before ImagePullBackOff: as a kubelet, until about the next look at the pod.
_PULL_ERROR_S = 1.0
# What container runtimes report for a process that could not be started.
_START_ERROR_CODE = 128


class Container:
    """A container; `run` takes it through its life.

    Attributes:
        facts: what it does now.
        started: set once it has started for the first time (for a sidecar, what the pod waits for).
    """

    def __init__(
        self,
        *,
        name: str,
        role: Role,
        pod: PodContext,
        volumes: PodVolumes,
        facts: ContainerFacts,
    ) -> None:
        self.facts = facts
        self.started = asyncio.Event()
        self._name = name
        self._role = role
        self._pod = pod
        self._volumes = volumes
        self._back_off = BackOff(factor=pod.services.time_factor)
        self._running: RunningContainer | None = None
        self._is_retired = False

    @property
    def _spec(self) -> dict[str, Any]:
        """The declaration, looked up each time, since a pod's images may be changed."""
        declared: list[dict[str, Any]] = self._pod.manifest["spec"][self._role.field]
        return next(container for container in declared if container["name"] == self._name)

    @property
    def succeeded(self) -> bool:
        """Whether it has ended, and with exit code 0."""
        return isinstance(self.facts.state, Terminated) and self.facts.state.exit_code == 0

    @property
    def has_process(self) -> bool:
        """Whether it runs now."""
        return self._running is not None

    async def run(self) -> None:
        """Start it, and again as its restart policy says, until it is done or the pod stops."""
        while not self._pod.is_stopping and not self._is_done():
            if isinstance(self.facts.state, Terminated):
                await self._wait_for_restart(self.facts.state)
            launch = await self._prepare()
            if launch is not None:
                await self._run_once(launch)

    def stop(self, deadline_s: float) -> None:
        """End its process, if there is one, by a time of the event loop."""
        if self._running is not None:
            self._running.stop(deadline_s, f"Stopping container {self._name}")

    def retire(self, deadline_s: float) -> None:
        """Stop it although the pod goes on, and do not start it again."""
        self._is_retired = True
        self.stop(deadline_s)

    def give_up(self) -> None:
        """Take it that its process is gone, if it had one, and nobody knows how it ended."""
        self._running = None
        if isinstance(self.facts.state, Running):
            self._set(state=LOST, started=False, ready=False)

    def _is_done(self) -> bool:
        policy, state = self._role.restart_policy(self._pod.manifest["spec"]), self.facts.state
        return self._is_retired or (isinstance(state, Terminated) and not should_restart(policy, state.exit_code))

    async def _prepare(self) -> Launch | None:
        """Everything that is needed for a start; None when the pod is to stop before that is there."""
        pull = BackOff(factor=self._pod.services.time_factor)
        while not self._pod.is_stopping:
            try:
                launch = await prepare_launch(self._spec, self._pod, self._volumes)
                self._pod.services.logs.start(self._pod.namespace, self._pod.name, self._name)
            except UnknownImageError as error:
                pull = await self._wait_for_image(str(error), pull)
            except (UnresolvedError, UnknownFieldError, ApiError, OSError) as error:
                await self._wait_for("CreateContainerConfigError", str(error))
            except NoCommandError as error:
                await self._wait_for("CreateContainerError", str(error))
            else:
                return launch
        return None

    async def _wait_for(self, reason: str, message: str) -> None:
        self._record("Warning", "Failed", f"Error: {message}")
        self._set_waiting(reason, message)
        await self._pod.pause(_RETRY_S)

    async def _wait_for_image(self, message: str, pull: BackOff) -> BackOff:
        image, now_s = self._spec["image"], asyncio.get_running_loop().time()
        if pull.wait_s is None:
            self._record("Warning", "Failed", f'Failed to pull image "{image}": {message}')
            self._record("Warning", "Failed", "Error: ErrImagePull")
            self._set_waiting("ErrImagePull", message)
            await self._pod.pause(_PULL_ERROR_S)
        pull = pull.advance(now_s, now_s)
        self._record("Normal", "BackOff", f'Back-off pulling image "{image}"')
        self._set_waiting("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {message}')
        await self._pod.pause(pull.delay_s(now_s))
        return pull

    async def _run_once(self, launch: Launch) -> None:
        pod, began = self._pod, datetime.now(UTC)
        identifier = f"local://{uuid.uuid4().hex}"
        try:
            process = await pod.services.spawner.start(launch.program)
        except SpawnError as error:
            self._record("Warning", "Failed", f"Error: {error}")
            end = Terminated(exit_code=_START_ERROR_CODE, reason="StartError", message=str(error), started_at=began)
            self._begin(end, identifier)
        else:
            running = RunningContainer(
                spec=self._spec,
                pod=pod,
                program=launch.program,
                process=process,
                record=self._record,
                changed=self._take_over,
            )
            self._running = running
            self._begin(Running(started_at=began), identifier)
            self._record("Normal", "Started", f"Started container {self._name}")
            if pod.stop_at_s is not None:  # asked for while the process was being started
                self.stop(pod.stop_at_s)
            end = self._ended(await running.until_end(), launch, began)
            self._running = None
        end = dataclasses.replace(end, finished_at=datetime.now(UTC), container_id=identifier)
        self._set(state=end, started=False, ready=self._role is Role.INIT and end.exit_code == 0)

    def _begin(self, state: State, identifier: str) -> None:
        before = self.facts.state if isinstance(self.facts.state, Terminated) else self.facts.last
        self._set(
            state=state,
            last=before,
            container_id=identifier,
            restarts=self.facts.restarts + (before is not None),
            started=False,
            ready=False,
        )

    def _ended(self, code: int, launch: Launch, began: datetime) -> Terminated:
        message = termination_message(self._spec, launch.termination_log, Path(launch.program.output), code)
        return Terminated(
            exit_code=code,
            reason="Completed" if code == 0 else "Error",
            message=message,
            started_at=began,
        )

    def _take_over(self) -> None:
        """Show what the running container says of itself."""
        assert self._running is not None
        self._set(started=self._running.started, ready=self._running.ready)

    async def _wait_for_restart(self, end: Terminated) -> None:
        loop = asyncio.get_running_loop()
        ended_s = loop.time()
        delay_s = self._back_off.delay_s(ended_s)
        if delay_s:
            pod = f"{self._pod.name}_{self._pod.namespace}({self._pod.uid})"
            message = f"back-off {duration_text(delay_s)} restarting failed container={self._name} pod={pod}"
            self._record("Warning", "BackOff", f"Back-off restarting failed container {self._name} in pod {pod}")
            self._set(state=Waiting(reason="CrashLoopBackOff", message=message), last=end)
            await self._pod.pause(delay_s)
        self._back_off = self._back_off.advance(ended_s, loop.time())

    def _set_waiting(self, reason: str, message: str) -> None:
        before = self.facts.state if isinstance(self.facts.state, Terminated) else self.facts.last
        self._set(state=Waiting(reason=reason, message=message), last=before)

    def _set(self, **changes: Any) -> None:
        self.facts = dataclasses.replace(self.facts, **changes)
        if self.facts.started:
            self.started.set()
        self._pod.changed()

    def _record(self, kind: str, reason: str, message: str) -> None:
        self._pod.record(kind, reason, message, field_path=f"spec.{self._role.field}{{{self._name}}}")
