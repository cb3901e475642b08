"""How far into a prompt the key of a request reaches: as far as its beginning is too popular for one endpoint.

Requests that begin alike belong together, and the first block would do as their key, were it not that all requests may
begin alike: one application's system prompt, or a sentence that every prompt has. So each replica counts the beginnings
that it has seen of late, and the key is the first block that brings no more than a share (`Tuning.largest_share`) of
one endpoint's requests. A rare system prompt has one home; a popular one is spread by what follows it, conversation by
conversation. Replicas see about the same shares, so they mostly agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Requests of a generation of counts; two are looked at. Enough for a share of 1/200 to be told from twice that.
_SMALLEST_WINDOW, _WINDOW_PER_ENDPOINT, _LARGEST_WINDOW = 512, 32, 4096


class Popularity:
    """Counts of blocks among the last requests; at most 2 * 4096 * 49 of them."""

    def __init__(self, *, largest_share: float) -> None:
        self._largest_share = largest_share
        self._newest: dict[int, int] = {}
        self._older: dict[int, int] = {}
        self._newest_requests = self._older_requests = 0

    def key(self, blocks: Sequence[int], *, endpoints: int) -> tuple[int, bool]:
        """Count a prompt, and say its key and whether requests with that key came before.

        Args:
            blocks: hashes of the prompt's beginnings, at least one.
            endpoints: of the pool, >= 1.
        """
        window = min(_LARGEST_WINDOW, max(_SMALLEST_WINDOW, _WINDOW_PER_ENDPOINT * endpoints))
        self._begin(window)
        newest, older = self._newest, self._older
        for block in blocks:
            newest[block] = newest.get(block, 0) + 1
        # The first few requests say nothing about shares, so they are taken for part of a whole window.
        requests = max(window, self._newest_requests + self._older_requests)
        limit = self._largest_share * requests / endpoints
        for block in blocks:
            count = newest[block] + older.get(block, 0)
            if count <= limit:
                break
        return block, count > 1

    def _begin(self, window: int) -> None:
        if self._newest_requests >= window:
            self._older, self._older_requests = self._newest, self._newest_requests
            self._newest, self._newest_requests = {}, 0
        self._newest_requests += 1
