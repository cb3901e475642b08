"""Stand for the `vllm` of the image: the same command line, with the tiny model in place of the pool's.

Run as a script: `python launch.py VLLM MODEL_DIRECTORY ARGUMENT...`. It must import nothing but the standard library,
since the Python of vLLM runs it, which does not have Mixserve.
"""

import os
import sys
from collections.abc import Sequence

# Flags that belong to the pool's own model.
_MODEL_FLAGS = ("--revision", "--tokenizer-revision", "--code-revision")
# What only a model without weights on a CPU needs. A GPU's memory is shared out by utilization; here several engines
# share the machine's with everybody else, so each takes 128 MiB (65,536 tokens of the tiny model) for its KV cache.
_OWN_FLAGS = ("--load-format=dummy", "--dtype=float32", "--enforce-eager", "--kv-cache-memory-bytes=134217728")


def main() -> None:
    """Become vLLM."""
    vllm, model, *arguments = sys.argv[1:]
    os.execv(vllm, [vllm, *adapted(arguments, model)])  # noqa: S606 - replacing this process is the purpose


def adapted(arguments: Sequence[str], model: str) -> list[str]:
    """`serve MODEL ...` with another model; any other command as it is. The last of equal flags wins."""
    if len(arguments) < 2 or arguments[0] != "serve" or arguments[1].startswith("-"):  # noqa: PLR2004 - command, model
        return list(arguments)
    return ["serve", model, *_without_model_flags(arguments[2:]), *_OWN_FLAGS]


def _without_model_flags(arguments: Sequence[str]) -> list[str]:
    kept = []
    words = iter(arguments)
    for word in words:
        if word in _MODEL_FLAGS:
            next(words, None)
        elif not word.startswith(tuple(f"{flag}=" for flag in _MODEL_FLAGS)):
            kept.append(word)
    return kept


if __name__ == "__main__":
    main()
