"""Times as the status of an object has them."""

from datetime import UTC, datetime


def to_rfc3339(at_s: float) -> str:
    """Seconds since the epoch to whole seconds in UTC, such as 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
