from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mixserve.observe import checkpoint, model_files
from mixserve.observe.model_files import ModelConfigReader
from mixserve.plan.checkpoint_size import INDEX
from mixserve.plan.model_source import Repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def reader() -> ModelConfigReader:
    return ModelConfigReader()


async def test_it_reads_config_json(reader: ModelConfigReader, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 64}')
    assert await reader.read(Repository(f"host://{tmp_path}")) == {"hidden_size": 64}


async def test_it_notices_a_changed_file(reader: ModelConfigReader, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 64}')
    await reader.read(Repository(f"host://{tmp_path}"))
    (tmp_path / "config.json").write_text('{"hidden_size": 4096}')
    assert await reader.read(Repository(f"host://{tmp_path}")) == {"hidden_size": 4096}


async def test_an_unchanged_file_is_read_once(
    reader: ModelConfigReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text("{}")
    first = await reader.read(Repository(f"host://{tmp_path}"))
    monkeypatch.setattr(model_files, "read_directory", lambda *_: pytest.fail("read again"))
    assert await reader.read(Repository(f"host://{tmp_path}")) is first


async def test_only_so_many_files_are_kept(
    reader: ModelConfigReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "MOST_CONFIGS", 2)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(f'{{"name": "{name}"}}')
        await reader.read(Repository(f"host://{tmp_path}/{name}"))
    assert list(reader._known) == [f"host://{tmp_path}/{name}" for name in ("b", "c")]
    assert await reader.read(Repository(f"host://{tmp_path}/a")) == {"name": "a"}


@pytest.mark.parametrize("source", ["hf://a/b", "pvc://claim/path"])
async def test_other_sources_cannot_be_read(reader: ModelConfigReader, source: str) -> None:
    assert await reader.read(Repository(source)) is None


@pytest.mark.parametrize("content", ["", "[1]", "{", '"text"'])
async def test_what_is_no_configuration_counts_as_none(reader: ModelConfigReader, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert await reader.read(Repository(f"host://{tmp_path}")) is None


async def test_a_missing_directory_counts_as_none(reader: ModelConfigReader, tmp_path: Path) -> None:
    assert await reader.read(Repository(f"host://{tmp_path}/absent")) is None


async def test_a_named_pipe_is_not_opened(reader: ModelConfigReader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert await reader.read(Repository(f"host://{tmp_path}")) is None


async def test_a_huge_file_is_not_read(
    reader: ModelConfigReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MAX_CONFIG_BYTES", 10)
    (tmp_path / "config.json").write_text('{"hidden_size": 64}')
    assert await reader.read(Repository(f"host://{tmp_path}")) is None


async def test_endless_nesting_counts_as_none(reader: ModelConfigReader, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert await reader.read(Repository(f"host://{tmp_path}")) is None


QUANTIZED = '{"quantization": {"quant_algo": "FP8"}}'


@pytest.mark.parametrize(
    ("config", "quantization"),
    [
        ("{}", {"quantization": {"quant_algo": "FP8"}}),
        ('{"quantization_config": null}', {"quantization": {"quant_algo": "FP8"}}),
        ('{"quantization_config": {"quant_method": "fp8"}}', {"quant_method": "fp8"}),
    ],
)
async def test_what_stands_in_a_file_of_its_own_counts_where_config_json_does_not_say_it(
    reader: ModelConfigReader, tmp_path: Path, config: str, quantization: object
) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "hf_quant_config.json").write_text(QUANTIZED)
    assert await reader.read(Repository(f"host://{tmp_path}")) == {"quantization_config": quantization}


async def test_a_huge_file_beside_config_json_is_not_read(
    reader: ModelConfigReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MAX_CONFIG_BYTES", 10)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "hf_quant_config.json").write_text(QUANTIZED)
    assert await reader.read(Repository(f"host://{tmp_path}")) == {"quantization_config": "too long to be read"}


async def test_the_size_of_the_weights_is_read_from_their_index(reader: ModelConfigReader, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / INDEX).write_text('{"metadata": {"total_size": 7}, "weight_map": {"a": "b"}}')
    assert await reader.read(Repository(f"host://{tmp_path}")) == {INDEX: {"metadata": {"total_size": 7}}}


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
async def test_an_index_that_is_none_is_left_out(reader: ModelConfigReader, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(f'{{"{INDEX}": {{"metadata": {{"total_size": 7}}}}}}')
    (tmp_path / INDEX).write_text(text)
    assert await reader.read(Repository(f"host://{tmp_path}")) == {}


async def test_a_huge_index_is_not_read(
    reader: ModelConfigReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MAX_INDEX_BYTES", 10)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / INDEX).write_text('{"metadata": {"total_size": 7}}')
    assert await reader.read(Repository(f"host://{tmp_path}")) == {}
