"""Frames that are at one end of a cable and not at the other: what a capture has missed (pure arithmetic)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

FEW = 5
"""So many frames may be at one end alone in a second: the two ends' clocks are read a moment apart."""
SHARE = 0.05
LATE = 20
"""So many frames may be on their way from one end to the other: of a device that holds a call's for 0.4 s."""
APART_NS = 50_000_000
CARRIER_S = 2
"""Whose cable is cut by hand goes on sending for so long before its carrier is found gone."""


@dataclass(frozen=True)
class Stretch:
    """Whole seconds, both included, in which something was missed."""

    begin: int
    end: int
    frames: int
    """Seen at the other ends and not here."""
    part: bool
    """Something was seen here in each of its seconds."""


def missed(far_counts: Mapping[int, int], here: Mapping[int, int]) -> Counter[int]:
    """Second -> frames that one end of a cable had and the other had not, both given by second; only where
    the clocks do not explain it."""
    found: Counter[int] = Counter()
    quiet: Counter[int] = Counter()
    under_way = 0
    for second in [*sorted(far_counts.keys() | here.keys()), None]:
        if second is not None and not here.get(second, 0):
            quiet[second] = far_counts[second]
            continue
        late = min(under_way, quiet.total())
        under_way -= late
        if quiet.total() - late > FEW:
            found.update(quiet)
        quiet = Counter()
        if second is not None:
            lacking = far_counts.get(second, 0) - here[second]
            late = min(under_way, max(lacking, 0))
            under_way = min(under_way - late + max(-lacking, 0), LATE)
            if lacking - late > max(FEW, SHARE * far_counts.get(second, 0)):
                found[second] = lacking
    return found


def stretches(missing: Mapping[int, int], seen: Collection[int]) -> Iterator[Stretch]:
    """Seconds with missing frames, joined where nothing was seen here in between."""
    present = sorted(seen)
    begin = end = None
    frames, part = 0, True
    position = 0
    for second in sorted(missing):
        while position < len(present) and end is not None and present[position] <= end:
            position += 1
        between = position < len(present) and present[position] < second
        if begin is not None and end is not None and (between and second > end + 1):
            yield Stretch(begin, end, frames, part)
            begin, frames, part = None, 0, True
        begin = second if begin is None else begin
        end = second
        frames += missing[second]
        part = part and second in seen
    if begin is not None and end is not None:
        yield Stretch(begin, end, frames, part)


def is_cut(stretch: Stretch, far_counts: Mapping[int, int], here: Mapping[int, int]) -> bool:
    """Whether it is a cable that lost its carrier: short, with nothing here after the first frame that was
    missed, and then both ends are silent. Given by second: when each end's last frame was, in nanoseconds."""
    after = range(stretch.end + 1, stretch.end + 1 + CARRIER_S)
    if stretch.end - stretch.begin >= CARRIER_S or any(s in far_counts or s in here for s in after):
        return False
    return far_counts.get(stretch.end, 0) - here.get(stretch.end, 0) > APART_NS
