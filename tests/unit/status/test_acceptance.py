from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.observation import SpeculationCounts
from mixserve.status.acceptance import WINDOW_S, Acceptance, Tally, acceptance_of, tally, within_window


def counts(drafts: int | None, proposed: int, kept: int, *, since_last_read: bool = False) -> SpeculationCounts:
    return SpeculationCounts(drafts, proposed, kept, since_last_read=since_last_read)


@pytest.mark.parametrize(
    ("before", "now", "happened"),
    [
        (counts(10, 30, 20), counts(15, 45, 26), Tally(9.0, 5, 15, 6)),
        (counts(10, 30, 20), counts(10, 30, 20), None),
        (None, counts(10, 30, 20), None),
        # The engine was restarted.
        (counts(10, 30, 20), counts(2, 6, 1), Tally(9.0, 2, 6, 1)),
        # ... and has proposed more since than before, but kept less.
        (counts(10, 30, 20), counts(12, 36, 3), Tally(9.0, 12, 36, 3)),
        (counts(None, 30, 20), counts(None, 40, 25), Tally(9.0, None, 10, 5)),
        (None, counts(4, 12, 7, since_last_read=True), Tally(9.0, 4, 12, 7)),
        (counts(9, 9, 9), counts(4, 12, 7, since_last_read=True), Tally(9.0, 4, 12, 7)),
        (None, counts(0, 0, 0, since_last_read=True), None),
    ],
)
def test_what_happened_since_the_last_look(
    before: SpeculationCounts | None, now: SpeculationCounts, happened: Tally | None
) -> None:
    assert tally(before, now, at_s=9.0) == happened


def test_what_is_older_than_the_window_is_forgotten() -> None:
    tallies = [Tally(at_s, 1, 3, 2) for at_s in (0.0, 1.0, WINDOW_S)]
    assert [each.at_s for each in within_window(tallies, now_s=WINDOW_S + 1)] == [1.0, WINDOW_S]


def test_all_engines_count_by_what_they_did() -> None:
    busy, idle = Tally(0.0, 300, 900, 600), Tally(0.0, 100, 300, 0)
    assert acceptance_of([busy, idle]) == Acceptance(rate=0.5, length=2.5)


@pytest.mark.parametrize("tallies", [[], [Tally(0.0, 16, 48, 48)]])
def test_too_little_says_nothing(tallies: list[Tally]) -> None:
    assert acceptance_of(tallies) is None


def test_an_engine_that_counts_no_drafts_has_no_length() -> None:
    assert acceptance_of([Tally(0.0, None, 100, 60)]) == Acceptance(rate=0.6, length=None)
    assert acceptance_of([Tally(0.0, 30, 100, 60), Tally(0.0, None, 100, 60)]) == Acceptance(rate=0.6, length=None)


def test_a_rate_is_never_more_than_one() -> None:
    assert acceptance_of([Tally(0.0, 0, 100, 120)]) == Acceptance(rate=1.0, length=None)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 8)), min_size=1, max_size=20), st.data())
def test_any_sequence_of_looks_sums_up_to_what_happened(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    """Looks at a counter that grows, taken at some of the times, miss nothing."""
    drafts = proposed = kept = 0
    before, tallies = counts(0, 0, 0), []
    for number, (more, width) in enumerate(steps):
        drafts, proposed = drafts + more, proposed + more * width
        kept += more * data.draw(st.integers(0, width))
        if data.draw(st.booleans()) or number == len(steps) - 1:
            now = counts(drafts, proposed, kept)
            found = tally(before, now, at_s=float(number))
            tallies += [] if found is None else [found]
            before = now
    assert sum(each.proposed for each in tallies) == proposed
    assert sum(each.kept for each in tallies) == kept
    assert sum(each.drafts or 0 for each in tallies) == drafts
