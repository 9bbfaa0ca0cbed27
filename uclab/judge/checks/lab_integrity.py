"""The lab itself: nothing in it but its own addresses (`lab.isolation`), every process alive to the end
(`lab.alive`), captures that saw everything (`capture.complete`), and nothing in them that is not understood
(`capture.understood`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from uclab.capture.headers import IPV4
from uclab.judge.check import CHECKS, EVERY_RUN, Check, FindingKind
from uclab.judge.evidence.life import clock, was_taken_down
from uclab.judge.evidence.network import PlannedNetwork, text
from uclab.judge.measure.frame_coverage import PARTS
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.records.run import Event

NAMED = 5
"""Taps that an observation lists at most."""
HARMLESS = ("0.0.0.0/32", "255.255.255.255/32", "224.0.0.0/4", "169.254.0.0/16")
"""Unspecified, broadcast, multicast and link-local addresses (RFC 6890): never routed."""


def known_prefixes(network: PlannedNetwork) -> list[ipaddress.IPv4Network]:
    """Every prefix that the plan uses."""
    plan = network.plan
    nets = [ipaddress.IPv4Interface(a).network for n in plan.nodes for i in n.interfaces for a in i.addresses]
    nets += [ipaddress.IPv4Network(vlan.subnet) for vlan in plan.vlans]
    own = [prefix for n in plan.nodes if n.routing is not None for prefix in n.routing.networks]
    nets += [net for net in map(ipaddress.IPv4Network, own) if net.prefixlen]
    nets += [ipaddress.IPv4Network(prefix) for prefix in (*plan.policy.cloud_prefixes, *HARMLESS)]
    return list(ipaddress.collapse_addresses(nets))


def check_isolation(evidence: RunEvidence) -> Finding:
    """Every address seen belongs to the plan: nothing from outside came in, nothing was on its way out."""
    nets = [(int(net.network_address), int(net.netmask)) for net in known_prefixes(evidence.network)]
    claim = Claim("lab.isolation", ("D1",), "addresses", "only addresses of the plan")
    checked: dict[int, bool] = {}
    for flow in evidence.flows:
        if flow.key.ethertype != IPV4:
            continue
        for address in (flow.key.src, flow.key.dst):
            if address not in checked:
                checked[address] = any(address & mask == net for net, mask in nets)
            if not checked[address]:
                observed = f"{text(flow.key.src)} to {text(flow.key.dst)}"
                blame = evidence.network.node_of_mac.get(flow.key.src_mac)
                return claim.failed(observed, Evidence(flow.key.tap, tuple(flow.samples)), blame)
    if not checked:
        return claim.not_shown("no address was seen")
    return claim.passed(f"{len(checked)} addresses, all known")


def check_alive(evidence: RunEvidence) -> Iterator[Finding]:
    """No device's program and no service ended unexpectedly; what a lab with a dead part shows is not the
    network."""
    claim = Claim("lab.alive", ("D3", "D4"), "processes", "every program runs until the lab is taken down")
    died = [event for event in evidence.run.events if event.kind == "process-died"]
    ended = was_taken_down(evidence.run.events)
    for event in died:
        ending = event.detail.splitlines()[0] if event.detail else "ended unexpectedly"
        observed = f"{ending}; {_when(evidence, event)}, {_back(evidence, event)}"
        source_claim = Claim(claim.id, claim.requirement, event.source, claim.expected)
        yield source_claim.failed(observed, Evidence(text=event.detail[-600:]), event.source)
    if not any(event.source == "lab" and event.kind == "up" for event in evidence.run.events):
        yield claim.not_shown("the lab never reported that it was up")
    elif not ended:
        yield _without_end(evidence, claim)
    elif not died:
        yield claim.passed("none ended unexpectedly")


BACK = ("restarted", "given-up")


def _when(evidence: RunEvidence, death: Event) -> str:
    """When it died, as people look for it: since the lab was up."""
    up = next((e.time for e in evidence.run.events if e.source == "lab" and e.kind == "up"), None)
    return "while the lab came up" if up is None or death.time < up else f"{death.time - up:.1f} s after `up`"


def _back(evidence: RunEvidence, death: Event) -> str:
    """How long until it ran again. A router's programs come back together, under the router's name."""
    later = [
        event
        for event in evidence.run.events
        if event.kind in BACK
        and event.time >= death.time
        and (event.source == death.source or death.source.startswith(f"{event.source}-"))
    ]
    if not later:
        return "not back until the end"
    if later[0].kind == "given-up":
        return f"not back: {later[0].detail}"
    return f"back {later[0].time - death.time:.1f} s later ({later[0].detail.partition(', ')[2]})"


def _without_end(evidence: RunEvidence, claim: Claim) -> Finding:
    """A lab that never said that it ends was killed as a whole, its supervisor with it, unless it still
    runs."""
    seen = [state.last_ns / 1e9 for state in evidence.seen.taps.values()]
    last = clock(max([*seen, *(event.time for event in evidence.run.events)]))
    if evidence.run.alive:
        return claim.not_shown(f"the lab still runs; judged up to {last}")
    short = "events.jsonl" in evidence.run.cut or "events.jsonl" in evidence.run.shorter
    if short and evidence.run.lab_end is not None:
        return claim.not_shown("the lab ended in order, but events.jsonl is incomplete")
    return claim.failed(f"the lab was killed at {last}: nobody took it down", blame="lab")


def check_captures(evidence: RunEvidence) -> Iterator[Finding]:
    """All taps of the plan were there, no packet was dropped by a capture, every file could be read to its
    end."""
    taps = evidence.seen.taps
    missing = [
        tap.label
        for tap in evidence.network.plan.taps
        if tap.label not in taps and tap.label not in evidence.seen.misnamed
    ]
    uncounted = [label for label, state in sorted(taps.items()) if state.dropped is None]
    dropping = [(label, state.dropped) for label, state in sorted(taps.items()) if state.dropped]
    if missing:
        total = len(evidence.network.plan.taps)
        observed = f"{len(missing)} of {total} taps are missing: {', '.join(missing[:5])}"
        yield _capture_claim("taps").not_shown(observed)
    for name, reason in sorted(evidence.seen.damaged.items()):
        cause = _cause(evidence, name)
        proof = Evidence(text=cause)
        yield _capture_claim(name).not_shown(f"{reason}; {cause}" if cause else reason, proof)
    for label, dropped in dropping:
        yield _capture_claim(label).not_shown(f"{dropped} packets dropped by the capture", Evidence(label))
    if uncounted:
        observed = f"no drop counter for {len(uncounted)} taps: {', '.join(uncounted[:5])}"
        yield _capture_claim("drop counters").not_shown(observed)
    misplaced = _misplaced(evidence)
    for name, observed in misplaced:
        yield _capture_claim(name).not_shown(observed)
    holes = evidence.windows.incomplete()
    for subject, reason in holes:
        yield _capture_claim(subject).not_shown(reason)
    cut = list(dict.fromkeys(tap for tap, _ in evidence.seen.frames.cut))
    if cut:
        short = [evidence.seen.frames.short(tap, PARTS) for tap in cut[:NAMED]]
        more = f"; and at {len(cut) - NAMED} more taps" if len(cut) > NAMED else ""
        observed = "; ".join(filter(None, short)) + more
        yield _capture_claim("packets").not_shown(observed, Evidence(cut[0]))
    if taps and not (missing or evidence.seen.damaged or dropping or uncounted or misplaced or holes or cut):
        observed = f"{len(taps)} taps, {evidence.seen.packets} packets, none dropped"
        yield _capture_claim("taps").passed(observed)


def _misplaced(evidence: RunEvidence) -> list[tuple[str, str]]:
    """Captures that hold other taps than those of the namespace whose name they have: what is in them belongs
    elsewhere, or is not what it says."""
    found = []
    for name, labels in sorted(evidence.seen.files.items()):
        known = [label for label in labels if label in evidence.network.taps]
        others = sorted(
            {
                evidence.network.taps[label].namespace
                for label in known
                if not _stands_in(evidence, label, name)
            }
        )
        if others:
            found.append((name, f"it holds taps of {', '.join(others)}"))
    return found


def _stands_in(evidence: RunEvidence, tap: str, name: str) -> bool:
    """Whether a capture file is where a tap belongs: its namespace's, or its card's switch's."""
    file = evidence.run.file_of(tap)
    return name == (file.name if file is not None else f"{evidence.network.taps[tap].namespace}.pcapng")


def _cause(evidence: RunEvidence, file: str) -> str:
    """Why a capture ended before its time, as the lab noted it: a full disk, dumpcap's own last words, or
    the end of the lab; empty where it noted nothing."""
    program = f"taps-{file.removesuffix('.pcapng')}"
    for event in evidence.run.events:
        if event.kind == "disk-full":
            return f"{clock(event.time)}: {event.detail}"
        if event.kind == "process-died" and event.source == program:
            first, *last = event.detail.splitlines() or [""]
            complaints = [line for line in last if not line.startswith("Packets ")]  # its counters
            return f"{clock(event.time)}: {' '.join(complaints) or first}"
    killed = not was_taken_down(evidence.run.events) and not evidence.run.alive
    return "the lab was killed" if killed else ""


def _capture_claim(subject: str) -> Claim:
    return Claim("capture.complete", ("D5",), subject, "every tap captured, no packet dropped or cut")


def check_understood(evidence: RunEvidence) -> Iterator[Finding]:
    """Every frame is of a kind that is read, or holds nothing that a check could look for; one finding for
    each kind that is not."""
    expected = "every frame is of a kind that the judge decodes"
    frames = evidence.seen.frames
    kinds = {kind for unread_kinds in frames.unread.values() for kind in unread_kinds}
    for kind in sorted(kinds):
        taps = sorted(
            (tap for tap, unread_kinds in frames.unread.items() if kind in unread_kinds),
            key=lambda tap: frames.unread[tap][kind].first_ns,
        )
        where = ", ".join(f"{frames.unread[tap][kind].packets} at {tap}" for tap in taps[:NAMED])
        more = f" and {len(taps) - NAMED} more taps" if len(taps) > NAMED else ""
        proof = Evidence(taps[0], tuple(frames.unread[taps[0]][kind].samples))
        claim = Claim("capture.understood", ("D5",), kind, expected)
        yield claim.not_shown(
            f"frames {where}{more}: their payload was searched for cleartext, but not decoded", proof
        )
    if not kinds:
        claim = Claim("capture.understood", ("D5",), "frames", expected)
        count = sum(frames.packets.values())
        yield claim.passed(f"{count} frames") if count else claim.not_shown("no frame was seen")


CHECKS.declare(
    "isolation",
    Check(
        EVERY_RUN,
        lambda run: [check_isolation(run.evidence)],
        (
            FindingKind(
                "lab.isolation",
                ("D1",),
                "only addresses of the plan",
            ),
        ),
    ),
)


CHECKS.declare(
    "alive",
    Check(
        EVERY_RUN,
        lambda run: check_alive(run.evidence),
        (
            FindingKind(
                "lab.alive",
                ("D3", "D4"),
                "no device's program and no service ended unexpectedly, even where it was restarted "
                "as the policy says (what died, when, and how long until it was back), and the lab "
                "was taken down: a killed lab fails, with the time of its last packet or event; for "
                "one that still runs it is not shown",
            ),
        ),
    ),
)


CHECKS.declare(
    "captures",
    Check(
        EVERY_RUN,
        lambda run: check_captures(run.evidence),
        (
            FindingKind(
                "capture.complete",
                ("D5",),
                "every tap of the plan was captured from beginning to end, no packet dropped or cut, "
                "every file closed, no two taps swapped, all clocks in step; else not everything was "
                "shown: from when to when, and why, where the lab noted it (a full disk, dumpcap's "
                "last messages)",
            ),
        ),
    ),
)


CHECKS.declare(
    "understood",
    Check(
        EVERY_RUN,
        lambda run: check_understood(run.evidence),
        (
            FindingKind(
                "capture.understood",
                ("D5",),
                "every frame is of a kind that the judge decodes, or contains nothing that a check "
                "looks for; else each kind is named, with the taps where it was seen",
            ),
        ),
    ),
)
