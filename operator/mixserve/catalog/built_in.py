"""The catalogue as a value, and the built-in one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.quantization import QuantizationFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS_FOLDER = "quantization-formats"
ACCELERATORS_FOLDER = "accelerator-classes"
FOLDERS = (FORMATS_FOLDER, ACCELERATORS_FOLDER)


@dataclass(frozen=True)
class Catalog:
    """What pools may name: formats and accelerators by `metadata.name`."""

    formats: Mapping[str, QuantizationFormat]
    accelerators: Mapping[str, AcceleratorClass]


@cache
def built_in_catalog() -> Catalog:
    """The catalogue that comes with Mixserve."""
    formats = [QuantizationFormat.parse(yaml.safe_load(text)) for text in manifests(FORMATS_FOLDER).values()]
    accelerators = [AcceleratorClass.parse(yaml.safe_load(text)) for text in manifests(ACCELERATORS_FOLDER).values()]
    return Catalog(
        formats=MappingProxyType({entry.metadata.name: entry for entry in formats}),
        accelerators=MappingProxyType({entry.metadata.name: entry for entry in accelerators}),
    )


def manifests(folder: str) -> dict[str, str]:
    """The YAML texts of one folder by file name, sorted."""
    files = resources.files("mixserve.catalog").joinpath(folder).iterdir()
    return {file.name: file.read_text("utf-8") for file in sorted(files, key=lambda file: file.name)}
