"""`mixserve facts`: what is printed of directories and of a test hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from mixserve.api.model_facts import ModelFacts
from mixserve.cli import app
from support.hub_server import REVISION, hub_server
from support.model_configs import LLAMA_3_8B

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

LLAMA = {
    **LLAMA_3_8B,
    "quantization_config": {"quant_method": "awq"},
}


def facts(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["facts", *arguments])


def put(directory: Path, config: Any) -> str:
    (directory / "config.json").write_text(json.dumps(config))
    return str(directory)


@pytest.mark.parametrize("prefix", ["", "host://"])
def test_a_directory_is_printed_as_it_is_pasted_into_a_pool(tmp_path: Path, prefix: str) -> None:
    result = facts(f"{prefix}{put(tmp_path, LLAMA)}")
    assert result.exit_code == 0
    assert "stored as awq" in result.stdout.splitlines()[0]
    found = ModelFacts.parse(yaml.safe_load(result.stdout)["facts"])
    assert found.parameters == 8_030_261_248


def test_json_has_all_that_was_read_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')
    result = facts(put(tmp_path, LLAMA), "-o", "json")
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert found["facts"]["layers"] == 32
    assert (found["quantization"], found["problem"]) == ("awq", None)
    assert len(found["tokenizer"]["sha256"]) == 64
    assert found["config"].items() >= LLAMA.items()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"model_type": "mystery"}, "config.json has model_type 'mystery', which is not supported yet"),
        ({"hidden_size": 4096}, "config.json has no model_type, which is not supported yet"),
        ({**LLAMA, "hidden_size": -1}, "hidden_size"),
    ],
)
def test_a_model_that_is_not_known_has_no_numbers_but_a_config(tmp_path: Path, config: Any, problem: str) -> None:
    source = put(tmp_path, config)
    result = facts(source)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "spec.model.facts by hand" in result.stderr
    as_json = facts(source, "-o", "json")
    assert as_json.exit_code == 0
    assert problem in json.loads(as_json.stdout)["problem"]
    assert json.loads(as_json.stdout)["config"] == config


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("/absent", "there is no such directory"),
        ("pvc://models/llama", "the operator reads it with a Job"),
        ("hf://org/Model", "hf://ORGANISATION/NAME@REVISION"),
        ("hf://org/Model@main", "hf://ORGANISATION/NAME@REVISION"),
    ],
)
def test_what_can_not_be_read_is_told(source: str, problem: str) -> None:
    result = facts(source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr
    as_json = facts(source, "--output", "json")
    assert as_json.exit_code == 1
    assert problem in json.loads(as_json.stdout)["problem"]


def test_a_directory_without_a_model_is_told(tmp_path: Path) -> None:
    assert "there is no config.json" in facts(str(tmp_path)).stderr


def test_a_file_is_told_from_its_directory(tmp_path: Path) -> None:
    put(tmp_path, LLAMA)
    assert f"it is a file; name the directory that it is in: {tmp_path}\n" in facts(f"{tmp_path}/config.json").stderr


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("config.json")
    assert "its config.json can't be read: Too many levels of symbolic links" in facts(str(tmp_path)).stderr


class TestHub:
    @pytest.fixture(autouse=True)
    def _caches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def test_a_model_is_read_with_the_token_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_x")
        with hub_server() as hub:
            hub.put("org/Model", config=LLAMA, token="hf_x")
            monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
            result = facts(f"hf://org/Model@{REVISION}")
        assert yaml.safe_load(result.stdout)["facts"]["layers"] == 32
        # Once more, and there is no hub.
        assert facts(f"hf://org/Model@{REVISION}").stdout == result.stdout

    def test_a_refusal_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with hub_server() as hub:
            hub.put("org/Model", config=LLAMA, revision="f" * 40)
            monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
            assert "has no revision" in facts(f"hf://org/Model@{REVISION}").stderr

    def test_an_endpoint_that_is_none_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_ENDPOINT", "no url")
        result = facts(f"hf://org/Model@{REVISION}")
        assert result.exit_code == 2
        assert "HF_ENDPOINT" in result.stderr
