import io
from dataclasses import replace

from rich.console import Console

from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.table import line, live_table, render
from support.demo_samples import QUIET_POOL, sample_of

SAMPLE = sample_of(
    31.4,
    small=replace(QUIET_POOL, replicas=3, running=24, waiting=7, kv_cache_usage=0.42, answered=3),
    large=replace(QUIET_POOL, answered=1),
)


def test_a_line_has_every_pool_and_the_last_decision():
    assert line(SAMPLE, "small: up") == (
        "  31 s  small 1/3 running 24 waiting  7 share  75%  large 1/1 running  0 waiting  0 share  25%  "
        "TTFT p95       -  small: up"
    )


def test_the_table_fits_a_terminal_of_ordinary_width():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render(SAMPLE, "small: up"))
    shown = console.export_text()
    assert "…" not in shown
    assert "1/3" in shown
    assert "last decision: small: up" in shown


def test_off_a_terminal_there_is_a_line_every_ten_seconds_with_the_newest_decision(capsys):
    recording = Recording(engine="simulated", workload="test")
    with live_table(Console(width=300), recording) as show:
        for at_s in range(21):
            sample = sample_of(float(at_s), small=replace(QUIET_POOL, decision=f"decision {at_s // 10}"))
            recording.add(sample)
            show(sample)
    shown = capsys.readouterr().out.splitlines()
    assert [text.split()[-1] for text in shown] == ["0", "1", "2"]
