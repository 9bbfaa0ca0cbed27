"""Interarrival jitter as a receiver reports it: RFC 3550 section 6.4.1 and appendix A.8, on whole columns.

J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16 is a first-order recursion; over a block it is a weighted running
sum, exact up to rounding, so no packet is touched in a Python loop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BLOCK = 256
"""Packets a step: (16/15)**256 is 1.5e7, far from the limits of a double."""
_KEEP = 15.0 / 16.0
_GROWTH = (1.0 / _KEEP) ** np.arange(1, _BLOCK + 1)


@dataclass
class Jitter:
    """Running estimate of one stream. Times in nanoseconds, timestamps in units of the RTP clock."""

    clock_hz: int = 8000
    now_ms: float = 0.0
    max_ms: float = 0.0
    sum_ms: float = 0.0
    count: int = 0
    _last: tuple[int, int] | None = None

    @property
    def mean_ms(self) -> float:
        return self.sum_ms / self.count if self.count else 0.0

    def add(
        self, arrival_ns: npt.NDArray[np.int64], rtp_time: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.float64]:
        """Takes further packets in order of arrival; the estimate after each of them (ms)."""
        if not len(arrival_ns):
            return np.empty(0)
        if self._last is None:
            self._last = (int(arrival_ns[0]), int(rtp_time[0]))
        arrivals = np.concatenate(([self._last[0]], arrival_ns))
        stamps = np.concatenate((np.array([self._last[1]], np.uint32), rtp_time))
        self._last = (int(arrival_ns[-1]), int(rtp_time[-1]))
        sent_ms = np.diff(stamps).astype(np.int32) * (1000.0 / self.clock_hz)  # wraps as 32-bit timestamps do
        difference = np.abs(np.diff(arrivals) / 1e6 - sent_ms)
        estimates = np.empty(len(difference))
        for start in range(0, len(difference), _BLOCK):
            part = difference[start : start + _BLOCK]
            growth = _GROWTH[: len(part)]
            block = (self.now_ms + np.cumsum(part * growth) / 16.0) / growth
            estimates[start : start + len(part)] = block
            self.now_ms = float(block[-1])
        self.count += len(estimates)
        self.sum_ms += float(estimates.sum())
        self.max_ms = max(self.max_ms, float(estimates.max()))
        return estimates
