from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from mixserve.controller.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_events_are_one_json_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "auto")
    structlog.get_logger("mixserve.x").info("pool_seen", pool="ns/p")
    structlog.get_logger("mixserve.x").debug("not_shown")
    (line,) = logged(capsys)
    assert (line["event"], line["pool"], line["level"], line["logger"]) == ("pool_seen", "ns/p", "info", "mixserve.x")
    assert line["timestamp"].endswith("Z")


def test_the_libraries_go_the_same_way_but_only_with_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    logging.getLogger("kopf.objects").info("Handler 'see' succeeded.")
    logging.getLogger("kopf.reactor").warning("watch %s", "broken")
    (line,) = logged(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("watch broken", "warning", "kopf.reactor")


def test_an_error_has_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    secret = "hunter2"
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("mixserve.x").exception("pool_failed")
    (line,) = logged(capsys)
    # No values of variables, which may be secret.
    assert secret not in json.dumps(line)
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_people_get_readable_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")
    structlog.get_logger("mixserve.x").info("pool_seen", pool="ns/p")
    text = capsys.readouterr().err
    assert "pool_seen" in text
    assert not text.startswith("{")
