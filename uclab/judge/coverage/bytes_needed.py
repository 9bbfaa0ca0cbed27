"""What each check needs of the captures' packets, and what becomes of its finding where they do not hold it.

Two things can be missing: bytes that the capture cut off, and packets that could not be recognised because
their headers were cut off or stood in a frame that is not understood. A finding that holds by what was seen
is then not shown; one that failed by what was *not* seen, too. One that failed by what was seen still does,
but names no device where a tap in between could not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure.frame_coverage import PARTS, Part
from uclab.judge.measure.run_evidence import DIRECTIONS, RunEvidence
from uclab.judge.result.claim import each_call
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Endpoint

NAMED = 3
"""Taps that an observation lists at most."""
Taps = Callable[[RunEvidence, Finding], Iterable[str]]


@dataclass(frozen=True)
class Needs:
    """Of one check: which payload, at which taps. Headers each of them needs."""

    taps: Taps
    payload: tuple[Part, ...] = ()
    by_absence: bool = False
    """It fails by what was not seen: a loss, a silence."""
    by_address: bool = False
    """MAC addresses and VLANs tell all, which frames of any kind have."""


def _parties(evidence: RunEvidence, finding: Finding) -> tuple[Endpoint, Endpoint] | None:
    """Sender and receiver of a finding's call direction (of a whole call: of what its caller sends), or twice
    the endpoint that it is about."""
    subject, _, rest = finding.subject.partition(":")
    wanted = rest.partition(":")[0] if rest.partition(":")[0] in DIRECTIONS else DIRECTIONS[0]
    for call, direction, sender, receiver in evidence.call_directions():
        if call.id == subject and direction == wanted:
            return sender, receiver
    endpoint = next((e for e in evidence.network.endpoints if e.name == subject), None)
    return None if endpoint is None else (endpoint, endpoint)


def _planned(evidence: RunEvidence, finding: Finding) -> dict[Leg, list[str]]:
    """The taps on the way of a finding's packets, in order, on each leg; empty where it is about no
    endpoint."""
    parties = _parties(evidence, finding)
    if parties is None:
        return {}
    way = [
        [hop.tap for hop in path.hops] if (path := evidence.network.path_of.get(party.name)) else []
        for party in parties
    ]
    return {"up": way[0], "down": way[1][::-1]}


def everywhere(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """All taps."""
    return evidence.seen.frames.packets


def on_the_way(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """The taps of the planned way; all where the finding is about more than an endpoint or a call."""
    planned = _planned(evidence, finding)
    taps = dict.fromkeys(tap for leg_taps in planned.values() for tap in leg_taps)
    return taps or everywhere(evidence, finding)


def at_the_ends(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """The taps nearest to the endpoints, and those of the session controllers."""
    parties = _parties(evidence, finding)
    if parties is None:
        return everywhere(evidence, finding)
    first = [evidence.network.first_tap.get(party.name, "") for party in parties]
    return dict.fromkeys([*first, *evidence.network.controller_taps])


def at_controllers(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """The session controllers' own taps."""
    return evidence.network.controller_taps


def at_switches(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """The ports of switches that classify."""
    return [tap for tap, (switch, _) in evidence.network.ports.items() if switch.controlled]


def at_evidence(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    """Where the finding's evidence lies; everywhere if it has none."""
    return [finding.evidence.tap] if finding.evidence.tap else everywhere(evidence, finding)


_SIP: tuple[Part, ...] = ("signalling",)
_SRTP: tuple[Part, ...] = ("media", "control")
_MARKING = Needs(on_the_way)
_FIGURES = Needs(at_the_ends, by_absence=True)
_ROUTING = Needs(at_evidence, ("routing",), by_absence=True)
NEEDS: dict[str, Needs] = {
    "audio.heard": Needs(lambda evidence, finding: ()),  # recordings say so; but where it ended, captures do
    "signalling.tls": Needs(at_controllers, _SIP),
    "signalling.certificate": Needs(at_controllers, _SIP),
    "signalling.registered": Needs(at_controllers, _SIP, by_absence=True),
    "signalling.untouched": Needs(on_the_way, _SIP),
    "message.delivered": Needs(at_controllers, _SIP),
    "message.private": Needs(everywhere, PARTS),
    "media.srtp": Needs(at_the_ends, _SRTP),
    "media.keys": Needs(at_the_ends, _SRTP),
    "media.injected": Needs(everywhere, by_absence=True),  # who stands behind NAT, other taps tell
    "privacy.readable": Needs(everywhere, PARTS),
    "hub.media": _FIGURES,
    "hub.signalling": Needs(at_the_ends),
    "qos.dscp": _MARKING,
    "qos.pcp": _MARKING,
    "qos.wmm": _MARKING,
    "qos.mpls-tc": _MARKING,
    "vlan.way": _MARKING,
    "qos.trust": Needs(at_switches),
    "qos.overlay": Needs(everywhere),
    "sdwan.sealed": Needs(at_evidence),
    "sdwan.steering": Needs(everywhere, by_absence=True),
    "carrier.apart": Needs(everywhere),
    "circuit.policy": Needs(everywhere),
    "path.as-planned": Needs(on_the_way, by_absence=True),
    "peering.prefixes": _ROUTING,
    "peering.accepted": _ROUTING,
    "peering.session": _ROUTING,
    "quality.voice": _FIGURES,
    "quality.overload": _FIGURES,
    "vlan.voice": Needs(everywhere, ("headers",), by_address=True),
    "vlan.port-control": Needs(everywhere, ("headers",), by_address=True),
    "lab.isolation": Needs(everywhere),
    "load.srtp": Needs(everywhere, _SRTP),
}
NEEDS_OF_FAMILY: dict[str, Needs] = {
    family: Needs(everywhere, by_absence=True) for family in ("failover", "load", "capacity")
}
"""Checks of which most count media or wait for it."""
RECORDED = {
    "load.registered",
    "load.established",
    "load.heard",
    "load.throttled",
    "load.generators",
    "capacity.admitted",
}
"""Checks of those families that rest on what endpoints told, or on the host's own figures."""


def as_shown(evidence: RunEvidence, finding: Finding) -> Finding:
    """The finding as the captures allow it."""
    frames = evidence.seen.frames
    if not (frames.cut or frames.unread) or finding.id in RECORDED:
        return finding
    needs = NEEDS.get(finding.id, NEEDS_OF_FAMILY.get(finding.id.partition(".")[0]))
    if needs is None or finding.verdict == "not-applicable":
        return finding
    each = each_call(finding)
    missing = list(dict.fromkeys(why for part in each for why in _missing(evidence, part, needs)))
    if finding.verdict == "fail" and not needs.by_absence:
        return _without_guess(evidence, finding)
    if not missing:
        return finding
    more = f"; and so at {len(missing) - NAMED} more taps" if len(missing) > NAMED else ""
    why = "; ".join(missing[:NAMED]) + more
    observed = f"{finding.observed}; {why}" if finding.verdict == "not-shown" else why
    return replace(finding, verdict="not-shown", observed=observed, blame=None)


def _missing(evidence: RunEvidence, finding: Finding, needs: Needs) -> Iterable[str]:
    """What is missing, tap by tap."""
    frames = evidence.seen.frames
    for tap in needs.taps(evidence, finding):
        cut = frames.short(tap, needs.payload)
        if cut is not None:
            yield cut
        elif needs.by_address:
            continue
        elif (why := frames.unseen(tap)) is not None and _may_hide(evidence, finding, tap):
            yield why


def _may_hide(evidence: RunEvidence, finding: Finding, tap: str) -> bool:
    """Whether packets of a finding's subject may be among those that were not recognised at a tap: where
    taps behind it saw more of them, or, at the last one, the tap in front of it."""
    planned, counts = _planned(evidence, finding), _counts(evidence, finding)
    if not planned or not any(counts.values()):
        return True
    for leg, taps in planned.items():
        if tap in taps and counts[leg]:
            at = taps.index(tap)
            others = taps[at + 1 :] or taps[max(at - 1, 0) : at]
            if counts[leg].get(tap, 0) < max((counts[leg].get(other, 0) for other in others), default=0):
                return True
    return False


def _counts(evidence: RunEvidence, finding: Finding) -> dict[Leg, dict[str, int]]:
    """Packets of a finding's call direction, or of its endpoint's signalling, by leg and tap."""
    counts: dict[Leg, dict[str, int]] = {leg: {} for leg in LEGS}
    subject, _, rest = finding.subject.partition(":")
    direction = rest.partition(":")[0]
    call = next((c for c in evidence.run.calls if c.id == subject), None)
    if call is None:
        for leg, flow in evidence.signalling_flows.get(subject, []):
            counts[leg][flow.key.tap] = counts[leg].get(flow.key.tap, 0) + flow.packets * flow.key.loaded
        return counts
    wanted = [way for way in DIRECTIONS if way == direction] or DIRECTIONS[:1]
    streams = [stream for way in wanted if (stream := evidence.stream(call, way)) is not None]
    numbers = {evidence.seen.media.streams.index(stream) for stream in streams}
    for (number, _, _), hop in evidence.seen.media.hops.items():
        if number in numbers:
            counts[hop.leg][hop.tap] = hop.packets
    return counts


def _without_guess(evidence: RunEvidence, finding: Finding) -> Finding:
    """Without the device at fault, where the tap in front of the evidence could not tell whether it was right
    there."""
    planned = _planned(evidence, finding)
    before: Sequence[str] = []
    at = finding.evidence.tap
    for leg in planned:
        taps = planned[leg]
        if at in taps and finding.evidence.leg in (None, leg):
            before = [*before, *taps[max(taps.index(at) - 1, 0) : taps.index(at)]]
        elif at is None:
            before = [*before, *taps]
    for tap in before:
        why = evidence.seen.frames.short(tap, NEEDS[finding.id].payload) or evidence.seen.frames.unseen(tap)
        if finding.blame and why and _may_hide(evidence, finding, tap):
            observed = f"{finding.observed}; by whom is not shown: {why}"
            return replace(finding, observed=observed, blame=None)
    return finding
