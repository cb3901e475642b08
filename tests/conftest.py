"""Fixtures that any test may ask for; nothing is started before one does."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.control_plane import ControlPlane


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell ignores SIGINT for background jobs, and programs inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real control plane without nodes, one per session (with pytest-xdist: per worker)."""
    from mixserve_devcluster.control_plane import ControlPlane  # noqa: PLC0415 - unit tests do without it

    with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own in `control_plane`, in which pods are admitted; deleted afterwards."""
    from support.waiting import eventually  # noqa: PLC0415 - as above

    name = f"test-{uuid.uuid4().hex[:10]}"
    control_plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    eventually(lambda: control_plane.api.get(accounts)["items"], "a default ServiceAccount")
    yield name
    control_plane.api.delete(f"/api/v1/namespaces/{name}")
