"""An incident as a timeline (SVG): each call a pair of bars, coloured by the line that carried it, with its
silences in red; failure and restoration as lines across; MOS below (V2)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.failover.media import SHOWN_BEFORE_S
from uclab.judge.result.incidents import FLOW_WORDS, CallOutcome, Flow, JudgedIncident, Way
from uclab.model.visible import as_markup

WIDTH, LEFT, RIGHT = 1160, 214, 184
TOP, ROW, BAR = 66, 30, 10
MOS_HEIGHT, MOS_GAP, BOTTOM = 104, 62, 40
LETTER, BOLD = 6.2, 7.2
"""Width of a letter, about."""
LOWEST, HIGHEST = 1.0, 4.5
"""Of MOS."""
LINE_COLOURS = ("#3b73c4", "#e0a030", "#8a5fc4", "#2f9c95", "#b0688a", "#7d8a3c")
SILENCE, INK, SOFT, GRID, IDLE = "#d92d20", "#1b2430", "#5b6878", "#dde3ea", "#e9edf2"
FLOW_COLOURS: dict[Flow, str] = {"out": "#13795b", "in": "#8a4fbe", "within": "#2255a4"}
ARROWS: dict[Flow, str] = {"out": "▸", "in": "◂", "within": "▸"}
EXPECTED = "#9a6700"
"""Of a loss that had to be."""
FATE_WORDS = {
    "kept": ("kept", "#13795b"),
    "re-established": ("re-established", "#2255a4"),
    "silent": ("no media until restored", "#b3261e"),
    "dropped": ("lost", "#b3261e"),
    "probe": ("on hold (probe)", "#5b6878"),
}


@dataclass(frozen=True)
class Scale:
    """Seconds since the epoch to pixels."""

    zero: float
    """The failure."""
    begin: float
    end: float

    def x(self, time: float) -> float:
        """Clipped to the drawing."""
        share = (min(max(time, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def draw_timeline(judged: JudgedIncident, lines: Sequence[str], min_mos: float) -> str:
    """One round of an incident. `lines` gives the order of colours."""
    incident = judged.incident
    scale = Scale(incident.failed_at, incident.failed_at - SHOWN_BEFORE_S, incident.ended_at)
    rows_end = TOP + ROW * max(len(judged.calls), 1)
    mos_top = rows_end + MOS_GAP
    height = mos_top + MOS_HEIGHT + BOTTOM
    colours = {line: LINE_COLOURS[number % len(LINE_COLOURS)] for number, line in enumerate(lines)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>Calls during {as_markup(judged.title)}</title>",
        *_legend(colours),
        *_broken_time(judged, scale, mos_top + MOS_HEIGHT),
    ]
    for number, call in enumerate(judged.calls):
        parts += _call(call, TOP + ROW * number, scale, colours, survivable=incident.survivable)
    parts += _moments(judged, scale, rows_end)
    parts += _mos(judged, scale, mos_top, min_mos)
    parts += _axis(scale, mos_top + MOS_HEIGHT)
    return "\n".join([*parts, "</svg>"])


def text(x: float, y: float, content: str, colour: str = INK, anchor: str = "start", extra: str = "") -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" {extra}>{as_markup(content)}</text>'


def box(
    x: float, y: float, width: float, height: float, colour: str, title: str = "", radius: int = 2
) -> str:
    """A filled rectangle with a tooltip."""
    tip = f"<title>{as_markup(title)}</title>" if title else ""
    return (
        f'<rect x="{x}" y="{y}" width="{max(width, 1.5):.1f}" height="{height}" rx="{radius}" '
        f'fill="{colour}">{tip}</rect>'
    )


def _legend(colours: dict[str, str]) -> Iterator[str]:
    x = float(LEFT)
    for name, colour in [*colours.items(), ("media gap at the receiver", SILENCE), ("no line", IDLE)]:
        yield box(x, 8, 16, 10, colour)
        yield text(x + 22, 17, name, SOFT)
        x += 44 + 6.4 * len(name)


def _broken_time(judged: JudgedIncident, scale: Scale, bottom: float) -> Iterator[str]:
    """The time in which it was broken, as a band behind everything."""
    begin, end = scale.x(judged.incident.failed_at), scale.x(judged.incident.healed_at)
    yield box(begin, TOP - 12, end - begin, bottom - TOP + 12, "#fdf1ef", radius=0)
    lasted = judged.incident.healed_at - judged.incident.failed_at
    restored = f"restored after {lasted:.1f} s"
    for x, caption, colour in ((begin, "broken", SILENCE), (end, restored, "#13795b")):
        yield f'<line x1="{x}" y1="{TOP - 14}" x2="{x}" y2="{bottom}" stroke="{colour}" stroke-width="1.6"/>'
        yield text(x + 4, TOP - 18, caption, colour, extra='font-weight="600"')


def _call(
    call: CallOutcome, y: float, scale: Scale, colours: dict[str, str], *, survivable: bool
) -> Iterator[str]:
    yield text(8, y + 14, _shortened(f"{call.caller} → {call.callee}"), INK)
    for number, way in enumerate(call.ways):
        yield from _bar(way, y + 2 + number * (BAR + 2), scale, colours)
    caption, colour = FATE_WORDS[call.fate]
    if call.fate == "silent" and not survivable:
        colour = EXPECTED
    tip = f"<title>{as_markup(call.why)}</title>" if call.why else ""
    yield (
        f'<text x="{WIDTH - RIGHT + 12}" y="{y + 17}" fill="{colour}" font-weight="600">{caption}{tip}</text>'
    )


def _bar(way: Way, y: float, scale: Scale, colours: dict[str, str]) -> Iterator[str]:
    """One direction: what carried it, then what was missing of it."""
    yield text(LEFT - 8, y + BAR - 1, ARROWS[way.flow], FLOW_COLOURS[way.flow], "end", 'font-size="11"')
    yield box(LEFT, y, WIDTH - LEFT - RIGHT, BAR, IDLE)
    for stretch in way.stretches:
        if stretch.end > scale.begin and stretch.begin < scale.end:
            x = scale.x(stretch.begin)
            colour = colours.get(stretch.line, SOFT)
            yield box(x, y, scale.x(stretch.end) - x, BAR, colour, f"{stretch.line}, {FLOW_WORDS[way.flow]}")
    for silence in way.silences:
        if silence.end > scale.begin and silence.begin < scale.end:
            x = scale.x(silence.begin)
            caption = f"{silence.ms:.0f} ms without media {FLOW_WORDS[way.flow]}"
            yield box(x, y, scale.x(silence.end) - x, BAR, SILENCE, caption)


def _moments(judged: JudgedIncident, scale: Scale, y: float) -> Iterator[str]:
    """When it was detected, when phones re-registered, when a request in a dialog was answered."""
    failed = judged.incident.failed_at
    moments: list[tuple[float, str, str, str]] = []
    if judged.detection_ms is not None:
        moments.append((judged.detection_ms / 1000, "detected", "#2255a4", judged.detected_by))
    registered = [
        registration.seconds for registration in judged.registrations if registration.seconds is not None
    ]
    moments += [(seconds, "re-registered", "#13795b", "a phone re-registered") for seconds in registered]
    if judged.in_dialog_ms is not None:
        caption = "a request within a dialog answered"
        moments.append((judged.in_dialog_ms / 1000, "in-dialog answer", "#8a4fbe", caption))
    if moments:
        yield text(8, y + 15, "events", SOFT)
    named: set[str] = set()
    ends = [0.0, 0.0]
    for seconds, name, colour, tip in sorted(moments):
        x = scale.x(failed + seconds)
        yield (
            f'<path d="M{x} {y + 5}l5 6l-5 6l-5 -6z" fill="{colour}"><title>{as_markup(tip)}: {seconds:.2f} s'
            "</title></path>"
        )
        if name not in named:
            # below its mark, or a row further down where another name stands there
            row = next((row for row, end in enumerate(ends) if end <= x), 1)
            caption = f"{name} {seconds:.2f} s"
            ends[row] = x + 8 + LETTER * len(caption)
            yield text(x - 5, y + 30 + 13 * row, caption, colour, extra='font-size="11"')
        named.add(name)


def _mos(judged: JudgedIncident, scale: Scale, top: float, min_mos: float) -> Iterator[str]:
    """Median MOS of each flow over time, with all calls between lowest and highest behind it."""

    def y(mos: float) -> float:
        return round(top + MOS_HEIGHT * (HIGHEST - mos) / (HIGHEST - LOWEST), 1)

    for level in (1, 2, 3, 4):
        yield _rule(y(level), GRID)
        yield text(LEFT - 10, y(level) + 4, str(level), SOFT, "end", 'font-size="11"')
    yield _rule(y(min_mos), SOFT, "4 3")
    yield text(8, top + 14, "MOS by second", INK)
    for number, (flow, colour) in enumerate(FLOW_COLOURS.items()):
        points = list(_mos_points(judged, flow))
        if not points:
            continue
        yield text(
            8, top + 32 + 16 * number, f"{ARROWS[flow]} {FLOW_WORDS[flow]}", colour, extra='font-size="11"'
        )
        upper = [f"{scale.x(t)} {y(max(values))}" for t, values in points]
        lower = [f"{scale.x(t)} {y(min(values))}" for t, values in reversed(points)]
        middle = [f"{scale.x(t)} {y(statistics.median(values))}" for t, values in points]
        yield f'<path d="M{"L".join([*upper, *lower])}z" fill="{colour}" fill-opacity="0.12"/>'
        yield f'<path d="M{"L".join(middle)}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _mos_points(judged: JudgedIncident, flow: Flow) -> Iterator[tuple[float, list[float]]]:
    """The middle of each second and the values of all calls in it."""
    ways = [way for call in judged.judged for way in call.ways if way.flow == flow]
    for number in range(max((len(way.mos) for way in ways), default=0)):
        values = [way.mos[number] for way in ways if number < len(way.mos)]
        known = [value for value in values if value is not None]
        if known:
            yield ways[0].mos_start + number + 0.5, known


def _rule(y: float, colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="{colour}"{dashed}/>'


def _axis(scale: Scale, y: float) -> Iterator[str]:
    """Seconds since the failure."""
    first = -int(scale.zero - scale.begin)
    for second in range(first + first % 2, int(scale.end - scale.zero) + 1, 2):
        x = scale.x(scale.zero + second)
        yield f'<line x1="{x}" y1="{y}" x2="{x}" y2="{y + 4}" stroke="{SOFT}"/>'
        yield text(x, y + 17, str(second), SOFT, "middle", 'font-size="11"')
    yield text(LEFT, y + 33, "seconds since the failure", SOFT, extra='font-size="11"')


def _shortened(caption: str, most: int = 29) -> str:
    return caption if len(caption) <= most else caption[: most - 1] + "…"
