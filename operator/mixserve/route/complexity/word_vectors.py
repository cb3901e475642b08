"""What a text is about: the mean of the vectors of its words, from a table that is small enough to ship.

A static embedding: one vector per word, whatever stands beside it. Adding up vectors of 50 numbers is too slow in plain
Python, so each vector is kept as one whole number with 50 lanes of 32 bits: one addition adds all of them.
"""

import struct
from collections.abc import Mapping, Sequence
from importlib import resources

DIMENSIONS = 50
ZERO = 128
"""What stands for 0.0 in the table, where a number is a byte."""
UNIT = 32
"""Steps of the table to 1.0."""
TABLE = "word-vectors.bin"
"""The file in `heads/`: words, most frequent first, a line each, an empty line, then `DIMENSIONS` bytes a word."""

_LANE_BYTES = 4
_LANES = struct.Struct(f"<{DIMENSIONS}I")


class WordVectors:
    """The table, ready to be added up."""

    def __init__(self, rows: Mapping[bytes, int]) -> None:
        self._rows = rows

    @classmethod
    def parse(cls, table: bytes) -> "WordVectors":
        """From the bytes of the file."""
        words, _, vectors = table.partition(b"\n\n")
        names = words.split(b"\n")
        assert len(vectors) == DIMENSIONS * len(names), "one vector a word"
        starts = range(0, len(vectors), DIMENSIONS)
        rows = (_lanes(vectors[start : start + DIMENSIONS]) for start in starts)
        return cls(dict(zip(names, rows, strict=True)))

    @classmethod
    def shipped(cls) -> "WordVectors":
        """The table in `heads/`."""
        return cls.parse(resources.files("mixserve.route.complexity").joinpath("heads", TABLE).read_bytes())

    def mean(self, words: Sequence[bytes], *, doubt: int) -> tuple[float, ...]:
        """The mean over the different words that are in the table, `DIMENSIONS` numbers of about -4 to 4.

        Args:
            words: in lower case.
            doubt: so many words without a meaning are added, which draws short texts towards 0.
        """
        found = self._rows.keys() & set(words)
        total = sum(map(self._rows.__getitem__, found))
        count = len(found)
        divisor = UNIT * (count + doubt)
        return tuple((lane - ZERO * count) / divisor for lane in _LANES.unpack(total.to_bytes(_LANES.size, "little")))


def _lanes(row: bytes) -> int:
    spread = bytearray(_LANES.size)
    spread[::_LANE_BYTES] = row
    return int.from_bytes(spread, "little")
