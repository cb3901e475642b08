"""What the local node runs for a container's image. Pure, except for writing an image's commands to a directory."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mixserve_devcluster import envoy_binary
from mixserve_devcluster.node.config import ImageSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENVOY = envoy_binary.installed()
# For pods of tests and of the curious: the host's commands, and this interpreter. And the images of Mixserve's gateway:
# Mixserve's own, under the name that the chart gives it, and Envoy's, whose tag does not choose the version here.
BUILT_IN = (
    ImageSpec(pattern="local/shell:*", entrypoint=["sh"]),
    ImageSpec(
        pattern="local/python:*",
        executables={"python": [sys.executable], "python3": [sys.executable]},
        entrypoint=["python3"],
    ),
    ImageSpec(
        pattern="mixserve:*", executables={"mixserve": [sys.executable, "-m", "mixserve.cli"]}, entrypoint=["mixserve"]
    ),
    *(
        [ImageSpec(pattern="*envoyproxy/envoy:*", executables={"envoy": [str(_ENVOY)]}, entrypoint=["envoy"])]
        if _ENVOY
        else []
    ),
)


class UnknownImageError(Exception):
    """No image of the configuration stands for a reference."""


class NoCommandError(Exception):
    """Neither the container nor its image names a command."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An entry of the image map and the directory with its commands."""

    spec: ImageSpec
    commands: Path


class ImageStore:
    """The image map; keeps a directory of commands for each image below `directory`."""

    def __init__(self, images: Sequence[ImageSpec], directory: Path) -> None:
        self._images = [*images, *BUILT_IN]
        self._directory = directory

    def write(self) -> None:
        """Write every image's commands."""
        for number, spec in enumerate(self._images):
            directory = self._commands(number)
            directory.mkdir(parents=True, exist_ok=True)
            for name, command in spec.executables.items():
                path = directory / name
                path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
                path.chmod(0o755)

    def find(self, reference: str) -> Image:
        """The image for a reference; one without a tag means `:latest`.

        Raises:
            UnknownImageError: there is none.
        """
        full = with_tag(reference)
        for number, spec in enumerate(self._images):
            if fnmatchcase(full, spec.pattern) or fnmatchcase(reference, spec.pattern):
                return Image(spec=spec, commands=self._commands(number))
        known = ", ".join(spec.pattern for spec in self._images)
        raise UnknownImageError(
            f'failed to pull image "{reference}": the local node has no image that matches it (it has: {known}); '
            'use one of them, or add an entry to "images" of the node\'s configuration'
        )

    def _commands(self, number: int) -> Path:
        return self._directory / str(number) / "bin"


def with_tag(reference: str) -> str:
    """Add `:latest` to a reference that has neither tag nor digest."""
    name = reference.rpartition("/")[2]
    return reference if ":" in name or "@" in name else f"{reference}:latest"


def command_line(image: ImageSpec, command: Sequence[str], args: Sequence[str]) -> list[str]:
    """The words to run, by the rules of Kubernetes: a command replaces the image's entrypoint, args follow.

    Raises:
        NoCommandError: there are no words.
    """
    words = [*(command or image.entrypoint), *args]
    if not words:
        raise NoCommandError("no command specified: neither the container nor its image has one")
    return words


def with_own_host(argv: Sequence[str], address: str) -> list[str]:
    """Replace the value 0.0.0.0 of `--host` by the pod's address: all pods share the host's network."""
    everywhere = "0.0.0.0"  # noqa: S104 - compared, not bound
    words = list(argv)
    for position, word in enumerate(argv):
        if word == f"--host={everywhere}":
            words[position] = f"--host={address}"
        elif word == everywhere and position > 0 and argv[position - 1] == "--host":
            words[position] = address
    return words
