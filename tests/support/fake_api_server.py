"""An API server for the local node that takes down what it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class FakeApi:
    """Takes down calls; `answers` holds what a call returns or raises, by method and path, one after the other."""

    def __init__(self, **answers: list[Any]) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.called = asyncio.Event()
        self._answers = answers

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._call("get", path, query)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("create", path, body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("patch", path, body)

    async def delete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("delete", path, body)

    async def watch(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        for event in await self._call("watch", path, query):
            if isinstance(event, Exception):
                raise event
            yield event

    async def _call(self, method: str, path: str, content: Any) -> Any:
        self.calls.append((method, path, content))
        self.called.set()
        answers = self._answers.get(method, [])
        answer = answers.pop(0) if answers else {}
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def paths(self, method: str) -> list[str]:
        return [path for called, path, _ in self.calls if called == method]

    def bodies(self, method: str) -> list[Any]:
        return [content for called, _, content in self.calls if called == method]
