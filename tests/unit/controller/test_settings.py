from __future__ import annotations

import pytest
from pydantic import ValidationError

from mixserve.controller.settings import Settings, SettingsError, read_settings


def test_it_starts_without_any_setting() -> None:
    settings = Settings()
    assert settings.scrape_interval_s == 5.0
    assert settings.watch_namespaces == ()


def test_there_is_no_webhook_unless_the_chart_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().webhook_enabled
    monkeypatch.setenv("MIXSERVE_WEBHOOK_ENABLED", "true")
    monkeypatch.setenv("MIXSERVE_WEBHOOK_NAMES", "mixserve-webhook.ns.svc, 127.0.0.1")
    assert Settings().webhook_enabled
    assert Settings().webhook_names == ("mixserve-webhook.ns.svc", "127.0.0.1")


def test_two_processes_have_two_identities() -> None:
    assert Settings().identity != Settings().identity


@pytest.mark.parametrize(
    ("value", "namespaces"),
    [("", ()), ("a", ("a",)), (" a, b ,,", ("a", "b"))],
)
def test_namespaces_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, namespaces: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MIXSERVE_WATCH_NAMESPACES", value)
    assert Settings().watch_namespaces == namespaces


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("SCRAPE_INTERVAL_S", "soon"),
        ("LEASE_DURATION_S", "1"),
        ("LOG_LEVEL", "loud"),
        ("IDENTITY", ""),
        ("HTTP_PORT", "65536"),
        ("HUB_ENDPOINT", "huggingface.co"),
        ("HUB_ENDPOINT", "https://user:password@hub.example"),
    ],
)
def test_a_bad_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MIXSERVE_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_all_bad_settings_are_named_as_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXSERVE_WORKERS", "x")
    monkeypatch.setenv("MIXSERVE_HTTP_PORT", "65536")
    with pytest.raises(SettingsError) as refused:
        read_settings()
    workers, port = str(refused.value).split("; ")
    assert workers.startswith("MIXSERVE_WORKERS: Input should be a valid integer")
    assert port == "MIXSERVE_HTTP_PORT: Input should be less than or equal to 65535"


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXSERVE_WORKERS", "3")
    assert read_settings().workers == 3


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, "https://huggingface.co"),
        ({"HF_ENDPOINT": "https://hub.example"}, "https://hub.example"),
        ({"HF_ENDPOINT": "https://hub.example", "MIXSERVE_HUB_ENDPOINT": "http://other"}, "http://other"),
        ({"HF_ENDPOINT": ""}, "https://huggingface.co"),
    ],
)
def test_the_hub_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], endpoint: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings().hub_endpoint == endpoint
