"""Directories inside the engine's container that several parts of its pod have to agree on."""

CACHE_PATH = "/var/cache/mixserve"
"""Writable, for downloads and compiled kernels."""
