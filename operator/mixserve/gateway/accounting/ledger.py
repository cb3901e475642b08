"""Takes the lines of the access log and keeps the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.gateway.accounting.record import read_record
from mixserve.gateway.accounting.totals import Decisions, Sums, Totals, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mixserve.gateway.accounting.record import Record
    from mixserve.route.table import Prices, RoutingTable


class Ledger:
    """The sums of this replica.

    Args:
        totals: what was counted before.

    Attributes:
        unreadable: lines that were no records.
    """

    def __init__(self, totals: Totals) -> None:
        self.unreadable = totals.unreadable
        self._sums: dict[Where, Sums] = dict(totals.sums)
        self._decisions: dict[Decisions, int] = dict(totals.decisions)
        self._prices: Mapping[str, Prices | None] = {}
        self._dearest: Mapping[str, Prices | None] = {}

    def know(self, table: RoutingTable) -> None:
        """Account by the prices of this table from now on."""
        self._prices = {pool.name: pool.prices for pool in table.pools}
        self._dearest = {policy.name: self._prices.get(policy.tiers[-1].targets[0].pool) for policy in table.policies}

    def take(self, lines: Iterable[bytes]) -> None:
        """Count the lines."""
        for line in lines:
            record = read_record(line)
            if record is None:
                self.unreadable += 1
            else:
                self._add(record)

    def sums(self) -> Iterator[tuple[Where, Sums]]:
        """All sums."""
        yield from self._sums.items()

    def decisions(self) -> Iterator[tuple[Decisions, int]]:
        """How often which decision was taken."""
        yield from self._decisions.items()

    def totals(self, *, inode: int, offset: int) -> Totals:
        """All of it, as of a position in the log."""
        return Totals(
            inode=inode,
            offset=offset,
            unreadable=self.unreadable,
            sums=list(self._sums.items()),
            decisions=list(self._decisions.items()),
        )

    def _add(self, record: Record) -> None:
        found, policy = record.found, record.found.policy
        where = Where(policy, found.tier, record.pool or "")
        sums = self._sums.get(where)
        if sums is None:
            sums = self._sums[where] = Sums()
        sums.add(record, prices=self._prices.get(where.pool), dearest=self._dearest.get(policy))
        if policy:
            kind = Decisions(policy, where.tier, found.cause, found.complexity)
            self._decisions[kind] = self._decisions.get(kind, 0) + 1
