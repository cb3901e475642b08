"""Times of the Kubernetes API."""

from datetime import UTC, datetime


def parse_time(value: str) -> float:
    """RFC 3339, as the API server writes it, to seconds since the epoch.

    Raises:
        ValueError: the text is no such time.
    """
    return datetime.fromisoformat(value).timestamp()


def format_time(seconds: float) -> str:
    """Seconds since the epoch to RFC 3339 in UTC, with microseconds, as events and leases want it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
