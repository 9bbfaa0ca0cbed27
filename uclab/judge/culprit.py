"""Where on its walk media fared worst, and which device is to blame for that (C8)."""

from __future__ import annotations

import itertools

from uclab.judge.network import Network
from uclab.judge.streams import Stream
from uclab.judge.types import HopRecord, Walk
from uclab.judge.walks import blame_between


def culprit(network: Network, walk: Walk | None, stream: Stream, by_loss: bool) -> tuple[str | None, str]:
    """The device with the largest loss, or the largest step in delay, on the walk; and that step in words, if
    there is one.

    What the session controller dropped before the way was open is no loss.
    """

    def lost(step: tuple[HopRecord, HopRecord]) -> int:
        turning = (step[0].leg, step[1].leg) == ("up", "down")
        return step[1].lost - (stream.early if turning else 0)

    if walk is None or len(walk.hops) < 2:
        return None, ""
    steps = list(itertools.pairwise(walk.hops))
    if by_loss:
        before, at = max(steps, key=lost)
        where = f"{lost((before, at))} packets lost between {before.tap} and {at.tap}"
    else:
        before, at = max(steps, key=lambda step: step[1].delay_us - step[0].delay_us)
        where = f"{(at.delay_us - before.delay_us) / 1000:.1f} ms between {before.tap} and {at.tap}"
    return blame_between(network, before.tap, at.tap), where
