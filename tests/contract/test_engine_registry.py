"""Every engine of the API has an adapter that keeps the protocol's promises."""

import pytest

from mixserve.api.engine import EngineType
from mixserve.engines.registry import ADAPTERS, adapter_for


def test_every_engine_of_the_api_has_an_adapter():
    assert set(ADAPTERS) == set(EngineType)


@pytest.mark.parametrize("engine", EngineType)
class TestAdapter:
    def test_knows_versions_oldest_first(self, engine):
        versions = [tuple(map(int, line.split("."))) for line in adapter_for(engine).supported_versions]

        assert versions
        assert versions == sorted(versions)

    def test_names_a_metric_for_every_signal_of_every_version_it_knows(self, engine):
        for line in adapter_for(engine).supported_versions:
            names = adapter_for(engine).metric_names(f"{line}.0")
            assert all((names.running, names.waiting, names.kv_cache_usage))

    def test_has_paths_that_a_probe_can_ask_for(self, engine):
        adapter = adapter_for(engine)

        assert 0 < adapter.port < 65536
        assert adapter.metrics_path.startswith("/")
        assert adapter.health_path.startswith("/")

    def test_has_no_advice_about_an_empty_log(self, engine):
        assert adapter_for(engine).advise("") is None
