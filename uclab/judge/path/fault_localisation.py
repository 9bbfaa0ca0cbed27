"""Where on its walk media fared worst, and which device is to blame for that (C8)."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.measure.streams import Stream
from uclab.judge.path.hop_trace import blame_between, in_series, passed_through
from uclab.judge.result.media import HopRecord, Walk


def culprit(
    network: PlannedNetwork, walk: Walk | None, stream: Stream, by_loss: bool, blind: Collection[str] = ()
) -> tuple[str | None, str]:
    """The device with the largest loss, or the largest step in delay, on the walk; and that step in words, if
    there is one.

    What the session controller dropped before the way was open is no loss. Taps that saw only a part
    (`blind`) are passed over; for a step past them a device is blamed where only one lies between.
    """

    def lost(step: tuple[HopRecord, HopRecord]) -> int:
        turning = (step[0].leg, step[1].leg) == ("up", "down")
        return max(step[0].packets - step[1].packets, 0) - (stream.early if turning else 0)

    if walk is None:
        return None, ""
    hops = in_series(network, [hop for hop in walk.hops if hop.tap not in blind], stream)
    if len(hops) < 2:
        return None, ""
    steps = list(itertools.pairwise(hops))
    if by_loss:
        before, at = max(steps, key=lost)
        where = f"{lost((before, at))} packets lost between {before.tap} and {at.tap}"
    else:
        before, at = max(steps, key=lambda step: step[1].delay_us - step[0].delay_us)
        where = f"{(at.delay_us - before.delay_us) / 1000:.1f} ms between {before.tap} and {at.tap}"
    passed = planned_between(network, stream, before, at)
    known = {hop.tap for hop in walk.hops}
    unseen = [tap for tap in passed if tap in blind or tap not in known]
    if not unseen:
        return blame_between(network, before.tap, at.tap), where
    description = f"{where}; {', '.join(unseen)} in between saw only part"
    return passed_through(network, (before.tap, *passed, at.tap)), description


def planned_between(network: PlannedNetwork, stream: Stream, before: HopRecord, at: HopRecord) -> list[str]:
    """The taps between two hops of a stream, by the plan's ways; none where it does not say."""

    def way(endpoint: int) -> list[str]:
        path = network.path_of.get(network.endpoints[endpoint].name) if endpoint >= 0 else None
        return [hop.tap for hop in path.hops] if path is not None else []

    up, down = way(stream.sender), way(stream.receiver)[::-1]
    taps = {"up": up, "down": down}.get(before.leg, []) if before.leg == at.leg else [*up, *down]
    if before.tap not in taps or at.tap not in taps:
        return []
    last = len(taps) - 1 - taps[::-1].index(at.tap)
    return taps[taps.index(before.tap) + 1 : last]
