from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.observation import PodProblem
from mixserve.api.pod_inputs import ConfigMapKeyRef
from mixserve.apply.errors import ApiError, NotFound, Unavailable
from mixserve.apply.resources import CONFIG_MAPS
from mixserve.observe.chat_templates import ChatTemplates

TEMPLATE = ConfigMapKeyRef(name="templates", key="llama.jinja")
CREATING = {"state": {"waiting": {"reason": "ContainerCreating"}}}


class Cluster:
    """Answers with a ConfigMap, or raises."""

    def __init__(self, answer: dict[str, Any] | ApiError) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def get(self, resource: Any, *, namespace: str, name: str) -> dict[str, Any]:
        self.asked.append((resource, namespace, name))
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


def pod(*statuses: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "llm", **metadata},
        "status": {"containerStatuses": list(statuses or (CREATING,))},
    }


async def words(answer: dict[str, Any] | ApiError) -> str | None:
    trouble = await ChatTemplates(Cluster(answer)).trouble(pod(), TEMPLATE)  # type: ignore[arg-type]
    if trouble is None:
        return None
    assert trouble.problem is PodProblem.CHAT_TEMPLATE_MISSING
    return trouble.message


async def test_a_config_map_that_does_not_exist() -> None:
    assert await words(NotFound("gone")) == "there is no ConfigMap templates in this namespace"


@pytest.mark.parametrize("content", [{}, {"data": None}, {"data": {"other": ""}}])
async def test_a_config_map_without_the_key(content: dict[str, Any]) -> None:
    assert await words(content) == "ConfigMap templates has no key llama.jinja"


@pytest.mark.parametrize("part", ["data", "binaryData"])
async def test_a_template_that_is_there(part: str) -> None:
    assert await words({part: {"llama.jinja": ""}}) is None


async def test_what_can_not_be_read_is_no_trouble() -> None:
    assert await words(Unavailable("no answer")) is None


async def test_the_pods_own_namespace_is_asked() -> None:
    cluster = Cluster({})
    await ChatTemplates(cluster).trouble(pod(), TEMPLATE)  # type: ignore[arg-type]
    assert cluster.asked == [(CONFIG_MAPS, "llm", "templates")]


@pytest.mark.parametrize(
    "other",
    [
        pod({"state": {"running": {}}}),
        pod({"state": {"waiting": {"reason": "ErrImagePull"}}}),
        pod(CREATING, {"state": {"running": {}}}),
        pod(deletionTimestamp="2026-01-01T00:00:00Z"),
        {**pod(), "status": {}},
    ],
)
async def test_other_pods_cost_nothing(other: dict[str, Any]) -> None:
    cluster = Cluster({})
    assert await ChatTemplates(cluster).trouble(other, TEMPLATE) is None  # type: ignore[arg-type]
    assert cluster.asked == []


async def test_pools_without_a_template_cost_nothing() -> None:
    cluster = Cluster({})
    assert await ChatTemplates(cluster).trouble(pod(), None) is None  # type: ignore[arg-type]
    assert cluster.asked == []
