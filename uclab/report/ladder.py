"""The signalling of one call as a ladder diagram (SVG)."""

from __future__ import annotations

from collections import Counter

from uclab.judge.result.judgement import Judgement
from uclab.judge.result.media import Ladder, LadderMessage
from uclab.model.visible import as_markup

LANE_PX, ROW_PX, TOP_PX, MARGIN_PX = 300, 26, 56, 110
MOST_MESSAGES = 60


def draw_ladder(judgement: Judgement) -> str:
    """The ladder of a call between neighbours (C7), or of the one with the most to show; empty where no
    signalling was decrypted."""
    neighbours = {call.id for call in judgement.calls if call.kind == "desk-desk"}
    ladder = max(
        judgement.ladders,
        key=lambda ladder: (ladder.call in neighbours, len({m.source for m in ladder.messages})),
        default=None,
    )
    if ladder is None or not ladder.messages:
        return ""
    return draw(ladder)


def draw(ladder: Ladder) -> str:
    """One arrow a message, time on the left in milliseconds from the first."""
    messages = ladder.messages[:MOST_MESSAGES]
    lanes = lane_order(messages)
    x = {name: MARGIN_PX + LANE_PX * position + 40 for position, name in enumerate(lanes)}
    width = MARGIN_PX + LANE_PX * (len(lanes) - 1) + 140
    height = TOP_PX + ROW_PX * (len(messages) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>SIP messages of call {as_markup(ladder.call)}</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#2255a4"/></marker></defs>',
    ]
    for name in lanes:
        parts.append(
            f'<text x="{x[name]}" y="22" text-anchor="middle" font-weight="600" fill="#1b2430">'
            f"{as_markup(name)}</text>"
        )
        parts.append(
            f'<line x1="{x[name]}" y1="32" x2="{x[name]}" y2="{height - 8}" '
            'stroke="#dde3ea" stroke-width="2"/>'
        )
    parts += [arrow(message, row, x, messages[0].time) for row, message in enumerate(messages)]
    return "\n".join([*parts, "</svg>"])


def arrow(message: LadderMessage, row: int, x: dict[str, int], zero: float) -> str:
    """One message."""
    y = TOP_PX + ROW_PX * row
    start, end = x[message.source], x[message.target]
    tip = 3 if end > start else -3
    return (
        f'<text x="8" y="{y + 4}" fill="#5b6878" font-size="11">{(message.time - zero) * 1000:.0f} ms</text>'
        f'<line x1="{start}" y1="{y}" x2="{end - tip}" y2="{y}" '
        'stroke="#2255a4" stroke-width="1.4" marker-end="url(#tip)"/>'
        f'<text x="{(start + end) / 2}" y="{y - 5}" text-anchor="middle" fill="#1b2430">'
        f"{as_markup(shortened(message.text))}</text>"
    )


def lane_order(messages: tuple[LadderMessage, ...]) -> list[str]:
    """Who speaks, with the one that takes part in most messages in the middle: the session controller."""
    names = list(dict.fromkeys(name for message in messages for name in (message.source, message.target)))
    spoken = Counter(name for message in messages for name in (message.source, message.target))
    hub = spoken.most_common(1)[0][0]
    others = [name for name in names if name != hub]
    middle = (len(others) + 1) // 2
    return [*others[:middle], hub, *others[middle:]]


def shortened(text: str, most: int = 44) -> str:
    """A start line that fits between two lanes."""
    return text if len(text) <= most else text[: most - 1] + "…"
