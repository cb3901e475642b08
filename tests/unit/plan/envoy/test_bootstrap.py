"""Envoy's command line, and where its files are."""

from __future__ import annotations

from mixserve.api.routing_policy import FallbackReason
from mixserve.plan.envoy.bootstrap import arguments
from mixserve.plan.envoy.retries import retry_policy
from mixserve.plan.envoy.settings import EnvoySettings


def test_envoy_is_started_with_the_file_and_the_delay_of_its_log():
    words = arguments(EnvoySettings(directory="/d", log_delay_s=0.25))
    assert words[:2] == ("--config-path", "/d/bootstrap.json")
    assert words[words.index("--file-flush-interval-msec") + 1] == "250"
    assert "--reject-unknown-dynamic-fields" in words


def test_all_files_are_in_one_directory():
    settings = EnvoySettings(directory="/d")
    paths = {settings.bootstrap_path, settings.routes_path, settings.clusters_path, settings.certificate_path}
    paths |= {settings.socket_path, settings.log_path}
    assert len(paths) == 6
    assert all(path.startswith("/d/") for path in paths)


def test_reasons_become_envoys_conditions_each_once():
    assert retry_policy(attempts=3)["retry_on"] == "connect-failure,refused-stream,reset,retriable-status-codes"
    only = retry_policy(attempts=3, when={FallbackReason.TIMEOUT})
    assert (only["retry_on"], only["num_retries"]) == ("reset", 2)
