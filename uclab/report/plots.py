"""Plots of the report as SVG: delay and jitter of each call, and the load of the WAN by traffic class."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uclab.judge.evidence.network import dscp_name
from uclab.judge.result.judgement import Judgement
from uclab.judge.result.media import Series
from uclab.plan.schema.plan import Plan

WIDTH_INCHES, HEIGHT_INCHES = 11.0, 2.9
MEDIA = {"delay_ms": "one-way delay, ms", "jitter_ms": "jitter (RFC 3550), ms"}
CAMPAIGN = {
    "calls": "calls in progress",
    "registrations": "registrations a second",
    "setup_ms": "set-up of calls (RFC 6076), median of each second, ms",
    "media_loss_pct": "loss of all media, per cent",
    "cpu_pct": "processor, per cent of one core",
}
"""Plots of a campaign, on the same time line as the load of the lines."""
CLASS_COLOURS = {"EF": "#13795b", "AF41": "#2255a4", "AF31": "#8a4fbe", "AF21": "#c07a00"}
OTHER_COLOUR = "#8794a3"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "uclab",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6eaf0",
    "axes.edgecolor": "#8794a3",
}


WAYS = {"out": "towards the provider", "in": "towards the site"}
"""Directions at a site's tap of its line."""


def plots(plan: Plan, judgement: Judgement) -> list[str]:
    """SVG texts, none where the captures hold no series. The time axis is seconds from the first value of
    all."""
    if not judgement.series:
        return []
    zero = min(series.start for series in judgement.series)
    end = max(series.start + len(series.values) * series.step_s for series in judgement.series) - zero
    limits = {"delay_ms": plan.policy.max_one_way_delay_ms, "jitter_ms": plan.policy.max_jitter_ms}
    drawn = []
    with mpl.rc_context(STYLE):
        for kind, title in MEDIA.items():
            chosen = [series for series in judgement.series if series.kind == kind]
            if chosen:
                drawn.append(draw_media(chosen, title, zero, limits[kind]))
        for kind, title in CAMPAIGN.items():
            chosen = [series for series in judgement.series if series.kind == kind]
            if chosen:
                drawn.append(draw_lines(chosen, title, zero, end))
        for tap, far in wan_taps(plan).items():
            for direction, title in WAYS.items():
                chosen = [
                    series
                    for series in judgement.series
                    if (series.kind, series.subject, series.direction) == ("kbps", tap, direction)
                ]
                if chosen:
                    drawn.append(draw_load(chosen, f"load at {tap}, {title}, kbit/s", zero, end))
            for end_of_line in (tap, far):
                queue = [curve for curve in judgement.series if curve.subject == end_of_line]
                if any(curve.kind == "queue_kbps" for curve in queue):
                    drawn.append(draw_queue(queue, end_of_line, queue_colours(plan, end_of_line), zero, end))
    return drawn


def wan_taps(plan: Plan) -> dict[str, str]:
    """The sites' taps of the WAN lines, where the load is decided (both ends of a line see the same), each
    with the tap at the far end."""
    labels = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    ends = {
        (link.a.device, link.a.interface): (link.b.device, link.b.interface)
        for link in plan.links
        if link.kind == "wan"
    }
    return {labels[a]: labels.get(ends[a], "") for a in labels if a in ends}


def draw_media(chosen: Sequence[Series], title: str, zero: float, limit: float) -> str:
    """One line a call and direction, and the policy's limit."""
    figure, axes = canvas(title)
    for series in chosen:
        axes.plot(times(series, zero), gaps(series), linewidth=1.1, label=series.subject)
    top = max((value for series in chosen for value in series.values if value is not None), default=0.0)
    if top > limit / 2:
        axes.axhline(limit, color="#b3261e", linewidth=1, linestyle="--")
    axes.set_title(f"{title} (limit {limit:g} ms)", loc="left", fontsize=10, fontweight="bold")
    axes.set_ylim(bottom=0)
    if len(chosen) <= 24:
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            frameon=False,
            fontsize=7,
            ncols=1 + len(chosen) // 13,
        )
    return as_svg(figure)


def draw_load(chosen: Sequence[Series], title: str, zero: float, end: float) -> str:
    """One line a traffic class."""
    figure, axes = canvas(title, aligned=True)
    for series in sorted(chosen, key=lambda curve: curve.label):
        axes.plot(
            times(series, zero),
            [value or 0.0 for value in series.values],
            linewidth=1.3,
            label=series.label,
            color=CLASS_COLOURS.get(series.label, OTHER_COLOUR),
        )
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlim(0, end)
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return as_svg(figure)


def queue_colours(plan: Plan, tap: str) -> dict[str, str]:
    """Colour of each class of the queue at a tap: that of its traffic in the load of the line."""
    ends = {(end.device, end.interface) for end in plan.taps if end.label == tap}
    classes = [
        c for node in plan.nodes for q in node.queues if (node.name, q.interface) in ends for c in q.classes
    ]
    known = {
        c.name: [name for dscp in c.dscps if (name := dscp_name(dscp)) in CLASS_COLOURS] for c in classes
    }
    return {name: CLASS_COLOURS[names[0]] for name, names in known.items() if names}


def draw_queue(
    chosen: Sequence[Series], tap: str, colours: Mapping[str, str], zero: float, end: float
) -> str:
    """What each class of the queue at a tap sent, against its guaranteed rate; below, if there was any, what
    it dropped. Classes that had nothing to do are left out."""
    sent, guaranteed, dropped = (
        {curve.label: curve for curve in chosen if curve.kind == kind}
        for kind in ("queue_kbps", "queue_guaranteed_kbps", "queue_dropped")
    )
    busy = [name for name in sent if any(sent[name].values) or any(dropped[name].values)]
    losing = [name for name in busy if any(dropped[name].values)]
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES * (1.4 if losing else 1)))
    align(figure)
    heights = [3, 1] if losing else [1]
    rows = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
    upper, lower = rows[0][0], rows[-1][0]
    for name in busy or list(sent):
        drawn = zip(
            times(sent[name], zero), sent[name].values, guaranteed[name].values, strict=True
        )  # some seconds have no look at the queue
        share = [(at, 100 * value / rate) for at, value, rate in drawn if value is not None and rate]
        rates = [rate for rate in guaranteed[name].values if rate]
        label = f"{name}, {rates[-1] if rates else 0:.0f} kbit/s"
        upper.plot(
            *zip(*share, strict=True), linewidth=1.3, label=label, color=colours.get(name, OTHER_COLOUR)
        )
    upper.axhline(100, color="#b3261e", linewidth=1, linestyle="--", label="guaranteed rate")
    upper.set_title(
        f"queue of {tap}: sent, per cent of the guaranteed rate"
        + ("; below: packets dropped" if losing else ", nothing dropped"),
        loc="left", fontsize=10, fontweight="bold",
    )  # fmt: skip
    upper.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    under = [0.0] * max((len(dropped[name].values) for name in losing), default=0)
    for name in losing:
        values = [value or 0.0 for value in dropped[name].values]
        lower.bar(
            times(dropped[name], zero), values, width=1.0, align="edge", bottom=under[: len(values)],
            color=colours.get(name, OTHER_COLOUR),
        )  # fmt: skip
        under = [a + b for a, b in zip(under, values, strict=True)]
    upper.set_ylim(bottom=0)
    lower.set_xlim(0, end)
    lower.set_xlabel("seconds")
    return as_svg(figure)


def draw_lines(chosen: Sequence[Series], title: str, zero: float, end: float) -> str:
    """One line a subject, through the seconds that have a value; all such plots have the same time axis."""
    figure, axes = canvas(title, aligned=True)
    for series in chosen:
        known = [(at, v) for at, v in zip(times(series, zero), series.values, strict=True) if v is not None]
        axes.plot(*zip(*known, strict=True), marker=".", markersize=4, linewidth=1.2, label=series.label)
    axes.set_xlim(0, end)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return as_svg(figure)


def canvas(title: str, aligned: bool = False) -> tuple[Figure, Axes]:
    """An empty plot; `aligned` ones have their time axes one below the other."""
    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout=None if aligned else "constrained")
    if aligned:
        align(figure)
    axes = figure.add_subplot()
    axes.set_xlabel("seconds")
    return figure, axes


def align(figure: Figure) -> None:
    """Margins in inches, the same for every plot: room for titles, and for the legend on the right."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=0.6 / width, right=1 - 2.0 / width, bottom=0.5 / height, top=1 - 0.3 / height)


def times(series: Series, zero: float) -> list[float]:
    """Seconds of each value."""
    return [series.start - zero + number * series.step_s for number in range(len(series.values))]


def gaps(series: Series) -> list[float]:
    """Values with gaps where nothing was seen."""
    return [float("nan") if value is None else value for value in series.values]


def as_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element: without date and prologue, and with identifiers of its own on the
    page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg[svg.index("<svg") :])
