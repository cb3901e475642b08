"""Settings of all unit tests."""

from hypothesis import HealthCheck, settings

# No deadline: a busy machine makes an example slow, not wrong. For the same reason no complaint about slow generation.
settings.register_profile("mixserve", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mixserve")
