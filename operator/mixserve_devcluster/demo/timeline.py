"""The timeline as a PNG and as one self-contained HTML page."""

import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from mixserve_devcluster.demo.recording import Decision, Recording, Sample, Summary

# Okabe and Ito's palette: told apart by colour-blind readers too.
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"


def draw(recording: Recording) -> Figure:
    """Four panels over one time axis: replicas, requests, KV cache, TTFT."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 2, 2))
    samples = recording.samples
    times = [sample.at_s for sample in samples]
    _replicas(panels[0], times, samples, recording.decisions)
    panels[1].plot(times, [sample.running for sample in samples], color=_BLUE, label="running")
    panels[1].plot(times, [sample.waiting for sample in samples], color=_RED, label="waiting")
    panels[1].set_ylabel("requests")
    panels[2].plot(times, [_percent(sample.kv_cache_usage) for sample in samples], color=_GREEN, label="KV-cache usage")
    panels[2].set_ylabel("%")
    panels[3].plot(times, [sample.ttft_p95_s for sample in samples], color=_ORANGE, label="TTFT p95, last 15 s")
    panels[3].set(ylabel="seconds", xlabel="seconds since the load began")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend(loc="upper right", frameon=False)
        panel.set_ylim(bottom=0)
    figure.suptitle(f"Mixserve demo: {recording.engine}\n{recording.workload}", fontsize="medium")
    return figure


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _replicas(panel: Any, times: Sequence[float], samples: Sequence[Sample], decisions: Sequence[Decision]) -> None:
    panel.step(times, [sample.replicas for sample in samples], where="post", color=_BLUE, linewidth=2, label="replicas")
    panel.step(times, [sample.ready for sample in samples], where="post", color=_GREEN, label="ready")
    panel.step(times, [sample.draining for sample in samples], where="post", color=_GREY, label="draining")
    for decision in decisions:
        panel.axvline(decision.at_s, color=_GREY, alpha=0.3, linewidth=0.8)
    panel.set_ylabel("pods")
    panel.yaxis.get_major_locator().set_params(integer=True)


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
        decisions=_rows([(f"{decision.at_s:.0f} s", decision.message) for decision in recording.decisions]),
        data=json.dumps(recording.to_json()).replace("<", "\\u003c"),
    )
    path.write_text(page, encoding="utf-8")


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)


def summary_rows(summary: Summary) -> list[tuple[str, str]]:
    """The summary as pairs of name and value, for people."""
    return [
        ("Requests", f"{summary.requests}, {summary.failed} failed"),
        ("Answer tokens", f"{summary.answer_tokens:,}"),
        ("TTFT", f"median {_seconds(summary.ttft_median_s)}, p95 {_seconds(summary.ttft_p95_s)}"),
        ("Replicas", f"{summary.smallest} to {summary.peak}, {summary.last} at the end"),
        (
            "Replica hours",
            (
                f"{summary.replica_hours:.3f}; the peak held all the time: {summary.peak_replica_hours:.3f} "
                f"(saved {summary.saved_percent:.0f} %)"
            ),
        ),
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


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
