"""The live table on a terminal; a line now and then elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mixserve_devcluster.demo.recording import Sample

# Off a terminal: often enough to see that it goes on, seldom enough to read afterwards.
_LINE_EVERY_S = 10.0


def render(sample: Sample) -> Group:
    """One row with the newest numbers, and the last decision under it."""
    table = Table(title=f"{sample.at_s:.0f} s")
    for name in ("replicas", "ready", "starting", "draining", "running", "waiting", "KV cache", "TTFT p95"):
        table.add_column(name, justify="right")
    kv = "-" if sample.kv_cache_usage is None else f"{100 * sample.kv_cache_usage:.0f} %"
    ttft = "-" if sample.ttft_p95_s is None else f"{sample.ttft_p95_s:.2f} s"
    counts = (sample.replicas, sample.ready, sample.starting, sample.draining, sample.running, sample.waiting)
    table.add_row(*(str(count) for count in counts), kv, ttft)
    return Group(table, Text(f"last decision: {sample.decision or '-'}"))


def line(sample: Sample) -> str:
    """The same as one line."""
    kv = "-" if sample.kv_cache_usage is None else f"{100 * sample.kv_cache_usage:.0f} %"
    ttft = "-" if sample.ttft_p95_s is None else f"{sample.ttft_p95_s:.2f} s"
    return (
        f"{sample.at_s:4.0f} s  replicas {sample.replicas}  ready {sample.ready}  starting {sample.starting}  "
        f"draining {sample.draining}  running {sample.running:3}  waiting {sample.waiting:3}  KV {kv:>5}  "
        f"TTFT p95 {ttft:>7}  {sample.decision}"
    )


@contextmanager
def live_table(console: Console) -> Iterator[Callable[[Sample], None]]:
    """Give a function that shows the newest sample."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda sample: live.update(render(sample))
        return
    shown_at_s = -_LINE_EVERY_S

    def show(sample: Sample) -> None:
        nonlocal shown_at_s
        if sample.at_s - shown_at_s >= _LINE_EVERY_S:
            console.print(line(sample), soft_wrap=True, highlight=False)
            shown_at_s = sample.at_s

    yield show
