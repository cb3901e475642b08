"""The files, and in which order they are written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mixserve.envoy_module import module_path
from mixserve.gateway.envoy_files import EnvoyFiles, write
from mixserve.plan.envoy.settings import EnvoySettings
from support.tables import policy, pool, table
from support.waiting_in_loop import until

ONE = "10.0.0.1:8000"


@pytest.fixture
def settings(tmp_path) -> EnvoySettings:
    return EnvoySettings(directory=str(tmp_path))


def cluster_names(settings: EnvoySettings) -> list[str]:
    return [one["name"] for one in json.loads(Path(settings.clusters_path).read_text())["resources"]]


def models(settings: EnvoySettings) -> str:
    return Path(settings.routes_path).read_text()


def test_a_start_needs_all_files_and_keeps_those_that_say_more(settings, tmp_path):
    EnvoyFiles(settings).prepare()
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"bootstrap.json", "routes.json", "clusters.json", "libmixserve.so"}
    module = tmp_path / "libmixserve.so"
    assert module.read_bytes() == module_path().read_bytes()
    loaded = module.stat().st_ino

    asyncio.run(EnvoyFiles(settings).apply(table(pool("a", ONE))))
    before = models(settings)
    EnvoyFiles(settings).prepare()
    assert (cluster_names(settings), models(settings)) == (["a"], before)
    assert module.stat().st_ino == loaded


def test_with_tls_there_is_a_file_that_names_the_certificate(tmp_path):
    settings = EnvoySettings(directory=str(tmp_path), tls_directory="/tls")
    EnvoyFiles(settings).prepare()
    assert "/tls/tls.key" in Path(settings.certificate_path).read_text()


async def test_a_pool_that_goes_is_kept_until_no_route_names_it(settings):
    files = EnvoyFiles(settings, settle_s=0.2)
    await files.apply(table(pool("a", ONE), pool("b", ONE)))
    going = asyncio.ensure_future(files.apply(table(pool("b", ONE))))
    await until(lambda: '"a"' not in models(settings))
    assert cluster_names(settings) == ["a", "b"]
    await going
    assert cluster_names(settings) == ["b"]


async def test_routes_name_a_pool_when_envoy_may_know_its_first_replica(settings):
    files = EnvoyFiles(settings, learn_s=0.2)
    auto = policy("auto", ("a",), ("b",))
    await files.apply(table(pool("a"), pool("b", ONE), auto))
    before = models(settings)
    coming = asyncio.ensure_future(files.apply(table(pool("a", ONE), pool("b", ONE), pool("c", ONE), auto)))
    await until(lambda: cluster_names(settings) == ["a", "b", "c"])
    assert models(settings) == before
    await coming
    assert models(settings) != before


def test_a_file_is_replaced_as_a_whole_and_only_if_it_changes(tmp_path):
    path = tmp_path / "x.json"
    write(str(path), {"a": 1})
    first = path.stat().st_ino
    write(str(path), {"a": 1})
    assert path.stat().st_ino == first
    write(str(path), {"a": 2})
    assert path.stat().st_ino != first
    assert json.loads(path.read_text()) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]
