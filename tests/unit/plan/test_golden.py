"""Pools and the objects that they become, as files; see tests/golden/README.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.pool import LLMServingPool
from mixserve.plan.facts import facts_by_variant
from mixserve.plan.objects import desired_objects
from mixserve.validate import violations
from support.manifests import catalog_with

if TYPE_CHECKING:
    from mixserve.catalog.built_in import Catalog

GOLDEN = Path(__file__).parents[2] / "golden"
UPDATE = os.environ.get("MIXSERVE_UPDATE_GOLDEN") == "1"


class _ReadableDumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a program can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _text)


def catalog_of(folder: Path) -> Catalog:
    """The built-in catalogue and, where there is one, the AcceleratorClass in catalog.yaml."""
    path = folder / "catalog.yaml"
    own = [AcceleratorClass.parse(entry) for entry in yaml.safe_load_all(path.read_text())] if path.exists() else []
    return catalog_with(*own)


def read_pool(folder: Path) -> LLMServingPool:
    return LLMServingPool.parse(yaml.safe_load((folder / "pool.yaml").read_text()))


@pytest.fixture(params=sorted(file.parent.name for file in GOLDEN.glob("*/pool.yaml")))
def folder(request) -> Path:
    return GOLDEN / request.param


def test_the_pool_is_valid(folder):
    pool = read_pool(folder)

    facts = facts_by_variant(pool, {})
    assert violations(pool, catalog=catalog_of(folder), facts_by_variant=facts, quant_methods={}) == ()


def test_the_objects_are_as_written(folder):
    pool = read_pool(folder)
    facts = facts_by_variant(pool, {})
    desired = desired_objects(pool, catalog=catalog_of(folder), facts_by_variant=facts).objects
    path = folder / "objects.yaml"
    if UPDATE:
        bodies = [dict(one.body) for one in desired]
        path.write_text(yaml.dump_all(bodies, Dumper=_ReadableDumper, sort_keys=False, width=1000))

    assert list(yaml.safe_load_all(path.read_text())) == [one.body for one in desired]
