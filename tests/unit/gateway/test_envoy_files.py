"""The files, and in which order they are written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mixserve.api.gateway_names import MODULE_FILE
from mixserve.envoy_module import module_path
from mixserve.gateway import envoy_files
from mixserve.gateway.envoy_admin import EnvoyAdminError
from mixserve.gateway.envoy_files import EnvoyFiles, prepare, write
from mixserve.plan.envoy.settings import EnvoySettings
from support.tables import policy, pool, table
from support.waiting_in_loop import until

ONE = "10.0.0.1:8000"


class Envoy:
    """Says what it has read: at first all of it, then what the test lets it have."""

    def __init__(self, settings: EnvoySettings) -> None:
        self._settings = settings
        self.reads_routes = True
        self.pools: set[str] = set()
        self.away = False

    async def routes_version(self) -> str:
        if self.away:
            raise EnvoyAdminError("not there")
        return str(json.loads(models(self._settings))["version_info"]) if self.reads_routes else "older"

    async def pools_with_endpoints(self) -> set[str]:
        if self.away:
            raise EnvoyAdminError("not there")
        return self.pools


@pytest.fixture
def settings(tmp_path) -> EnvoySettings:
    return EnvoySettings(directory=str(tmp_path))


@pytest.fixture
def envoy(settings) -> Envoy:
    return Envoy(settings)


@pytest.fixture
def files(settings, envoy) -> EnvoyFiles:
    stand_in: Any = envoy
    return EnvoyFiles(settings, stand_in, under_way_s=0.0)


def cluster_names(settings: EnvoySettings) -> list[str]:
    return [one["name"] for one in json.loads(Path(settings.clusters_path).read_text())["resources"]]


def models(settings: EnvoySettings) -> str:
    return Path(settings.routes_path).read_text()


async def test_a_start_needs_all_files_and_keeps_those_that_say_more(settings, files, tmp_path):
    prepare(settings)
    written = {"bootstrap.json", "routes.json", "clusters.json", MODULE_FILE}
    assert {path.name for path in tmp_path.iterdir()} == written
    module = tmp_path / MODULE_FILE
    assert module.read_bytes() == module_path().read_bytes()
    loaded = module.stat().st_ino

    await files.apply(table(pool("a", ONE)))
    before = models(settings)
    prepare(settings)
    assert (cluster_names(settings), models(settings)) == (["a"], before)
    assert module.stat().st_ino == loaded


def test_with_tls_there_is_a_file_that_names_the_certificate(tmp_path):
    settings = EnvoySettings(directory=str(tmp_path), tls_directory="/tls")
    prepare(settings)
    assert "/tls/tls.key" in Path(settings.certificate_path).read_text()


async def test_a_pool_that_goes_is_kept_until_it_is_let_go(settings, files):
    await files.apply(table(pool("a", ONE), pool("b", ONE)))
    await files.apply(table(pool("b", ONE)))
    assert '"a"' not in models(settings)
    assert cluster_names(settings) == ["a", "b"]
    files.let_go()
    assert cluster_names(settings) == ["b"]


async def test_routes_are_followed_when_envoy_has_them(files, envoy):
    await files.apply(table(pool("a", ONE)))
    assert await files.is_followed()
    envoy.reads_routes = False
    await files.apply(table(pool("a", ONE)))
    assert await files.is_followed()  # nothing is new
    await files.apply(table(pool("b", ONE)))
    assert not await files.is_followed()
    envoy.away = True
    assert not await files.is_followed()
    envoy.away, envoy.reads_routes = False, True
    assert await files.is_followed()


async def test_requests_that_are_under_way_follow_older_routes_for_a_while(settings, envoy):
    stand_in: Any = envoy
    files = EnvoyFiles(settings, stand_in, under_way_s=60.0)
    await files.apply(table(pool("a", ONE)))
    assert not await files.is_followed()


async def test_routes_name_a_pool_when_envoy_has_its_first_replica(settings, files, envoy):
    auto = policy("auto", ("a",), ("b",))
    await files.apply(table(pool("a"), pool("b", ONE), auto))
    before = models(settings)
    coming = asyncio.ensure_future(files.apply(table(pool("a", ONE), pool("b", ONE), pool("c", ONE), auto)))
    for known in (set(), {"a"}, {"a", "b"}):
        envoy.pools = known
        await until(lambda: cluster_names(settings) == ["a", "b", "c"])
        assert models(settings) == before
    envoy.pools = {"a", "c"}
    await coming
    assert models(settings) != before


@pytest.mark.parametrize("away", [True, False])
async def test_an_envoy_that_says_nothing_of_endpoints_is_not_waited_for_for_ever(
    settings, files, envoy, away, monkeypatch
):
    monkeypatch.setattr(envoy_files, "_LEARN_S", 0.05)
    envoy.away = away
    await files.apply(table(pool("a")))
    with capture_logs() as logs:
        await files.apply(table(pool("a", ONE), pool("c", ONE)))
    assert '"c"' in models(settings)
    assert [(entry["event"], entry["pools"]) for entry in logs] == [("endpoints_unconfirmed", ["a", "c"])]


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
