"""The one way to the API server: requests of `kubernetes.aio`, with errors, time limits and counts of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from mixserve.apply.errors import ApiError, Conflict, Expired, Forbidden, NotFound, Rejected, Terminating, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from kubernetes.aio.dynamic import DynamicClient

    from mixserve.apply.resources import Resource

# Longer than any call to a healthy API server takes; the queue tries again later.
CALL_TIMEOUT_S = 15.0
# The API server ends a watch after this time, and the client one that has not ended by then: its connection is dead.
WATCH_S = 240
_WATCH_OVERDUE_S = 30

APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


class Connection:
    """Calls to one API server.

    Args:
        client: carries the requests; only `request` is used, so it needs no discovery.
        count: called after each call with verb, plural of the resource and outcome (the HTTP status or "error").
    """

    def __init__(self, client: DynamicClient, count: Callable[[str, str, str], None]) -> None:
        self._client = client
        self._count = count

    async def get(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        name: str = "",
        label_selector: str | None = None,
    ) -> dict[str, Any]:
        """Read an object, or the list of them where there is no name."""
        path = resource.path(namespace=namespace, name=name)
        verb = "get" if name else "list"
        return await self._json(verb, resource, "get", path, label_selector=label_selector)

    async def list_page(
        self,
        resource: Resource,
        *,
        limit: int,
        token: str | None = None,
        namespace: str = "",
        field_selector: str | None = None,
        label_selector: str | None = None,
    ) -> dict[str, Any]:
        """Read some of the objects.

        Args:
            resource: of the objects.
            limit: most objects, >= 1.
            token: `metadata.continue` of the page before; None for the first one.
            namespace: whose objects; empty: those of all namespaces.
            field_selector: which objects, by fields.
            label_selector: which objects, by labels.

        Raises:
            Expired: the token is too old; begin again.
        """
        options = {
            "limit": limit,
            "_continue": token,
            "field_selector": field_selector,
            "label_selector": label_selector,
        }
        return await self._json("list", resource, "get", resource.path(namespace=namespace), **options)

    async def watch(
        self,
        resource: Resource,
        *,
        version: str,
        namespace: str = "",
        field_selector: str | None = None,
        label_selector: str | None = None,
    ) -> AsyncGenerator[dict[str, Any]]:
        """Changes after a version, in all namespaces or one, until the API server ends the watch after some minutes.

        Yields:
            Events as in the API: type (ADDED, MODIFIED, DELETED, or BOOKMARK with a version alone) and object.

        Raises:
            Expired: the version is too old; list again.
            Unavailable: the connection broke.
        """
        path = resource.path(namespace=namespace)
        what = f"watch {path}"
        response = await self._send(
            "watch",
            resource,
            "get",
            path,
            watch="true",
            resource_version=version,
            field_selector=field_selector,
            label_selector=label_selector,
            timeout_seconds=WATCH_S,
            query_params=[("allowWatchBookmarks", "true")],
            timeout_s=WATCH_S + _WATCH_OVERDUE_S,
        )
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _as_watch_error(event["object"], what)
                yield event
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{what}: broken off: {type(error).__name__}: {error}") from error
        finally:
            response.close()

    async def create(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> dict[str, Any]:
        """POST a new object.

        Raises:
            Conflict: there is one of this name already.
        """
        path = resource.path(namespace=_namespace(resource, body))
        return await self._json("create", resource, "post", path, body=body, field_manager=field_manager)

    async def apply(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> dict[str, Any]:
        """Server-side apply, taking fields from whoever has them."""
        return await self._apply("apply", resource, body, field_manager=field_manager)

    async def try_apply(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> dict[str, Any]:
        """The same as a dry run: everything is checked, admission included, and nothing is written."""
        return await self._apply("dry-run", resource, body, field_manager=field_manager, dry_run="All")

    async def _apply(self, verb: str, resource: Resource, body: Mapping[str, Any], **options: str) -> dict[str, Any]:
        path = resource.path(namespace=_namespace(resource, body), name=body["metadata"]["name"])
        return await self._json(
            verb,
            resource,
            "patch",
            path,
            body=body,
            content_type=APPLY_PATCH,
            force_conflicts=True,
            **options,
        )

    async def patch(
        self,
        resource: Resource,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        namespace: str,
        name: str,
        field_manager: str,
        subresource: str = "",
    ) -> dict[str, Any]:
        """Patch an object or one of its subresources: a list is a JSON patch, a mapping a merge patch."""
        path = resource.path(namespace=namespace, name=name, subresource=subresource)
        content_type = MERGE_PATCH if hasattr(body, "keys") else JSON_PATCH
        return await self._json(
            "patch", resource, "patch", path, body=body, content_type=content_type, field_manager=field_manager
        )

    async def delete(self, resource: Resource, *, namespace: str, name: str, uid: str) -> None:
        """Delete the object with this uid, and in the background what it owns; gone already is as good."""
        path = resource.path(namespace=namespace, name=name)
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._json("delete", resource, "delete", path, body=body)
        except NotFound:
            return

    async def pod_log(self, pods: Resource, *, namespace: str, name: str, query: Mapping[str, str]) -> str:
        """The text of a container's log; `query` as in the API (container, previous, tailLines, limitBytes)."""
        path = pods.path(namespace=namespace, name=name, subresource="log")
        response = await self._send("log", pods, "get", path, query_params=list(query.items()))
        content: bytes = await response.read()
        return content.decode(errors="replace")

    async def _json(self, verb: str, resource: Resource, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = await self._send(verb, resource, method, path, **options)
        content: dict[str, Any] = json.loads(await response.read())
        return content

    async def _send(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        **options: Any,
    ) -> Any:
        outcome = "error"
        try:
            response = await self._client.request(method, path, serialize=False, _request_timeout=timeout_s, **options)
            outcome = str(response.status)
        except ApiException as error:
            outcome = str(error.status)
            raise _as_error(error, f"{verb} {path}") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{verb} {path}: no answer: {type(error).__name__}: {error}") from error
        else:
            return response
        finally:
            self._count(verb, resource.plural, outcome)


def _namespace(resource: Resource, body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["namespace"]) if resource.namespaced else ""


_BY_STATUS: dict[int, type[Rejected]] = {401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Expired}
_TOO_MANY_REQUESTS = 429
_SERVER_FAULTS = 500


def _as_error(error: ApiException, what: str) -> ApiError:
    status, answer = int(error.status or 0), _answer(error)
    message = f"{what}: {status}: {answer.get('message', error.reason)}"
    if status == _TOO_MANY_REQUESTS or status >= _SERVER_FAULTS or status == 0:
        return Unavailable(message, status=status, retry_after_s=_retry_after_s(error))
    if any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(answer)):
        return Terminating(message, status=status)
    return _BY_STATUS.get(status, Rejected)(message, status=status)


def _as_watch_error(status: Mapping[str, Any], what: str) -> ApiError:
    """The error that a watch tells of in its stream."""
    code = int(status.get("code") or 0)
    kind = Unavailable if code == _TOO_MANY_REQUESTS or code >= _SERVER_FAULTS else _BY_STATUS.get(code, Rejected)
    return kind(f"{what}: {code}: {status.get('message', '')}", status=code)


def _answer(error: ApiException) -> Mapping[str, Any]:
    """The Status object of the refusal; empty where something else has answered than the API server."""
    try:
        answer = json.loads(error.body)
    except (ValueError, TypeError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _causes(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    causes: Sequence[Mapping[str, Any]] = (answer.get("details") or {}).get("causes") or ()
    return causes


def _retry_after_s(error: ApiException) -> float | None:
    value = (error.headers or {}).get("Retry-After", "")
    return float(value) if value.isdigit() else None
