"""A walk as checks go through it: what was seen at each tap, and the first one where something is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from uclab.judge.evidence.network import Leg, PlannedNetwork
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import ObservedMarking, marking_of
from uclab.judge.path.hop_trace import blame_between
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding


@dataclass(frozen=True)
class Seen:
    """Packets at one tap on one leg, by marking."""

    tap: str
    leg: Leg
    markings: Counter[ObservedMarking]
    flows: tuple[Flow, ...]

    def samples(self, wrong: Collection[ObservedMarking] = ()) -> tuple[int, ...]:
        """Packet numbers as evidence, of those markings only if any are given."""
        chosen = [flow for flow in self.flows if not wrong or marking_of(flow) in wrong]
        return tuple(number for flow in chosen for number in flow.samples)[:3]


def walk_finding(
    claim: Claim,
    network: PlannedNetwork,
    seen: Sequence[Seen],
    right: Callable[[Seen, ObservedMarking], bool],
    name: Callable[[ObservedMarking], str],
    gap: str | None,
    bears: Callable[[Seen, ObservedMarking], bool] = lambda _, __: True,
) -> Finding:
    """The first tap on the walk where something is wrong, and the device in front of it, or that all was
    right. Only what `bears` a marking can be wrong; a tap where nothing does shows that whoever made it
    stands behind."""
    passed: dict[Leg, list[Seen]] = {}
    bearing = [at for at in seen if any(bears(at, marking) for marking in at.markings)]
    for at in seen:
        wrong = Counter({m: n for m, n in at.markings.items() if bears(at, m) and not right(at, m)})
        if wrong:
            packets = at.markings.total()
            before, fine = _in_front(passed.get(at.leg, []), wrong.total(), bearing)
            where = f"correct up to {fine}, " if fine else ""
            share = "" if wrong.total() == packets else f" in {wrong.total()} of {packets} packets"
            observed = f"{where}{name(wrong.most_common(1)[0][0])} at {at.tap}{share}"
            evidence = Evidence(at.tap, at.samples(wrong), leg=at.leg)
            return claim.failed(observed, evidence, blame_between(network, before, at.tap))
        passed.setdefault(at.leg, []).append(at)
    observed = f"at {len(bearing)} taps, {sum(at.markings.total() for at in bearing)} packets"
    evidence = Evidence(bearing[-1].tap, bearing[-1].samples())
    return claim.not_shown(f"{observed}; but {gap}", evidence) if gap else claim.passed(observed, evidence)


def _in_front(passed: Sequence[Seen], wrong: int, bearing: Sequence[Seen]) -> tuple[str | None, str | None]:
    """The last tap that these packets passed before, and the last of those that bore a marking. A tap that
    saw far fewer of them stands beside their way: single packets take another, before a route is learnt or
    when it is taken back."""
    way = [at for at in passed if 2 * at.markings.total() >= wrong] or passed
    fine = [at.tap for at in way if at in bearing]
    return way[-1].tap if way else None, fine[-1] if fine else None
