"""What Mixserve reads of a checkpoint: a few small files, from wherever they are, become one decoded config.json."""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from mixserve.observe.json_scan import ScanError, Scanner
from mixserve.observe.tokenizer import SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG, tokenizer_identity
from mixserve.plan.checkpoint_size import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = "config.json"
QUANTIZATION = "hf_quant_config.json"

# config.json of the largest models has 20 KB; quantization lists may make it longer.
MAX_CONFIG_BYTES = 2**20
# That of DeepSeek-V3 has 9 MB: a line for each tensor of each expert.
MAX_INDEX_BYTES = 2**26
# The longest vocabularies, of Gemma, take 33 MB.
MAX_TOKENIZER_BYTES = 2**26
# With a chat template and a description of each special token, of which there may be a thousand.
MAX_SPECIAL_BYTES = 2**22

LARGE = frozenset({INDEX, TOKENIZER})
"""Files of which one at a time should be in memory."""


class Unread(Enum):
    """A file is there, and is not read."""

    TOO_LONG = auto()


File = bytes | Unread | None
"""The content of a file; None where there is none, or none that can be read."""


def limits(*, with_tokenizer: bool = True) -> dict[str, int]:
    """The files that are read, with the most bytes that they may have; config.json is the first."""
    found = {CONFIG: MAX_CONFIG_BYTES, QUANTIZATION: MAX_CONFIG_BYTES, INDEX: MAX_INDEX_BYTES}
    if with_tokenizer:
        found |= {
            TOKENIZER: MAX_TOKENIZER_BYTES,
            TOKENIZER_CONFIG: MAX_SPECIAL_BYTES,
            SPECIAL_TOKENS: MAX_SPECIAL_BYTES,
        }
    return found


class NoConfigError(Exception):
    """There is no config.json, or none that is one; the message is a clause."""


def config_of(content: File) -> dict[str, Any]:
    """Decode config.json by itself.

    Raises:
        NoConfigError: there is none, or none that is one.
    """
    if content is None:
        raise NoConfigError("there is no config.json")
    if content is Unread.TOO_LONG:
        raise NoConfigError(f"its config.json has more than {MAX_CONFIG_BYTES} bytes")
    try:
        decoded = _decoded(content)
    except ValueError as error:
        raise NoConfigError("its config.json is no JSON") from error
    if not isinstance(decoded, dict):
        raise NoConfigError("its config.json is no object")
    # These keys are ours, whatever somebody has written there.
    return {key: value for key, value in decoded.items() if key not in LARGE}


def with_quantization(config: Mapping[str, Any], content: File) -> dict[str, Any]:
    """With what ModelOpt writes into a file of its own, as engines read it.

    Raises:
        NoConfigError: config.json needs that file, and it is none.
    """
    if content is None or config.get("quantization_config") is not None:
        return dict(config)
    if content is Unread.TOO_LONG:
        return {**config, "quantization_config": "too long to be read"}
    try:
        return {**config, "quantization_config": _decoded(content)}
    except ValueError as error:
        raise NoConfigError(f"its {QUANTIZATION} is no JSON") from error


def with_index(config: Mapping[str, Any], content: File) -> dict[str, Any]:
    """With what the index of the weights says of all of them, if it can be read; of its list of tensors nothing."""
    if not isinstance(content, bytes):
        return dict(config)
    metadata = None
    try:
        scanner = Scanner(content)
        for key in scanner.members():
            if key == "metadata":
                metadata = scanner.value()
            else:
                scanner.skip()
    except ScanError:
        return dict(config)
    return {**config, INDEX: {"metadata": metadata}}


def with_tokenizer(
    config: Mapping[str, Any],
    content: File,
    *,
    tokenizer_config: File,
    special_tokens: File,
) -> dict[str, Any]:
    """With the identity of the tokenizer, if there is one that can be read."""
    if not isinstance(content, bytes):
        return dict(config)
    found = tokenizer_identity(
        content,
        config=tokenizer_config if isinstance(tokenizer_config, bytes) else None,
        special=special_tokens if isinstance(special_tokens, bytes) else None,
    )
    return dict(config) if found is None else {**config, TOKENIZER: found}


def _decoded(content: bytes | Unread) -> Any:
    assert isinstance(content, bytes)
    try:
        return json.loads(content)
    except RecursionError as error:  # nested a thousand deep
        raise ValueError("nested too deep") from error
