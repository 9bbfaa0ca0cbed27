"""The calls of a campaign whose signalling is dissected (C9, D11).

tshark reads some 900 packets a second, a campaign has millions. So of each load generator a few legs are
chosen, and only the TLS connections of these legs' users are cut out of the generator's own capture. A
connection can only be decrypted from its beginning on: legs are chosen among the first ones of their users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uclab.capture.dissect import Signalling, SipMessage, dissect, extract_signalling
from uclab.capture.packets import MalformedCapture
from uclab.capture.tshark import DissectionError
from uclab.judge.evidence.load_files import Leg
from uclab.judge.evidence.network import PlannedNetwork, number
from uclab.judge.evidence.run import Run
from uclab.judge.evidence.scratch import scratch_file

SAMPLE = 5
"""Legs of each load generator."""
FIRST_LEGS = 40
"""Only so many legs of an address can be chosen: what its connection carried before must be read, too."""
AFTER_S = 1.0
"""A connection is read until this long after the call: the last words of its end."""


@dataclass(frozen=True)
class Sample:
    """What was chosen, and what its signalling said."""

    legs: tuple[Leg, ...] = ()
    messages: tuple[SipMessage, ...] = ()
    gaps: dict[str, str] = field(default_factory=dict)
    """Load generator -> why none of its signalling could be read."""


def take_sample(run: Run, network: PlannedNetwork) -> Sample:
    """Choose legs, and dissect their users' connections."""
    legs: list[Leg] = []
    messages: list[SipMessage] = []
    gaps: dict[str, str] = {}
    for generator in sorted({record.node for record in run.load.generators}):
        sampled = chosen([leg for leg in run.load.legs if leg.generator == generator])
        tap = network.first_tap.get(generator)
        path = run.file_of(tap) if tap else None
        # of a generator on another machine: among the switch's other ports
        only = () if path is None or tap is None or path.stem == generator else (tap,)
        if not sampled:
            gaps[generator] = "no call with media was noted"
        elif path is None:
            gaps[generator] = "there is no capture at the generator"
        elif run.keylog is None:
            gaps[generator] = "there is no TLS key log"
        else:
            try:
                found = _signalling(path, sampled, run.keylog, network.policy.sips_ports, only).messages
            except (DissectionError, MalformedCapture) as error:
                gaps[generator] = str(error)
                continue
            legs += sampled
            messages += found
            if not found:
                gaps[generator] = "the key log opened no SIP message of the sampled calls"
    return Sample(tuple(legs), tuple(messages), gaps)


def chosen(legs: Sequence[Leg], count: int = SAMPLE) -> list[Leg]:
    """Up to `count` legs with media, the same ones each time: of all kinds in turn, the commonest first, and
    spread over the time (pure)."""
    by_kind: dict[str, list[Leg]] = {}
    before: Counter[str] = Counter()
    for leg in sorted(legs, key=lambda leg: (leg.record.answered_at or 0.0, leg.id)):
        record = leg.record
        before[record.address] += 1
        complete = record.address and record.media_port and record.answered_at and record.ended_at
        if complete and record.sent and record.received and before[record.address] <= FIRST_LEGS:
            by_kind.setdefault(record.kind, []).append(leg)
    kinds = sorted(by_kind.values(), key=lambda kind_legs: (-len(kind_legs), kind_legs[0].record.kind))
    picked: list[Leg] = []
    while len(picked) < count and any(kinds):
        for kind_legs in kinds:
            if kind_legs and len(picked) < count:
                picked.append(kind_legs.pop(int(len(kind_legs) * (len(picked) + 0.5) / count)))
    return picked


def _signalling(
    path: Path, legs: Sequence[Leg], keylog: Path, ports: Sequence[int], only: Sequence[str]
) -> Signalling:
    """What the users of these legs and the session controller said to each other, until the legs' ends."""
    until: dict[int, int] = {}
    for leg in legs:
        host, end_ns = number(leg.record.address), int(((leg.record.ended_at or 0.0) + AFTER_S) * 1e9)
        until[host] = max(end_ns, until.get(host, 0))
    with scratch_file() as extract:
        numbers = extract_signalling(path, extract, ports, only, hosts=until)
        return dissect(extract, keylog, numbers)
