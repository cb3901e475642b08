"""The layers of a checkpoint that were trained to predict more than the next token (multi-token prediction)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mixserve.plan.families import FAMILIES, SEEING_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

# As vLLM reads them (`SpeculativeConfig.hf_config_override`), for all kinds of models together.
_KEYS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
_MOST_LAYERS = 1000


def mtp_layers(config: Mapping[str, Any]) -> int | None:
    """How many there are, by a decoded config.json, which may hold anything.

    Returns:
        A number >= 0; None where nobody can tell: some kinds of models have such layers without a key that says it.
    """
    for place in _places(config):
        for key in _KEYS:
            said = place.get(key)
            if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= _MOST_LAYERS:
                return said
    kind = config.get("model_type")
    is_known = isinstance(kind, str) and (kind in FAMILIES or kind in SEEING_FAMILIES)
    return 0 if is_known else None


def _places(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield config
    for key in ("text_config", "mtp_config"):
        nested = config.get(key)
        if isinstance(nested, Mapping):
            yield nested
