"""A model small enough for any CPU: a Llama of two layers, without weights.

The engine is started with `--load-format dummy`, which makes the weights up, so the answers are gibberish of the length
that was asked for: the model has no end-of-sequence token, so `max_tokens` alone ends an answer. The tokenizer knows
printable ASCII, one token per character.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.lock_file import locked
from mixserve_devcluster.scratch import scratch_directory

if TYPE_CHECKING:
    from pathlib import Path

MAX_MODEL_LEN = 32768
"""Longest context in tokens: what many small models have, so that a pool's maxModelLen is not too large for it."""

_UNKNOWN = "<unk>"
_ALPHABET = [_UNKNOWN, "\n", *map(chr, range(0x20, 0x7F))]

# Heads of 64 and a hidden size of 256 are the smallest that every CPU attention kernel of vLLM takes.
_CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "float32",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": len(_ALPHABET),
    "max_position_embeddings": MAX_MODEL_LEN,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "bos_token_id": None,
    "eos_token_id": None,
}

_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

_TOKENIZER_CONFIG: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": MAX_MODEL_LEN,
    "unk_token": _UNKNOWN,
    "clean_up_tokenization_spaces": False,
    "chat_template": _CHAT_TEMPLATE,
}

_TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": 0,
            "content": _UNKNOWN,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": {"type": "Fuse"},
    # Byte-pair encoding without a single pair: every character stands for itself.
    "model": {
        "type": "BPE",
        "unk_token": _UNKNOWN,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: number for number, token in enumerate(_ALPHABET)},
        "merges": [],
    },
}


def ensure(cache: Path) -> Path:
    """Return the model's directory in `cache`, written first if it is not there; its name says what is in it."""
    files = _files()
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    target = cache / f"tiny-llama-{digest[:12]}"
    with locked(cache / "tiny-llama.lock", waiting="waiting for somebody else to write the tiny model"):
        if not target.exists():
            with scratch_directory(cache / "tiny-llama-writing") as scratch:
                _write(scratch / "model", files).rename(target)
    return target


def _write(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_text(content)
    return directory


def _files() -> dict[str, str]:
    contents = {
        "config.json": _CONFIG,
        "generation_config.json": {"do_sample": True, "temperature": 1.0},
        "tokenizer.json": _TOKENIZER,
        "tokenizer_config.json": _TOKENIZER_CONFIG,
    }
    return {name: json.dumps(content, indent=2) + "\n" for name, content in contents.items()}
