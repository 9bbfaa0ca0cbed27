"""How long the lab's own programs had to wait for a processor (`pressure.jsonl`): what the machine did is
held against nobody in the network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from uclab.records.host_pressure import HostSample, LateLine

STARVED = 0.1
"""A program that waits for a smaller share of a second is well served: nothing is explained by it."""
HELP = "run fewer labs at once, or on more processor cores"
CAPTURING = "dumpcap"
DELAY_LINE = "delay_line"
WATCH = ("", "supervisor")
"""The program that the watch is a thread of."""
ALL_PROGRAMS = "every program"


@dataclass(frozen=True)
class Starved:
    """A program's waits in a time, counted only in the seconds in which they were no trifle."""

    node: str
    program: str
    waited_s: float
    of_s: float
    """How long the time was."""

    @property
    def share(self) -> float:
        """0..1."""
        return min(self.waited_s / self.of_s, 1.0) if self.of_s > 0 else 0.0

    def words(self) -> str:
        """`baresip of desk1 waited 4.2 s for a processor in 10.0 s`."""
        who = f"{self.program} of {self.node}" if self.node else f"the lab's {self.program}"
        if self.program == ALL_PROGRAMS:
            return f"the machine stalled for {self.waited_s:.1f} s in {self.of_s:.1f} s"
        return f"{who} waited {self.waited_s:.1f} s for a processor in {self.of_s:.1f} s"


@dataclass(frozen=True)
class HostPressure:
    """All looks of the host watch, in order of time; none of an older run, which explains nothing."""

    samples: Sequence[HostSample] = ()
    late_lines: Sequence[LateLine] = ()

    def starved(
        self,
        nodes: Collection[str],
        begin: float,
        end: float,
        programs: Collection[str] | None = None,
    ) -> list[Starved]:
        """The programs of these network namespaces that waited, the longest first; of these names only, where
        any are given, and else no capture, which has no part in what it sees. Seconds since the epoch."""
        sums: dict[tuple[str, str], float] = {}
        still = 0.0
        for sample, share in self._within(begin, end):
            lasted_s = sample.end - sample.begin
            stood_s = _stood_still_s(sample)
            still += stood_s * share if stood_s >= STARVED * lasted_s else 0.0
            for wait in sample.waited:
                wanted = wait.program in programs if programs is not None else wait.program != CAPTURING
                if wait.node in nodes and wanted and wait.ms >= STARVED * lasted_s * 1000:
                    key = wait.node, wait.program
                    sums[key] = sums.get(key, 0.0) + wait.ms / 1000 * share
        for key, late_s in self._late(begin, end).items():
            if key[0] in nodes and (programs is None or key[1] in programs):
                sums[key] = max(sums.get(key, 0.0), late_s)
        found = [Starved(*key, waited, end - begin) for key, waited in sums.items()]
        if still:
            found.append(Starved("", ALL_PROGRAMS, still, end - begin))
        return sorted(found, key=lambda starved: -starved.waited_s)

    def _late(self, begin: float, end: float) -> dict[tuple[str, str], float]:
        """Seconds for which delay lines were late, by their own account, as (node, program)."""
        late: dict[tuple[str, int], float] = {}
        for line in self.late_lines:
            if begin < line.second + 1 and line.second < end:
                known = late.get((line.node, line.second), 0.0)
                late[line.node, line.second] = max(known, min(line.ms / 1000, 1.0))
        sums: dict[tuple[str, str], float] = {}
        for (node, _), late_s in late.items():
            if late_s >= STARVED:
                sums[node, DELAY_LINE] = sums.get((node, DELAY_LINE), 0.0) + late_s
        return sums

    def _within(self, begin: float, end: float) -> Iterator[tuple[HostSample, float]]:
        """Samples that touch a time, each with the share of it that lies within."""
        for sample in self.samples:
            common = min(sample.end, end) - max(sample.begin, begin)
            if common > 0:
                yield sample, common / (sample.end - sample.begin)


def _stood_still_s(sample: HostSample) -> float:
    """For how long no program ran: the processors were given to others, or the watch was woken late and had
    not waited for a processor meanwhile."""
    own_ms = sum(wait.ms for wait in sample.waited if (wait.node, wait.program) == WATCH)
    stolen_s = sample.stolen_pct / 100 * (sample.end - sample.begin)
    return max(stolen_s, (sample.late_ms - own_ms) / 1000)
