"""Errors in the form of the OpenAI API, for what Envoy answers itself."""

from __future__ import annotations

import json

from mixserve.plan.envoy.resources import Resource, from_metadata, header, metadata_is, metadata_is_said

CORS_HEADERS = (header("access-control-allow-origin", "*"), header("access-control-expose-headers", "*"))
"""Answers are for any page: what protects them is a key, which browsers send only where a script says so."""

_TEXT = "%LOCAL_REPLY_BODY%"

ANSWERED = "answered"
"""Value of the metadata's `state`: the gateway's process answered instead of an engine, in its own words."""


def local_replies() -> Resource:
    """What becomes of Envoy's own answers; the first entry whose filter fits makes the body.

    A route's `direct_response` is such an answer as well: its text becomes the error's message.
    """
    return {
        "mappers": [
            _mapper(_metadata_filter("state", ANSWERED), body={"text_format_source": {"inline_string": _TEXT}}),
            _error(400, kind="invalid_request_error", flags=("DPE", "IH"), message=_NO_HTTP),
            _error(400, kind="invalid_request_error", no_host=True, message=_NO_HOST),
            _error(400, kind="invalid_request_error", code="wrong_task", known_model=True),
            _error(404, kind="invalid_request_error", code="model_not_found", known_model=True),
            _error(404, kind="invalid_request_error", code="unknown_url"),
            _error(405, kind="invalid_request_error", code="method_not_supported"),
            _error(408, kind="invalid_request_error", message="The request did not arrive in time."),
            _error(413, kind="invalid_request_error", code="request_too_large", message="The request is too large."),
            _error(426, kind="invalid_request_error", message=_OLD_HTTP),
            _error(431, kind="invalid_request_error", message="The request has too many or too large headers."),
            _error(503, kind="service_unavailable_error", code="no_replica", flags=("UH", "NC"), message=_NO_REPLICA),
            _error(503, kind="service_unavailable_error", code="overloaded", flags=("UO", "OM"), message=_OVERLOADED),
            _error(
                502,
                to=503,
                kind="service_unavailable_error",
                code="engine_failed",
                flags=_FAILED,
                message=_ENGINE_FAILED,
            ),
            _error(503, kind="service_unavailable_error", code="unavailable"),
            _error(504, kind="timeout_error", code="timeout", message="The model did not answer in time."),
            _error(400, to=499, kind="invalid_request_error"),
            _error(500, to=599, kind="server_error"),
        ]
    }


_NO_HTTP = "The request is not valid HTTP."
_NO_HOST = "The request has no Host header."
# An answer of HTTP/1.0 ends with its connection: a client could not tell a broken stream from a complete one.
_OLD_HTTP = "Ask with HTTP/1.1 or HTTP/2; of nginx this is the setting `proxy_http_version 1.1`."
_FAILED = ("UF", "UC", "UR", "LR", "URX", "UPE", "DF")
_NO_REPLICA = "No replica of the model takes requests at the moment."
_OVERLOADED = "There are too many requests at the moment."
_ENGINE_FAILED = "The model's replica failed before it answered."


def _error(
    status: int,
    *,
    kind: str,
    to: int | None = None,
    code: str | None = None,
    message: str = _TEXT,
    flags: tuple[str, ...] = (),
    known_model: bool = False,
    no_host: bool = False,
) -> Resource:
    filters = [_status_filter("GE", status), _status_filter("LE", to or status)]
    if flags:
        filters.append({"response_flag_filter": {"flags": list(flags)}})
    if known_model:
        filters.append({"metadata_filter": {"matcher": metadata_is_said("model"), "match_if_key_not_found": False}})
    if no_host:
        filters.append({"header_filter": {"header": {"name": ":authority", "present_match": False}}})
    body = {"json_format": _body(message, kind=kind, code=code)}
    return _mapper({"and_filter": {"filters": filters}}, body=body)


def _body(message: str, *, kind: str, code: str | None) -> Resource:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _mapper(condition: Resource, *, body: Resource) -> Resource:
    content_type = {"content_type": "application/json"} if "text_format_source" in body else {}
    return {
        "filter": condition,
        "body_format_override": {**body, **content_type},
        "headers_to_add": list(CORS_HEADERS),
    }


def _status_filter(operator: str, status: int) -> Resource:
    # The key names a runtime value that would be read instead; nobody sets it.
    value = {"default_value": status, "runtime_key": "mixserve.unset"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _metadata_filter(key: str, value: str) -> Resource:
    return {"metadata_filter": {"matcher": metadata_is(key, value), "match_if_key_not_found": False}}


BROKEN_OFF = json.dumps(
    _body(
        "The model's replica failed before its answer was complete.",
        kind="service_unavailable_error",
        code="engine_failed",
    )
)
"""The last event of a stream whose engine failed: one line of JSON."""

WRONG_TASK = f"The model `{from_metadata('model')}` is not for this address: it has {{paths}}."
"""Text of the answer to a request at a path that the model does not have, with `paths` to fill in."""

UNKNOWN_MODEL = f"The model `{from_metadata('model')}` does not exist."
"""Text of the answer to a request that names no pool and no policy."""
