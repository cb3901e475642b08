from __future__ import annotations

import os
from importlib import metadata
from typing import NoReturn

import pytest

from mixserve_devcluster import envoy_binary


def test_the_program_can_be_run() -> None:
    found = envoy_binary.installed()

    assert found is not None
    assert os.access(found, os.X_OK)


def test_without_the_wheel_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    assert envoy_binary.installed() is None


@pytest.mark.parametrize("files", [None, []])
def test_a_wheel_without_the_program_has_none(files: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _: files)

    assert envoy_binary.installed() is None
