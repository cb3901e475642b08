from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.names import ANNOTATION_DRAINING_SINCE
from mixserve.api.observation import EngineSample, Missing, MissingReason, PodObservation, PodProblem, Trouble
from mixserve.observe.pods import is_replica, observe_pod
from support.kube_objects import pod

SAMPLE = EngineSample(scraped_at_s=1.0, running=1, waiting=0, kv_cache_usage=0.1)


def observe(obj: dict[str, Any], log_tail: str = "") -> PodObservation:
    return observe_pod(obj, sample=SAMPLE, log_tail=log_tail)


def trouble_of(container: dict[str, Any], log_tail: str = "") -> Trouble | None:
    return observe(pod(ready=False, containers=[{"name": "engine", "ready": False, **container}]), log_tail).trouble


def test_a_ready_pod() -> None:
    assert observe(pod()) == PodObservation(
        name="p-0",
        uid="uid-p-0",
        created_at_s=1767323045.0,
        turned_at_s=1767323045.0,
        ready=True,
        terminating=False,
        routable=True,
        draining_since_s=None,
        sample=SAMPLE,
    )


def test_a_pod_tells_when_it_became_ready_or_stopped_being_so() -> None:
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-02T03:05:05Z"}
    assert observe(pod(conditions=[condition])).turned_at_s == 1767323105.0


def test_missing_signals_stay_missing() -> None:
    missing = Missing(MissingReason.TIMEOUT)
    assert observe_pod(pod(), sample=missing, log_tail="").sample is missing


def test_a_terminating_pod_is_not_ready_and_in_no_trouble() -> None:
    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    gone = pod(containers=[{"name": "engine", **waiting}], deletionTimestamp="2026-01-02T03:04:05Z")
    seen = observe(gone)
    assert (seen.terminating, seen.ready, seen.trouble) == (True, False, None)


def test_a_pod_without_status_is_just_starting() -> None:
    bare = pod()
    bare["status"] = {}
    seen = observe(bare)
    assert (seen.ready, seen.trouble) == (False, None)


@pytest.mark.parametrize(("value", "since"), [("12.5", 12.5), ("soon", 0.0), ("nan", 0.0), ("inf", 0.0)])
def test_a_draining_pod_says_since_when(value: str, since: float) -> None:
    seen = observe(pod(labels={}, annotations={ANNOTATION_DRAINING_SINCE: value}))
    assert (seen.routable, seen.draining_since_s) == (False, since)


def test_an_unschedulable_pod_has_the_words_of_the_scheduler() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    }
    assert observe(pod(ready=False, conditions=[condition])).trouble == Trouble(
        PodProblem.UNSCHEDULABLE, "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    )


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_had(reason: str) -> None:
    found = trouble_of({"state": {"waiting": {"reason": reason, "message": "no such image"}}})
    assert found == Trouble(PodProblem.IMAGE_UNAVAILABLE, f"container engine: {reason}: no such image")


def test_a_container_that_cannot_be_made() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}
    assert trouble_of({"state": {"waiting": waiting}}) == Trouble(
        PodProblem.CONFIG_ERROR, 'container engine: CreateContainerConfigError: secret "hf" not found'
    )


def test_a_container_that_ended_with_an_error_comes_with_its_log() -> None:
    found = trouble_of({"state": {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled"}}}, "the end")
    expected = "container engine: ended with exit code 137, signal 9 (OOMKilled)"
    assert found == Trouble(PodProblem.CRASHING, expected, "the end")


def test_a_container_that_waits_before_its_restart_tells_how_it_ended() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    found = trouble_of({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": last}, "the end")
    assert found == Trouble(PodProblem.CRASHING, "container engine: ended with exit code 1 (Error)", "the end")


def test_a_container_that_waits_before_its_restart_without_a_last_state_still_crashes() -> None:
    found = trouble_of({"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}})
    assert found == Trouble(PodProblem.CRASHING, "container engine: CrashLoopBackOff: back-off 10s")


def test_a_container_that_was_restarted_stays_in_trouble_until_it_is_ready() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    restarted = {"name": "engine", "ready": False, "state": {"running": {}}, "lastState": last}
    assert observe(pod(ready=False, containers=[restarted])).trouble is not None
    assert observe(pod(ready=True, containers=[{**restarted, "ready": True}])).trouble is None


TURNED = "2026-01-02T03:10:00Z"
BEFORE, AFTER = "2026-01-02T03:05:00Z", "2026-01-02T03:11:00Z"


@pytest.mark.parametrize(
    ("started", "turned", "problem"),
    [
        (BEFORE, TURNED, PodProblem.ENDED),
        (AFTER, TURNED, PodProblem.CRASHING),
        (TURNED, TURNED, PodProblem.CRASHING),
        (None, TURNED, PodProblem.CRASHING),
        (BEFORE, None, PodProblem.CRASHING),
    ],
    ids=["was ready", "was not", "within a second", "never started", "without a date"],
)
@pytest.mark.parametrize("where", ["state", "lastState"])
def test_an_engine_that_ended_after_it_was_ready_is_told_from_one_that_does_not_start(
    where: str, started: str | None, turned: str | None, problem: PodProblem
) -> None:
    container = {"name": "engine", "ready": False, where: {"terminated": {"exitCode": 137, "startedAt": started}}}
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": turned}
    found = observe(pod(ready=False, containers=[container], conditions=[condition]), "the end").trouble
    assert found == Trouble(problem, "container engine: ended with exit code 137 (Error)", "the end")


def test_only_the_engine_serves() -> None:
    container = {"name": "init", "ready": False, "state": {"terminated": {"exitCode": 1, "startedAt": BEFORE}}}
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": TURNED}
    found = observe(pod(ready=False, containers=[container], conditions=[condition])).trouble
    assert found is not None
    assert found.problem is PodProblem.CRASHING


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    obj = pod(ready=False)
    done = {"name": "init", "ready": True, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    obj["status"]["initContainerStatuses"] = [done]
    assert observe(obj).trouble is None


def test_a_sidecar_that_ended_well_is_no_trouble() -> None:
    done = {"name": "sidecar", "ready": False, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    assert observe(pod(ready=False, containers=[done])).trouble is None


@pytest.mark.parametrize("state", [{"waiting": {"reason": "CrashLoopBackOff"}}, {"running": {}}])
def test_an_engine_that_was_ended_before_it_was_ready_stays_in_trouble(state: dict[str, Any]) -> None:
    last = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    found = trouble_of({"state": state, "lastState": last}, "the end")
    assert found == Trouble(PodProblem.CRASHING, "container engine: ended with exit code 0 (Completed)", "the end")


def test_a_replica_is_what_a_replica_set_counts() -> None:
    assert is_replica(pod())
    evicted = pod()
    evicted["status"]["phase"] = "Failed"
    assert not is_replica(evicted)
    assert not is_replica(pod(ownerReferences=[]))
    assert not is_replica(pod(ownerReferences=[{"kind": "Job", "name": "j", "uid": "j", "controller": True}]))
