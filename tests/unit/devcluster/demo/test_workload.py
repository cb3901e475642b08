import gzip
import statistics
from itertools import pairwise

import pytest

from mixserve_devcluster.demo.workload import (
    Lengths,
    Phase,
    WorkloadError,
    arrivals,
    generated_lengths,
    rate_at,
    trace_lengths,
)

RAMP = (
    Phase(name="quiet", duration_s=100, from_rps=1, to_rps=1),
    Phase(name="ramp", duration_s=100, from_rps=1, to_rps=9),
    Phase(name="peak", duration_s=100, from_rps=9, to_rps=9),
)


def test_generated_lengths_resemble_the_public_trace():
    lengths = generated_lengths(seed=1)
    assert 650 < statistics.median(item.prompt_tokens for item in lengths) < 900
    assert 130 < statistics.median(item.answer_tokens for item in lengths) < 175
    assert all(1 <= item.prompt_tokens <= 4096 and 1 <= item.answer_tokens <= 1000 for item in lengths)


def test_generated_lengths_are_the_same_for_the_same_seed():
    assert generated_lengths(seed=3) == generated_lengths(seed=3)
    assert generated_lengths(seed=3) != generated_lengths(seed=4)


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_a_trace_gives_its_own_lengths_without_empty_requests(tmp_path, name):
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\na,374,44\nb,10,0\nc,91,16\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert trace_lengths(path) == [Lengths(374, 44), Lengths(91, 16)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "expected CSV columns ContextTokens"),
        (b"ContextTokens,GeneratedTokens\nx,2\n", "is no trace"),
        (b"ContextTokens,GeneratedTokens\n0,2\n", "holds no request"),
        (b"", "holds no request"),
        (b"ContextTokens,GeneratedTokens\n1\n", "is no trace"),
        (b"\xff\xfe\x00", "is no trace: not UTF-8 text; expected"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_name(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(WorkloadError, match=message) as error:
        trace_lengths(path)
    assert "bad.csv" in str(error.value)


def test_a_missing_trace_is_refused(tmp_path):
    with pytest.raises(WorkloadError, match="is no trace"):
        trace_lengths(tmp_path / "none.csv.gz")


@pytest.mark.parametrize(("at_s", "rate"), [(0, 1), (150, 5), (250, 9), (300, 0), (999, 0)])
def test_the_rate_follows_the_phases(at_s, rate):
    assert rate_at(RAMP, at_s) == pytest.approx(rate)


def test_arrivals_come_at_the_rate_of_their_phase():
    sample = list(arrivals(phases=RAMP, lengths=generated_lengths(seed=1), seed=2))
    assert all(before.at_s < after.at_s for before, after in pairwise(sample))
    counts = [sum(start <= item.at_s < start + 100 for item in sample) for start in (0, 100, 200)]
    assert counts == pytest.approx([100, 500, 900], rel=0.25)


def test_a_compressed_trace_that_is_cut_is_refused(tmp_path):
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(b"ContextTokens,GeneratedTokens\n1,2\n")[:-9])
    with pytest.raises(WorkloadError, match="is no trace: EOFError"):
        trace_lengths(path)
