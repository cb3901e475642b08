from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mixserve.api.engine import EngineType
from mixserve.engines.registry import ADAPTERS
from mixserve_devcluster import images
from mixserve_devcluster.engine import environment
from mixserve_devcluster.node.config import ImageSpec
from mixserve_devcluster.node.images import ImageStore
from mixserve_devcluster.real_vllm.installation import Installation

PROGRAMS = {EngineType.VLLM: "vllm", EngineType.TENSORRT_LLM: "trtllm-serve"}


def real(directory: Path) -> list[dict[str, Any]]:
    return images.real_vllm_images(Installation(directory / "vllm"))


def simulated(_: Path) -> list[dict[str, Any]]:
    return images.simulated_images()


def read(entries: list[dict[str, Any]]) -> list[ImageSpec]:
    return [ImageSpec.model_validate_json(json.dumps(entry)) for entry in entries]


@pytest.mark.usefixtures("user_directories")
@pytest.mark.parametrize("entries", [simulated, real])
def test_stands_for_the_images_and_commands_that_the_operator_asks_for(entries: Any, tmp_path: Path) -> None:
    store = ImageStore(read(entries(tmp_path)), tmp_path / "images")
    for engine, adapter in ADAPTERS.items():
        if entries is real and engine is not EngineType.VLLM:
            continue
        image = store.find(adapter.image("1.2.1")).spec

        assert {PROGRAMS[engine], "python3"} <= image.executables.keys()


@pytest.mark.usefixtures("user_directories")
def test_says_that_it_is_simulated_only_where_it_is(tmp_path: Path) -> None:
    assert [image.simulated for image in read(simulated(tmp_path))] == [True, True]
    assert [image.simulated for image in read(real(tmp_path))] == [False]


def test_the_simulated_engine_reads_the_settings() -> None:
    for image in read(images.simulated_images(time_scale=0.05, cold_start_s=2.5)):
        settings = environment.read(image.env)

        assert (settings.time_scale, settings.cold_start_s) == (0.05, 2.5)
    assert environment.read(read(images.simulated_images())[0].env).cold_start_s is None


@pytest.mark.usefixtures("user_directories")
def test_the_real_engine_gets_a_model_that_is_there(tmp_path: Path) -> None:
    [image] = read(real(tmp_path))
    *_, vllm, model = image.executables["vllm"]

    assert vllm == str(tmp_path / "vllm" / "bin" / "vllm")
    assert json.loads(Path(model, "config.json").read_text())["model_type"] == "llama"
