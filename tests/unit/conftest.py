"""Settings of all unit tests."""

import pytest
from hypothesis import HealthCheck, settings

# No deadline: a busy machine makes an example slow, not wrong. For the same reason no complaint about slow generation.
settings.register_profile("mixserve", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mixserve")


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: tests of the hub name one of their own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
