"""Stands for the API server in unit tests: notes what is written, answers with what it was told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource


class RecordingConnection:
    """Has the methods of `Connection`; `answers` gives by verb what comes back: a value, or an error to raise."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []

    async def get(self, resource: Resource, *, namespace: str = "", name: str = "", **_: Any) -> Any:
        return self._answer("get", (resource.plural, namespace, name))

    async def create(self, resource: Resource, body: Any, *, field_manager: str) -> Any:
        assert (field_manager, body.get("kind", resource.kind)) == ("mixserve", resource.kind)
        return self._answer("create", body)

    async def apply(self, resource: Resource, body: Any, *, field_manager: str) -> Any:
        assert (field_manager, body["kind"]) == ("mixserve", resource.kind)
        return self._answer("apply", body)

    async def try_apply(self, resource: Resource, body: Any, *, field_manager: str) -> Any:
        assert (field_manager, body["kind"]) == ("mixserve-plan", resource.kind)
        return self._answer("try_apply", body)

    async def patch(self, resource: Resource, body: Any, *, field_manager: str, **where: str) -> Any:
        assert field_manager == "mixserve"
        return self._answer("patch", ({"resource": resource.plural, **where}, body))

    async def delete(self, resource: Resource, **where: str) -> None:
        self._answer("delete", {"resource": resource.plural, **where})

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.calls]

    def _answer(self, verb: str, what: Any) -> Any:
        self.calls.append((verb, what))
        answer = self.answers.get(verb, {})
        if isinstance(answer, BaseException):
            raise answer
        return answer
