"""Whether bytes are evenly distributed: encrypted ones are, a voice codec's are not (C9). Needs no key."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.judge.evidence.network import Leg

SPREAD_PACKETS = 48
SPREAD_BYTES = 120
"""Payload bytes a packet in the test for even distribution (the tag at the end is left out for short
packets)."""
SPREAD_LIMIT = 500.0
"""Chi-squared with 255 degrees of freedom: evenly distributed bytes give 255 +- 23."""


@dataclass
class PayloadEntropy:
    """Distribution of payload bytes of one stream at one tap."""

    tap: str
    leg: Leg
    ssrc: int
    packets: int = 0
    sample: list[int] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    _sequences: set[int] = field(default_factory=set)

    def unseen(self, rows: npt.NDArray[np.intp], sequences: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
        """Rows of packets that were not counted yet: one that passes a tap twice would count its bytes twice,
        and bytes that come in pairs are not evenly distributed."""
        new = []
        for row, sequence in zip(rows.tolist(), sequences.tolist(), strict=True):
            if sequence not in self._sequences:
                self._sequences.add(sequence)
                new.append(row)
            if len(self._sequences) >= SPREAD_PACKETS:
                break
        return np.array(new, np.intp)

    @property
    def chi_squared(self) -> float | None:
        """None for too few bytes to tell."""
        total = int(self.counts.sum())
        if total < 1024:
            return None
        return float(((self.counts - total / 256) ** 2).sum() / (total / 256))

    @property
    def readable(self) -> bool:
        """Whether the payload is not encrypted."""
        chi = self.chi_squared
        return chi is not None and chi > SPREAD_LIMIT
