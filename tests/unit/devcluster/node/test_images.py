from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.node.config import ImageSpec
from mixserve_devcluster.node.images import (
    ImageStore,
    NoCommandError,
    UnknownImageError,
    command_line,
    with_own_host,
    with_tag,
)

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = ImageSpec(pattern="example.com/engine:v1*", entrypoint=["engine", "serve"])


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("busybox", "busybox:latest"),
        ("example.com:5000/a/b", "example.com:5000/a/b:latest"),
        ("busybox:1", "busybox:1"),
        ("busybox@sha256:abc", "busybox@sha256:abc"),
    ],
)
def test_a_reference_without_a_tag_means_latest(reference: str, full: str) -> None:
    assert with_tag(reference) == full


def test_the_first_match_wins(tmp_path: Path) -> None:
    other = ImageSpec(pattern="*")
    store = ImageStore([IMAGE, other], tmp_path)
    assert store.find("example.com/engine:v1.2").spec is IMAGE
    assert store.find("example.com/engine:v2").spec is other
    assert store.find("example.com/engine").spec is other


def test_an_unknown_image_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match=r'"nginx".*example.com/engine:v1\*, local/shell:\*, local/python:\*'):
        ImageStore([IMAGE], tmp_path).find("nginx")


def test_mixserves_own_image_is_there(tmp_path: Path) -> None:
    store = ImageStore([], tmp_path)
    store.write()
    command = store.find("mixserve:0.1.0").commands / "mixserve"
    assert subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "mixserve "
    )


@pytest.mark.parametrize("reference", ["envoyproxy/envoy:distroless-v1.40.0", "docker.io/envoyproxy/envoy:v1.40.1"])
def test_envoys_image_is_the_real_envoy(reference: str, tmp_path: Path) -> None:
    store = ImageStore([], tmp_path)
    store.write()
    image = store.find(reference)
    said = subprocess.run([image.commands / "envoy", "--version"], capture_output=True, text=True, check=True).stdout
    assert "/1.40.0/" in said
    assert command_line(image.spec, [], ["-c", "x"]) == ["envoy", "-c", "x"]


def test_commands_are_written_as_programs(tmp_path: Path) -> None:
    image = ImageSpec(pattern="*", executables={"greet": ["echo", "it's", "$HOME"]})
    store = ImageStore([image], tmp_path)
    store.write()
    greet = store.find("x").commands / "greet"
    assert subprocess.run([greet, "a b"], capture_output=True, text=True, check=True).stdout == "it's $HOME a b\n"


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ([], [], ["engine", "serve"]),
        ([], ["--port", "1"], ["engine", "serve", "--port", "1"]),
        (["sh"], [], ["sh"]),
        (["sh"], ["-c", "x"], ["sh", "-c", "x"]),
    ],
)
def test_command_and_args(command: list[str], args: list[str], words: list[str]) -> None:
    assert command_line(IMAGE, command, args) == words


def test_no_command() -> None:
    with pytest.raises(NoCommandError):
        command_line(ImageSpec(pattern="*"), [], [])


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["serve", "--host", "0.0.0.0", "--port", "1"], ["serve", "--host", "127.9.0.1", "--port", "1"]),
        (["serve", "--host=0.0.0.0"], ["serve", "--host=127.9.0.1"]),
        (["serve", "--bind", "0.0.0.0"], ["serve", "--bind", "0.0.0.0"]),
        (["serve", "--host", "127.0.0.1"], ["serve", "--host", "127.0.0.1"]),
        (["0.0.0.0"], ["0.0.0.0"]),
    ],
)
def test_a_server_for_every_address_gets_its_own(words: list[str], changed: list[str]) -> None:
    assert with_own_host(words, "127.9.0.1") == changed
