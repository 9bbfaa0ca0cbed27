"""A lab in the hands of a test: calls that know their quality, findings at the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from uclab import api
from uclab.judge.result.judgement import Judgement
from uclab.judge.result.media import JudgedCall, MediaQuality
from uclab.judge.single_call import judge_call
from uclab.lab.client import CallOrder, LabClient
from uclab.plan.schema.plan import Plan
from uclab.records.run import CallRecord


@dataclass(frozen=True)
class TestedCall:
    """One call as a test sees it: what its parties experienced and what the packets say."""

    __test__ = False

    record: CallRecord
    judged: JudgedCall

    @property
    def established(self) -> bool:
        return self.record.established

    @property
    def heard(self) -> bool:
        """True where each side heard the other's signal."""
        both = (self.record.caller_to_callee, self.record.callee_to_caller)
        return all(audio is not None and audio.heard for audio in both)

    @property
    def mos(self) -> float:
        """The worse direction's MOS (ITU-T G.107), 1.0 where no media was seen."""
        return min(quality.mos if quality else 1.0 for quality in self._directions)

    @property
    def loss_pct(self) -> float:
        """The worse direction's loss in per cent; 100 where no media was seen."""
        return max(quality.loss_pct if quality else 100.0 for quality in self._directions)

    @property
    def jitter_ms(self) -> float | None:
        """The worse direction's jitter (RFC 3550); None where no media was seen."""
        seen = [q.jitter_ms for q in self._directions if q and q.jitter_ms is not None]
        return max(seen) if seen else None

    @property
    def delay_ms(self) -> float | None:
        """The worse direction's one-way delay; None where no media was seen."""
        seen = [q.delay_ms for q in self._directions if q and q.delay_ms is not None]
        return max(seen) if seen else None

    @property
    def _directions(self) -> tuple[MediaQuality | None, ...]:
        return (self.judged.caller_to_callee, self.judged.callee_to_caller)


class LabUnderTest:
    """A running lab. `keep` is set when its evidence is to stay."""

    def __init__(self, topology: str, faults: tuple[str, ...], run_dir: Path) -> None:
        self.run_dir = run_dir
        self.keep = False
        self.plan: Plan = api.plan_of(topology)
        self._numbers = itertools.count(1)
        self._lab = api.bring_up(
            self.plan, api.applied(self.plan, faults), run_dir, name=run_dir.name, leased=True
        )
        self._down = False

    @property
    def client(self) -> LabClient:
        """The lab's API."""
        return self._lab.client

    def call(self, caller: str, callee: str, *, seconds: float = 5.0) -> TestedCall:
        """Place a call, wait for its end, and judge it from the captures so far."""
        record = self.client.call(CallOrder(f"call{next(self._numbers)}", caller, callee, "call", seconds))
        return TestedCall(record, judge_call(self.run_dir, record))

    def judge(self) -> Judgement:
        """Take the lab down and judge everything that happened in it."""
        from uclab.judge.judging import judge_run

        self.close()
        return judge_run(self.run_dir)

    def close(self) -> None:
        """Take the lab down; captures are flushed first."""
        if not self._down:
            self._down = True
            try:
                self.client.down()
            finally:
                self._lab.release()
