from __future__ import annotations

from pathlib import Path

import pytest

from mixserve.controller.settings import SettingsError
from mixserve.gateway.settings import GatewaySettings, read_gateway_settings


def test_only_the_namespace_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXSERVE_GATEWAY_NAMESPACE", "llm")
    monkeypatch.setenv("MIXSERVE_GATEWAY_DIRECTORY", "/shared")
    settings = read_gateway_settings()
    assert (settings.namespace, settings.directory, settings.web_port) == ("llm", Path("/shared"), 9090)


def test_what_is_wrong_is_named_as_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIXSERVE_GATEWAY_NAMESPACE", raising=False)
    monkeypatch.setenv("MIXSERVE_GATEWAY_WEB_PORT", "high")
    with pytest.raises(SettingsError, match=r"MIXSERVE_GATEWAY_NAMESPACE: .*; MIXSERVE_GATEWAY_WEB_PORT: "):
        read_gateway_settings()


@pytest.mark.parametrize(("host", "url"), [("10.0.0.7", "http://10.0.0.7:8080"), ("fd00::7", "http://[fd00::7]:8080")])
def test_envoy_is_asked_at_the_pods_address(host: str, url: str) -> None:
    assert GatewaySettings(namespace="llm", host=host).envoy_url == url
