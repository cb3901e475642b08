"""Pools and the objects that they become, as files; see tests/golden/README.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from mixserve.api.pool import LLMServingPool
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.objects import desired_objects
from mixserve.validate.judgement import judge

GOLDEN = Path(__file__).parents[2] / "golden"
UPDATE = os.environ.get("MIXSERVE_UPDATE_GOLDEN") == "1"


class _ReadableDumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a program can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _text)


def judgement(folder: Path):
    pool = LLMServingPool.parse(yaml.safe_load((folder / "pool.yaml").read_text()))
    texts = [path.read_text() for path in folder.glob("pair.yaml")]
    pairs = {pair.metadata.name: pair for pair in map(SpeculativePair.parse, map(yaml.safe_load, texts))}
    return judge(pool, catalog=built_in_catalog(), configs={}, pairs=pairs)


@pytest.fixture(params=sorted(file.parent.name for file in GOLDEN.glob("*/pool.yaml")))
def folder(request) -> Path:
    return GOLDEN / request.param


def test_the_pool_is_valid(folder):
    assert judgement(folder).violations == ()


def test_the_objects_are_as_written(folder):
    judged = judgement(folder)
    desired = desired_objects(
        judged.resolved,
        catalog=judged.catalog,
        facts_by_variant=judged.facts,
        speculation=judged.speculation,
    ).objects
    path = folder / "objects.yaml"
    if UPDATE:
        bodies = [dict(one.body) for one in desired]
        path.write_text(yaml.dump_all(bodies, Dumper=_ReadableDumper, sort_keys=False, width=1000))

    assert list(yaml.safe_load_all(path.read_text())) == [one.body for one in desired]
