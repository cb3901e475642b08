"""The accounts of a run are taken when they are complete."""

from itertools import chain, repeat

import pytest

from mixserve_devcluster.demo import drive
from mixserve_devcluster.demo.spending import Spending


class Gateways:
    """What they have counted, each time that they are asked; the last answer stays."""

    def __init__(self, *counted: int) -> None:
        self._counted = chain(counted, repeat(counted[-1]))

    async def spending(self) -> dict[str, Spending]:
        return {"small": Spending(requests=next(self._counted))}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "_LOOK_EVERY_S", 0.0)


async def test_gateways_that_have_not_read_all_of_their_logs_are_asked_again() -> None:
    assert await drive._counted(Gateways(3, 5, 7), 7) == {"small": Spending(requests=7)}


async def test_what_never_becomes_complete_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "_COUNTED_WITHIN_S", 0.01)
    assert await drive._counted(Gateways(5), 7) == {"small": Spending(requests=5)}
