"""Every engine of the API has an adapter that keeps the protocol's promises."""

from dataclasses import replace

import pytest

from mixserve.api.engine import Batching, Engine, EngineType, KVCache
from mixserve.api.quantization_engine import QuantizationEngine
from mixserve.catalog.built_in import built_in_catalog
from mixserve.engines.protocol import Launch
from mixserve.engines.registry import ADAPTERS, adapter_for
from mixserve.plan.kv_cache import kv_cache_row

LONGEST_SCRAPE_S = 5.0
"""The usual time between two scrapes: a longer one would hold up the next."""


def newest_version(engine: EngineType) -> str:
    return f"{adapter_for(engine).supported_versions[-1]}.0"


def everything(engine_type: EngineType, *, prefix_caching: bool) -> Launch:
    """A launch in which every field of the pool is set."""
    engine = Engine(
        type=engine_type,
        version=newest_version(engine_type),
        max_model_len=4096,
        prefix_caching=prefix_caching,
        batching=Batching(max_sequences=64, max_batched_tokens=2048),
        kv_cache=KVCache(format="fp8", memory_utilization_percent=80),
    )
    row = QuantizationEngine(type=engine_type, minimum_compute_capability="7.5", native_compute_capability="8.9")
    return Launch(
        engine=engine,
        model="example/Model",
        revision="a" * 40,
        served_names=("chat", "talk"),
        quantization=row,
        kv_cache=kv_cache_row(built_in_catalog().formats["kv-fp8"].spec, engine_type),
        tensor_parallel=2,
        shutdown_timeout_s=15,
        cache_path="/cache",
        options_path="/options.yaml",
        occupied_share=0.25,
    )


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
            page = adapter_for(engine).metrics_page(f"{line}.0")
            assert all((page.names.running, page.names.waiting, page.names.kv_cache_usage))
            assert page.path.startswith("/")
            assert 0 < page.timeout_s < LONGEST_SCRAPE_S

    @pytest.mark.parametrize("prefix_caching", [True, False])
    def test_owns_every_flag_that_it_writes(self, engine, prefix_caching):
        adapter = adapter_for(engine)
        flags = [
            word for word in adapter.command(everything(engine, prefix_caching=prefix_caching)) if word.startswith("--")
        ]

        assert len(flags) > 6
        assert [flag for flag in flags if adapter.owner_of(flag) is None] == []

    def test_says_what_the_format_of_the_kv_cache_says(self, engine):
        adapter, launch = adapter_for(engine), everything(engine, prefix_caching=True)
        without = replace(launch, kv_cache=None)

        assert {argument.partition("=")[0] for argument in launch.kv_cache.arguments} == adapter.kv_cache_flags
        assert (adapter.command(launch), adapter.options_file(launch)) != (
            adapter.command(without),
            adapter.options_file(without),
        )

    def test_lets_formats_give_only_what_has_an_owner(self, engine):
        adapter = adapter_for(engine)

        flags = adapter.format_flags | adapter.kv_cache_flags
        assert [flag for flag in flags if adapter.owner_of(flag) is None] == []

    @pytest.mark.parametrize("memory_gib", [16, 80, 180])
    def test_has_a_step_for_its_own_default_of_requests(self, engine, memory_gib):
        gpu = {"memory_bytes": memory_gib * 2**30, "compute_capability": "9.0"}
        tokens = adapter_for(engine).default_max_batched_tokens(
            Engine(type=engine, version=newest_version(engine)), **gpu
        )

        assert tokens >= adapter_for(engine).default_max_sequences(**gpu) >= 1

    def test_has_paths_that_a_probe_can_ask_for(self, engine):
        adapter = adapter_for(engine)

        assert 0 < adapter.port < 65536
        assert adapter.health_path.startswith("/")

    def test_has_no_advice_about_an_empty_log(self, engine):
        assert adapter_for(engine).advise("") is None

    def test_writes_a_file_of_options_only_where_the_command_line_names_it(self, engine):
        adapter, launch = adapter_for(engine), everything(engine, prefix_caching=True)

        assert (adapter.options_file(launch) is not None) == (launch.options_path in adapter.command(launch))

    def test_reads_every_checkpoint_of_some_format_that_the_catalogue_gives_it(self, engine):
        for entry in built_in_catalog().formats.values():
            methods = () if entry.spec.checkpoint is None else entry.spec.checkpoint.quant_methods
            if all(row.type is not engine for row in entry.spec.engines):
                continue
            refused = [method for method in methods if adapter_for(engine).refused_checkpoint(method)]
            assert not methods or len(refused) < len(methods)
