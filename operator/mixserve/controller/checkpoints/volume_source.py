"""Checkpoints on volumes, which a Job in the pool's namespace reads."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import ApiError, Conflict, Forbidden, NotFound
from mixserve.apply.resources import JOBS, PODS, VOLUME_CLAIMS
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.files_job import CONTAINER, DEADLINE_S, claim_of, files_job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.connection import Connection
    from mixserve.plan.model_source import Repository
    from mixserve.plan.objects import DesiredObject

_log = structlog.get_logger(__name__)

# Between two looks at a Job; its pod takes seconds to start.
_LOOK_S = 1.0
# config.json, quantization lists and a digest; what is longer is none.
MOST_LOG_BYTES = 2**22
# Of a message in a condition.
_LONGEST_DETAIL = 300
_GIVE_FACTS = "or give the model's numbers in spec.model.facts"


class VolumeSource:
    """Checkpoints on volumes.

    Args:
        connection: to the API server.
        image: the operator's own, which the Jobs run.
    """

    patience_s = 120.0
    tries = 1
    # Each try is a pod; a claim that was not there is looked for without one.
    pauses_s: tuple[float, ...] = (30.0, 120.0, 600.0, 3600.0)

    def __init__(self, connection: Connection, *, image: str) -> None:
        self._connection = connection
        self._image = image
        # The same volume is read once at a time, for the sake of those that only one node may mount.
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def read(self, pool: LLMServingPool, repository: Repository, *, version: str) -> Mapping[str, Any] | Absence:
        """The decoded config.json of a checkpoint, or why not."""
        place = (pool.metadata.namespace, claim_of(repository))
        lock = self._locks.setdefault(place, asyncio.Lock())
        try:
            async with lock:
                return await self._read(pool, repository, version=version)
        except Forbidden as error:
            return _later(f"the operator may not read {repository}: {error}", "see the operator's rights in the chart")
        except ApiError as error:
            return _later(f"the Job that reads {repository} could not be made: {error}", "see what it says")

    def being_read(self, repository: Repository, *, for_long: bool) -> Absence:
        """What there is to say meanwhile."""
        return Absence(
            outlook=Outlook.LATER if for_long else Outlook.SOON,
            detail=f"config.json of {repository} is being read by a Job in the pool's namespace",
            remedy="nothing has to be done; if it takes long, kubectl describe jobs,pods says what it waits for",
        )

    async def _read(self, pool: LLMServingPool, repository: Repository, *, version: str) -> Mapping[str, Any] | Absence:
        unbound = await self._unbound(pool.metadata.namespace, claim_of(repository))
        if unbound is not None:
            return unbound
        desired = files_job(pool, repository, image=self._image, version=version)
        job, pod = await self._job(desired), None
        while not _has_ended(job):
            await asyncio.sleep(_LOOK_S)
            job = await self._connection.get(JOBS, namespace=pool.metadata.namespace, name=desired.name)
            # The pod of a Job that has run out of time is gone.
            pod = await self._pod(job) or pod
        return await self._result(job, pod or await self._pod(job), repository)

    async def _unbound(self, namespace: str, claim: str) -> Absence | None:
        """Why the claim has no volume. Our pod would bind it, perhaps where there are no GPUs, and find it empty."""
        try:
            found = await self._connection.get(VOLUME_CLAIMS, namespace=namespace, name=claim)
        except NotFound:
            return _later(f"there is no PersistentVolumeClaim {claim}", "create it, with the model on its volume")
        phase = found.get("status", {}).get("phase", "Pending")
        if phase != "Bound":
            return _later(f"PersistentVolumeClaim {claim} is {phase}", "bind it to a volume with the model")
        return None

    async def _job(self, desired: DesiredObject) -> Mapping[str, Any]:
        """The Job, new or still at work; one that has ended is of an earlier try."""
        namespace = desired.body["metadata"]["namespace"]
        try:
            return await self._connection.create(JOBS, desired.body, field_manager=FIELD_MANAGER)
        except Conflict:
            job = await self._connection.get(JOBS, namespace=namespace, name=desired.name)
        if not _has_ended(job):
            return job
        await self._connection.delete(JOBS, namespace=namespace, name=desired.name, uid=job["metadata"]["uid"])
        return await self._connection.create(JOBS, desired.body, field_manager=FIELD_MANAGER)

    async def _pod(self, job: Mapping[str, Any]) -> Mapping[str, Any] | None:
        # By uid: the pod of an earlier Job of the same name is deleted after it.
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        listed = await self._connection.get(PODS, namespace=job["metadata"]["namespace"], label_selector=selector)
        pods: list[Mapping[str, Any]] = listed["items"]
        return max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)

    async def _result(
        self, job: Mapping[str, Any], pod: Mapping[str, Any] | None, repository: Repository
    ) -> Mapping[str, Any] | Absence:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        said = {} if pod is None else await self._said(namespace, pod["metadata"]["name"])
        _log.info("volume_read", namespace=namespace, job=name, source=repository.source, found="config" in said)
        config, problem = said.get("config"), said.get("problem")
        if isinstance(config, dict):
            return config
        if isinstance(problem, str):
            return _later(f"{repository} can't be used: {problem}", "put the model there, or correct the source")
        why = "" if pod is None else _why(pod)
        return _later(
            f"the Job {name} did not read {repository}{f' within {DEADLINE_S} s' if _ran_out(job) else ''}"
            f"{f': {why}' if why else ''}",
            f"kubectl -n {namespace} describe job {name} says why",
        )

    async def _said(self, namespace: str, pod: str) -> Mapping[str, Any]:
        """What the reader printed; nothing where it printed nothing of the kind."""
        query = {"container": CONTAINER, "limitBytes": str(MOST_LOG_BYTES)}
        try:
            text = await self._connection.pod_log(PODS, namespace=namespace, name=pod, query=query)
            decoded = json.loads(text[text.index("{") : text.rindex("}") + 1])
        except (ApiError, ValueError, RecursionError):
            return {}
        return decoded if isinstance(decoded, dict) else {}


def _has_ended(job: Mapping[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any(each["type"] in {"Complete", "Failed"} and each["status"] == "True" for each in conditions)


def _ran_out(job: Mapping[str, Any]) -> bool:
    return any(each.get("reason") == "DeadlineExceeded" for each in job["status"]["conditions"])


def _why(pod: Mapping[str, Any]) -> str:
    """What kept the pod from running or ended it, in the words of scheduler, kubelet or Python."""
    status = pod.get("status", {})
    states = [each.get("state", {}) for each in status.get("containerStatuses") or ()]
    said = [state.get("waiting") or state.get("terminated") or {} for state in states]
    said += [each for each in status.get("conditions") or () if each.get("status") == "False"]
    found = [each.get("message") or each.get("reason") for each in said]
    return str(next(filter(None, found), "")).strip()[-_LONGEST_DETAIL:]


def _later(detail: str, remedy: str) -> Absence:
    return Absence(outlook=Outlook.LATER, detail=detail[:_LONGEST_DETAIL], remedy=f"{remedy}, {_GIVE_FACTS}")
