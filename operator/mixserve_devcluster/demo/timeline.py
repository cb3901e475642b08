"""The timeline as a PNG and as one self-contained HTML page."""

import html
import io
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.spending import total
from mixserve_devcluster.demo.summary import Summary, summary_rows

# Okabe and Ito's palette: told apart by colour-blind readers too. From the cheapest pool to the ablest.
_COLOURS = ("#009E73", "#0072B2", "#D55E00", "#CC79A7", "#56B4E9")
_ORANGE, _GREY = "#E69F00", "#777777"
_BIN_S = 5.0


def draw(recording: Recording) -> Figure:
    """Four panels over one time axis: requests by tier, replicas and load by pool, TTFT."""
    figure = Figure(figsize=(11, 10), layout="constrained")
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(2, 3, 3, 2))
    times = [sample.at_s for sample in recording.samples]
    _requests(panels[0], recording)
    _replicas(panels[1], times, recording)
    _load(panels[2], times, recording)
    ttfts = [sample.ttft_p95_s for sample in recording.samples]
    panels[3].plot(times, ttfts, color=_ORANGE, label="TTFT p95, last 15 s")
    panels[3].set(ylabel="seconds", xlabel="seconds since the load began")
    for panel in panels:
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="upper left", frameon=False)
        panel.set_ylim(bottom=0)
    figure.suptitle(f"Mixserve demo: {recording.engine}\n{recording.workload}{_saved(recording)}", fontsize="medium")
    return figure


def _saved(recording: Recording) -> str:
    saved = total(recording.spending.values()).saved_percent
    if saved is None:
        return ""
    return f"\nby the prices of tokens {saved:.0f} % cheaper than always {list(recording.spending)[-1]}"


def _requests(panel: Any, recording: Recording) -> None:
    """Of every tier, one upon the other; those of the cheapest are at the bottom."""
    sent = Counter((result.tier, result.sent_at_s // _BIN_S) for result in recording.results)
    bins = range(int(max((place for _, place in sent), default=0.0)) + 1)
    bottom = [0.0] * len(bins)
    for tier, colour in zip(recording.spending or [""], cycle(_COLOURS), strict=False):
        rates = [sent[tier, float(place)] / _BIN_S for place in bins]
        begins = [place * _BIN_S for place in bins]
        panel.bar(begins, rates, _BIN_S, bottom, align="edge", color=colour, alpha=0.8, label=tier or "all")
        bottom = [low + rate for low, rate in zip(bottom, rates, strict=True)]
    panel.set_ylabel("requests/s by tier")


def _replicas(panel: Any, times: Sequence[float], recording: Recording) -> None:
    wanted, ready = recording.of_pools("replicas"), recording.of_pools("ready")
    for place, (name, colour) in enumerate(zip(wanted, cycle(_COLOURS), strict=False)):
        # A little apart, as pools of one size would hide each other.
        apart = 0.04 * place
        panel.step(
            times, [count + apart for count in wanted[name]], where="post", color=colour, linewidth=2, label=name
        )
        panel.step(times, [count + apart for count in ready[name]], where="post", color=colour, linestyle=":")
    for decision in recording.decisions:
        panel.axvline(decision.at_s, color=_GREY, alpha=0.3, linewidth=0.8)
    panel.set_ylabel("replicas (dotted: ready)")
    panel.yaxis.get_major_locator().set_params(integer=True)


def _load(panel: Any, times: Sequence[float], recording: Recording) -> None:
    running, waiting = recording.of_pools("running"), recording.of_pools("waiting")
    for name, colour in zip(running, cycle(_COLOURS), strict=False):
        panel.plot(times, running[name], color=colour, label=name)
        panel.plot(times, waiting[name], color=colour, linestyle=":")
    panel.set_ylabel("running (dotted: waiting)")


def write_png(recording: Recording, path: Path) -> None:
    """Write the picture, 110 dots per inch."""
    draw(recording).savefig(path, dpi=110)


def write_html(recording: Recording, summary: Summary, path: Path) -> None:
    """Write one page with the picture as SVG, the summary, every decision and the data; it loads nothing."""
    picture = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw(recording).savefig(picture, format="svg")
    svg = picture.getvalue()
    page = _PAGE.format(
        title=html.escape(f"Mixserve demo: {recording.engine}"),
        workload=html.escape(recording.workload),
        summary=_rows(summary_rows(summary)),
        svg=svg[svg.index("<svg") :],
        decisions=_rows([(f"{one.at_s:.0f} s", f"{one.pool}: {one.message}") for one in recording.decisions]),
        data=recording.to_json().replace("<", "\\u003c"),
    )
    path.write_text(page, encoding="utf-8")


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #ddd; }}
th {{ white-space: nowrap; font-weight: 600; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>Workload: {workload}</p>
<table>{summary}</table>
{svg}
<h2>Decisions</h2>
<table>{decisions}</table>
<script type="application/json" id="recording">{data}</script>
</body>
</html>
"""
