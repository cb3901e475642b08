"""A container while its process runs: lifecycle hooks, probes, and its end."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.actions import Outcome, Target, perform
from mixserve_devcluster.node.probe_runner import run_probe
from mixserve_devcluster.node.probes import Probe
from mixserve_devcluster.node.spawner.client import SpawnError
from mixserve_devcluster.node.termination import Termination
from mixserve_devcluster.node.waiting import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mixserve_devcluster.node.pod_context import PodContext
    from mixserve_devcluster.node.spawner.client import Process
    from mixserve_devcluster.node.spawner.messages import Program

# How much of a command's output is reported, as a kubelet's limit.
_LONGEST_OUTPUT = 10 * 1024
# A postStart hook has no time limit of its own.
_NO_LIMIT_S = 24 * 3600.0


class RunningContainer:
    """A container's process and what the pod's spec wants done to it.

    Attributes:
        started: the startup probe, if there is one, has succeeded.
        ready: the readiness probe, if there is one, succeeds.
    """

    def __init__(
        self,
        *,
        spec: Mapping[str, Any],
        pod: PodContext,
        program: Program,
        process: Process,
        record: Callable[[str, str, str], None],
        changed: Callable[[], None],
    ) -> None:
        self.started = False
        self.ready = False
        self._spec = spec
        self._pod = pod
        self._program = program
        self._process = process
        self._record = record
        self._changed = changed
        self._since_s = asyncio.get_running_loop().time()
        self._termination: Termination | None = None
        self._ending: asyncio.Task[None] | None = None
        ports = {port["name"]: port["containerPort"] for port in spec.get("ports", []) if "name" in port}
        self._target = Target(address=pod.address, ports=ports, executor=self, http=pod.services.http)

    async def until_end(self) -> int:
        """Run hooks and probes until the process has ended; its exit code."""
        try:
            async with in_background(self._live()):
                code = await self._process.wait()
            if self._ending is not None:
                await self._ending
        finally:
            self._process.kill()  # if it runs still, nobody looks after it any more
        return code

    def stop(self, deadline_s: float, message: str) -> None:
        """Begin to end the process, or hurry if that has begun."""
        if self._termination is not None:
            self._termination.hurry(deadline_s)
            return
        self._record("Normal", "Killing", message)
        self._termination = Termination(self._process, deadline_s)
        hook = self._spec.get("lifecycle", {}).get("preStop")
        self._ending = asyncio.create_task(self._termination.run(hook and (lambda: self._pre_stop(hook))))

    async def execute(self, argv: Sequence[str], timeout_s: float) -> Outcome:
        """Run a command beside the process, with its environment and its view of the file system."""
        output = self._pod.directory / f"{uuid.uuid4().hex}.output"
        program = dataclasses.replace(
            self._program, argv=list(argv), output=str(output), older_output=None, join=self._process.pid
        )
        try:
            command = await self._pod.services.spawner.start(program)
            try:
                # Not `wait_for`: up to Python 3.11 it forgets that it was cancelled if the command ends just then.
                async with asyncio.timeout(timeout_s):
                    code = await command.wait()
            except TimeoutError:
                return Outcome(success=False, message=f"command timed out after {timeout_s:g} s: {' '.join(argv)}")
            finally:
                command.kill()
            with output.open(errors="replace") as text:
                return Outcome(success=code == 0, message=text.read(_LONGEST_OUTPUT))
        except SpawnError as error:
            return Outcome(success=False, message=str(error))
        finally:
            output.unlink(missing_ok=True)

    async def _live(self) -> None:
        if await self._post_start() and await self._start_up():
            self.started = True
            self.ready = "readinessProbe" not in self._spec
            self._changed()
            async with asyncio.TaskGroup() as probes:
                if "readinessProbe" in self._spec:
                    probes.create_task(self._probe("readinessProbe", self._take_readiness))
                if "livenessProbe" in self._spec:
                    probes.create_task(self._probe("livenessProbe", lambda alive: self._fails("livenessProbe", alive)))

    async def _post_start(self) -> bool:
        hook = self._spec.get("lifecycle", {}).get("postStart")
        outcome = await perform(hook, self._target, _NO_LIMIT_S) if hook else Outcome(success=True)
        if not outcome.success:
            self._record("Warning", "FailedPostStartHook", f"PostStartHook failed: {outcome.message}")
            self._restart("FailedPostStartHook", None)
        return outcome.success

    async def _start_up(self) -> bool:
        if "startupProbe" in self._spec:
            await self._probe("startupProbe", lambda started: started or self._fails("startupProbe", started))
        return self._termination is None

    async def _probe(self, field: str, is_settled_by: Callable[[bool], bool]) -> None:
        await run_probe(
            Probe.parse(self._spec[field]),
            self._target,
            running_since_s=self._since_s,
            on_failure=lambda outcome: self._report(field, outcome),
            is_settled_by=is_settled_by,
        )

    def _report(self, field: str, outcome: Outcome) -> None:
        # A process that is being ended may fail; only of its readiness is anything still wanted.
        if self._termination is None or field == "readinessProbe":
            name = field.removesuffix("Probe").capitalize()
            self._record("Warning", "Unhealthy", f"{name} probe failed: {outcome.message}")

    def _take_readiness(self, ready: bool) -> bool:
        if ready is not self.ready:
            self.ready = ready
            self._changed()
        return False

    def _fails(self, field: str, success: bool) -> bool:
        """Whether a startup or liveness probe has had its last word, having the container restarted."""
        if not success and self._termination is None:
            name = field.removesuffix("Probe")
            message = f"Container {self._spec['name']} failed {name} probe, will be restarted"
            self._restart(message, Probe.parse(self._spec[field]).grace_s)
        return self._termination is not None

    def _restart(self, message: str, grace_s: float | None) -> None:
        if grace_s is None:
            grace_s = float(self._pod.manifest["spec"].get("terminationGracePeriodSeconds", 30))
        self.stop(asyncio.get_running_loop().time() + grace_s, message)

    async def _pre_stop(self, hook: Mapping[str, Any]) -> None:
        outcome = await perform(hook, self._target, _NO_LIMIT_S)
        if not outcome.success:
            self._record("Warning", "FailedPreStopHook", f"PreStopHook failed: {outcome.message}")
