from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client.exceptions import ApiException

from mixserve.apply.connection import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Connection
from mixserve.apply.errors import ApiError, Conflict, Expired, Forbidden, NotFound, Rejected, Terminating, Unavailable
from mixserve.apply.resources import ACCELERATORS, DEPLOYMENTS, PODS


class Response:
    def __init__(self, body: bytes) -> None:
        self.status = 200
        self._body = body

    async def read(self) -> bytes:
        return self._body


class Client:
    """Stands for `DynamicClient`: notes requests, answers with what it was given."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.requests: list[tuple[str, str, dict[str, Any]]] = []

    async def request(self, method: str, path: str, **options: Any) -> Response:
        self.requests.append((method, path, options))
        if isinstance(self._answer, BaseException):
            raise self._answer
        return Response(self._answer if isinstance(self._answer, bytes) else json.dumps(self._answer).encode())


def connect(answer: Any) -> tuple[Connection, Client, list[tuple[str, str, str]]]:
    calls: list[tuple[str, str, str]] = []
    client = Client(answer)
    return Connection(client, lambda *call: calls.append(call)), client, calls


def refused(status: int, **headers: str) -> ApiException:
    error = ApiException(status=status, reason="Reason")
    error.body = json.dumps({"message": "what the server says"})
    error.headers = headers
    return error


DEPLOYMENT = {"metadata": {"name": "d", "namespace": "ns"}}


async def test_an_apply_takes_the_fields_that_it_lists() -> None:
    connection, client, calls = connect({"kind": "Deployment"})
    assert await connection.apply(DEPLOYMENTS, DEPLOYMENT, field_manager="me") == {"kind": "Deployment"}
    method, path, options = client.requests[0]
    assert (method, path) == ("patch", "/apis/apps/v1/namespaces/ns/deployments/d")
    assert options["content_type"] == APPLY_PATCH
    assert options["force_conflicts"] is True
    assert options["field_manager"] == "me"
    assert options["_request_timeout"] > 0
    assert calls == [("apply", "deployments", "200")]


@pytest.mark.parametrize(("body", "content_type"), [([], JSON_PATCH), ({}, MERGE_PATCH)])
async def test_a_patch_is_what_its_form_says(body: Any, content_type: str) -> None:
    connection, client, _ = connect({})
    await connection.patch(PODS, body, namespace="ns", name="p", subresource="status", field_manager="me")
    assert client.requests[0][1] == "/api/v1/namespaces/ns/pods/p/status"
    assert client.requests[0][2]["content_type"] == content_type


async def test_a_dry_run_is_an_apply_that_writes_nothing() -> None:
    connection, client, calls = connect(b"{}")
    await connection.try_apply(DEPLOYMENTS, DEPLOYMENT, field_manager="me")
    [(method, _, options)] = client.requests
    assert (method, options["content_type"], options["dry_run"]) == ("patch", APPLY_PATCH, "All")
    assert calls == [("dry-run", "deployments", "200")]


async def test_lists_and_reads() -> None:
    connection, client, calls = connect({"items": []})
    await connection.get(ACCELERATORS)
    await connection.get(PODS, label_selector="a")
    await connection.get(PODS, namespace="ns", name="p")
    assert [path for _, path, _ in client.requests] == [
        "/apis/mixserve.dev/v1alpha1/acceleratorclasses",
        "/api/v1/pods",
        "/api/v1/namespaces/ns/pods/p",
    ]
    assert client.requests[1][2]["label_selector"] == "a"
    assert [verb for verb, _, _ in calls] == ["list", "list", "get"]


async def test_a_log_is_text() -> None:
    connection, client, _ = connect(b"it \xff broke")
    assert await connection.pod_log(PODS, namespace="ns", name="p", query={"previous": "true"}) == "it � broke"
    assert client.requests[0][2]["query_params"] == [("previous", "true")]


async def test_a_deletion_names_what_is_meant() -> None:
    connection, client, _ = connect({})
    await connection.delete(DEPLOYMENTS, namespace="ns", name="d", uid="u")
    body = {"propagationPolicy": "Background", "preconditions": {"uid": "u"}}
    assert client.requests[0][2]["body"] == body


async def test_what_is_gone_need_not_be_deleted() -> None:
    connection, _, calls = connect(refused(404))
    await connection.delete(DEPLOYMENTS, namespace="ns", name="d", uid="u")
    assert calls == [("delete", "deployments", "404")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, Rejected),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (0, Unavailable),
    ],
)
async def test_each_refusal_has_its_error(status: int, kind: type[ApiError]) -> None:
    connection, _, calls = connect(refused(status))
    with pytest.raises(ApiError, match="what the server says") as caught:
        await connection.create(DEPLOYMENTS, DEPLOYMENT, field_manager="me")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert isinstance(caught.value.__cause__, ApiException)
    assert calls == [("create", "deployments", str(status))]


async def test_a_namespace_that_goes_has_its_own_error() -> None:
    error = refused(403)
    details = {"causes": [{"reason": "NamespaceTerminating"}]}
    error.body = json.dumps({"message": "namespace ns is being terminated", "details": details})
    connection, _, _ = connect(error)
    with pytest.raises(Terminating):
        await connection.create(DEPLOYMENTS, DEPLOYMENT, field_manager="me")


@pytest.mark.parametrize(
    ("headers", "wait_s"), [({"Retry-After": "7"}, 7.0), ({"Retry-After": "soon"}, None), ({}, None)]
)
async def test_a_busy_server_says_when_to_come_back(headers: dict[str, str], wait_s: float | None) -> None:
    connection, _, _ = connect(refused(429, **headers))
    with pytest.raises(Unavailable) as caught:
        await connection.get(PODS)
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("body", ["<html>", "[]", None])
async def test_a_refusal_without_words_has_its_reason(body: str | None) -> None:
    error = refused(422)
    error.body = body
    connection, _, _ = connect(error)
    with pytest.raises(Rejected, match="422: Reason"):
        await connection.get(PODS)


@pytest.mark.parametrize("error", [aiohttp.ClientConnectionError("reset"), TimeoutError(), OSError("no route")])
async def test_no_answer_is_its_own_error(error: Exception) -> None:
    connection, _, calls = connect(error)
    with pytest.raises(Unavailable, match="no answer") as caught:
        await connection.get(PODS)
    assert caught.value.status is None
    assert calls == [("list", "pods", "error")]


async def test_a_page_of_a_list_goes_on_from_the_one_before() -> None:
    connection, client, calls = connect({"items": []})
    await connection.list_page(PODS, limit=500, token="next", field_selector="spec.nodeName!=")
    [(method, path, options)] = client.requests
    assert (method, path) == ("get", "/api/v1/pods")
    assert (options["limit"], options["_continue"], options["field_selector"]) == (500, "next", "spec.nodeName!=")
    assert calls == [("list", "pods", "200")]


class Stream:
    """The response of a watch: lines, and then perhaps an error."""

    def __init__(self, *lines: dict[str, Any] | bytes, error: Exception | None = None) -> None:
        self.status, self.closed = 200, False
        self._lines, self._error = lines, error

    @property
    async def content(self) -> Any:
        for line in self._lines:
            yield line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True


async def watched(stream: Stream) -> list[dict[str, Any]]:
    connection, client, calls = connect({})

    async def request(method: str, path: str, **options: Any) -> Stream:
        client.requests.append((method, path, options))
        return stream

    client.request = request  # type: ignore[method-assign, assignment]
    found = [event async for event in connection.watch(PODS, version="5", field_selector="a=b")]
    [(_, path, options)] = client.requests
    assert path == "/api/v1/pods"
    assert (options["watch"], options["resource_version"], options["field_selector"]) == ("true", "5", "a=b")
    # The API server ends it; the client only if that did not happen.
    assert options["_request_timeout"] > options["timeout_seconds"]
    assert options["query_params"] == [("allowWatchBookmarks", "true")]
    assert calls == [("watch", "pods", "200")]
    return found


async def test_a_watch_tells_of_changes_until_it_ends() -> None:
    events = [{"type": "ADDED", "object": {}}, {"type": "BOOKMARK", "object": {}}]
    stream = Stream(*events)
    assert await watched(stream) == events
    assert stream.closed


@pytest.mark.parametrize(
    ("code", "kind"), [(410, Expired), (403, Forbidden), (500, Unavailable), (429, Unavailable), (None, Rejected)]
)
async def test_a_watch_may_end_with_an_error(code: int | None, kind: type[ApiError]) -> None:
    stream = Stream({"type": "ERROR", "object": {"code": code, "message": "too old"}})
    with pytest.raises(ApiError, match=r"watch /api/v1/pods: [0-9]+: too old") as caught:
        await watched(stream)
    assert type(caught.value) is kind
    assert stream.closed


@pytest.mark.parametrize("error", [aiohttp.ClientPayloadError("gone"), TimeoutError(), ConnectionResetError()])
async def test_a_watch_may_break_off(error: Exception) -> None:
    stream = Stream({"type": "ADDED", "object": {}}, error=error)
    with pytest.raises(Unavailable, match="broken off"):
        await watched(stream)
    assert stream.closed


async def test_half_a_line_is_a_watch_that_broke_off() -> None:
    with pytest.raises(Unavailable, match="broken off"):
        await watched(Stream(b'{"type": "ADD'))
