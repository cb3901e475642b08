from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mixserve_devcluster.real_vllm import tiny_model

if TYPE_CHECKING:
    from pathlib import Path


def test_is_written_once_and_always_the_same(tmp_path: Path) -> None:
    first = tiny_model.ensure(tmp_path / "one")
    written = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.iterdir()}
    tiny_model.ensure(tmp_path / "one")
    elsewhere = tiny_model.ensure(tmp_path / "two")

    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.iterdir()} == written
    assert elsewhere.name == first.name
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {
        name: content for name, (_, content) in written.items()
    }


def test_leaves_nothing_but_the_model_and_its_lock(tmp_path: Path) -> None:
    model = tiny_model.ensure(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {model.name, "tiny-llama.lock"}
    assert {path.name for path in model.iterdir()} == {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_every_character_of_the_alphabet_is_a_token_and_the_model_knows_as_many(tmp_path: Path) -> None:
    model = tiny_model.ensure(tmp_path)
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    config = json.loads((model / "config.json").read_text())

    assert sorted(vocabulary.values()) == list(range(config["vocab_size"]))
    assert {"a", "Z", "0", " ", "\n", "~"} <= vocabulary.keys()


def test_never_ends_an_answer_of_itself(tmp_path: Path) -> None:
    model = tiny_model.ensure(tmp_path)
    configs = [json.loads((model / name).read_text()) for name in ("config.json", "generation_config.json")]

    assert all(config.get("eos_token_id") is None for config in configs)
    assert "eos_token" not in json.loads((model / "tokenizer_config.json").read_text())
