"""The line that is written for each request: the source of all accounting, and what people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.envoy.resources import NAMESPACE, Resource, extension

if TYPE_CHECKING:
    from mixserve.plan.envoy.settings import EnvoySettings

FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "request_id": "%REQ(x-request-id)%",
    # Without the query, in which some clients send their key.
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "pool": "%UPSTREAM_CLUSTER%",
    "endpoint": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "content_type": "%RESP(content-type)%",
    # An engine's headers come before its first token, so the first byte of the body is what counts.
    "first_byte_us": "%COMMON_DURATION(DS_RX_BEG:US_RX_BODY_BEG:us)%",
    "duration_ms": "%DURATION%",
    "request_bytes": "%BYTES_RECEIVED%",
    "response_bytes": "%BYTES_SENT%",
    # One field: each that is asked for by itself costs a microsecond.
    "seen": f"%DYNAMIC_METADATA({NAMESPACE})%",
}
"""Name of each field, and where Envoy has its value from. A value that there is not is null, numbers are numbers.

`seen` is an object of texts: model; where it has been decided, chain, endpoints, policy, tier, complexity, cause and
reason; usage, itself JSON, as the answer had it last; and state, which is "broken_off" for a stream whose engine failed
and that was ended in its place. `flags` is "-" for a complete answer and for such a stream, DC for one that the client
left, UPE and UC for a plain answer whose engine failed; usage is then what was seen until then.
"""


def request_log(settings: EnvoySettings) -> list[Resource]:
    """The loggers; lines reach the file after `log_delay_s`, or when there are 64 KiB."""
    line = {"log_format": {"json_format": FIELDS}}
    loggers = [
        extension(
            "envoy.access_loggers.file",
            "extensions.access_loggers.file.v3.FileAccessLog",
            path=settings.log_path,
            **line,
        )
    ]
    if settings.log_to_stdout:
        kind = "extensions.access_loggers.stream.v3.StdoutAccessLog"
        loggers.append(extension("envoy.access_loggers.stdout", kind, **line))
    return loggers
