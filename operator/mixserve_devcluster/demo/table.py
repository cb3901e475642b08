"""The live table on a terminal; a line now and then elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mixserve_devcluster.demo.recording import Recording, Sample

# Off a terminal: often enough to see that it goes on, seldom enough to read afterwards.
_LINE_EVERY_S = 10.0
_COLUMNS = ("ready", "starting", "draining", "running", "waiting", "KV cache", "share")


def render(sample: Sample, decision: str) -> Group:
    """One row per pool with the newest numbers, and the last decision under them."""
    table = Table("pool", title=f"{sample.at_s:.0f} s, TTFT p95 {_seconds(sample.ttft_p95_s)}")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for name, pool in sample.pools.items():
        counts = (pool.starting, pool.draining, pool.running, pool.waiting)
        cells = (
            f"{pool.ready}/{pool.replicas}",
            *map(str, counts),
            _percent(pool.kv_cache_usage),
            _percent(sample.share(name)),
        )
        table.add_row(name, *cells)
    return Group(table, Text(f"last decision: {decision}"))


def line(sample: Sample, decision: str) -> str:
    """The same as one line."""
    pools = [
        f"{name} {pool.ready}/{pool.replicas} running {pool.running:2} waiting {pool.waiting:2} "
        f"share {_percent(sample.share(name)):>4}"
        for name, pool in sample.pools.items()
    ]
    return f"{sample.at_s:4.0f} s  {'  '.join(pools)}  TTFT p95 {_seconds(sample.ttft_p95_s):>7}  {decision}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def _last_decision(recording: Recording) -> str:
    if not recording.decisions:
        return "-"
    last = recording.decisions[-1]
    return f"{last.pool}: {last.message}"


@contextmanager
def live_table(console: Console, recording: Recording) -> Iterator[Callable[[Sample], None]]:
    """Give a function that shows the newest sample, with the last decision of the recording."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda sample: live.update(render(sample, _last_decision(recording)))
        return
    shown_at_s = -_LINE_EVERY_S

    def show(sample: Sample) -> None:
        nonlocal shown_at_s
        if sample.at_s - shown_at_s >= _LINE_EVERY_S:
            console.print(line(sample, _last_decision(recording)), soft_wrap=True, highlight=False)
            shown_at_s = sample.at_s

    yield show
