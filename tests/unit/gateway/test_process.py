"""When the process says that it should be restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from mixserve.gateway import process
from mixserve.gateway.process import Gateway
from mixserve.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from pathlib import Path


class View:
    """Stands for what is known of the namespace."""

    silent_for_s = 0.0

    def engines(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture
def gateway(tmp_path: Path, view: View) -> Gateway:
    stand_in: Any = view
    settings = GatewaySettings(namespace="llm", directory=tmp_path)
    return Gateway(settings, view=stand_in, scrapes=Mock(), questions=Mock(), envoy=Mock())


def test_a_process_that_has_just_started_is_healthy(gateway: Gateway) -> None:
    assert gateway.problem is None


@pytest.mark.parametrize("silent_s", [300.0, 601.0])
def test_a_process_that_does_not_ask_the_api_server_any_more_is_not(
    gateway: Gateway, view: View, silent_s: float
) -> None:
    view.silent_for_s = silent_s
    assert gateway.problem == (None if silent_s < 600 else "the API server is not asked any more")


def test_nor_is_one_that_does_not_read_the_log_any_more(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LOG_LOST_S", -1.0)
    assert gateway.problem == "the log of requests is not read any more"
