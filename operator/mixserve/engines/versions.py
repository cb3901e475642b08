"""Which table is about a version."""

from collections.abc import Sequence


def line(version: str) -> str:
    """The "major.minor" of a "major.minor.patch"."""
    major, minor, _ = version.split(".", 2)
    return f"{major}.{minor}"


def nearest_line(version: str, known: Sequence[str]) -> str:
    """The newest of the `known` lines (oldest first) that is not newer than `version`; else the oldest."""
    wanted = _numbers(line(version))
    return next((candidate for candidate in reversed(known) if _numbers(candidate) <= wanted), known[0])


def is_older(version: str, other: str) -> bool:
    """Whether a version came before another one, as numbers: "0.9.2" is older than "0.10.0"."""
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
