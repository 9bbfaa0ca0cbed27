"""BGP and BFD on private circuits, from the captures (P1 to P4): each side announces what it should and no
more (`peering.prefixes`), the cloud takes no more than it should (`peering.accepted`), and the sessions are
what was agreed (`peering.session`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.capture.routing import BfdControl, BgpOpen, BgpUpdate, Message, routing_messages
from uclab.capture.tshark import DissectionError
from uclab.judge.check import CHECKS, REFERENCE, Check, FindingKind
from uclab.judge.evidence.run import Run
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.resolve.circuits import BORDER
from uclab.plan.resolve.lines import WanLine, wan_lines
from uclab.plan.schema.plan import Link, LinkEnd, Node, NodeKind, Plan
from uclab.plan.schema.routing import BgpNeighbour, Routing
from uclab.plan.wan.bgp_routes import allows

Said = tuple[Message, ...]


@dataclass(frozen=True)
class _Side:
    """A router at one end of a session, as the plan has it."""

    node: Node
    routing: Routing
    address: str
    session: BgpNeighbour
    """With the other one."""


def check_peering(evidence: RunEvidence) -> Iterator[Finding]:
    """All private circuits of the plan, then what the peering routers pass on into the cloud."""
    plan = evidence.network.plan
    for line in wan_lines(plan):
        sides = _sides(plan, line.near, line.far) if line.private else None
        if sides is None:
            continue
        tap, vlan = _tagged_tap(plan, line)
        said, gap = _heard(evidence.run, tap)
        for one, other in (sides, sides[::-1]):
            yield _prefixes(one, other, tap, said, gap)
            yield _session(one, other, tap, vlan, said, gap)
    for node in plan.nodes:
        if node.kind is NodeKind.CLOUD_ROUTER and _customers(plan, node):
            yield _accepted(evidence, node)


def _prefixes(one: _Side, other: _Side, tap: str, said: Said, gap: str | None) -> Finding:
    rules = one.session.announce
    expected = f"announces {', '.join(rule.prefix for rule in rules) or 'nothing'} and nothing else"
    claim = Claim("peering.prefixes", ("P3",), f"{one.node.name} → {other.node.name}", expected)
    updates = _updates(said, one.address)
    for update in updates:
        for prefix in update.announced:
            if not allows(rules, prefix):
                return claim.failed(f"announced {prefix}", Evidence(tap, (update.at.packet,)), one.node.name)
    announced = {prefix for update in updates for prefix in update.announced}
    if not announced:
        return claim.not_shown(gap or f"no announcement of it was seen at {tap}")
    packets = tuple(update.at.packet for update in updates[:3])
    return claim.passed(f"announced {', '.join(sorted(announced))}", Evidence(tap, packets))


def _session(one: _Side, other: _Side, tap: str, vlan: int | None, said: Said, gap: str | None) -> Finding:
    bfd = one.session.bfd
    alive = f", alive every {bfd.interval_ms} ms x {bfd.multiplier} (BFD)" if bfd else ""
    tagged = f"VLAN {vlan}" if vlan is not None else "untagged"
    expected = f"BGP as AS {one.routing.asn}{alive}, {tagged} on the wire"
    claim = Claim("peering.session", ("P1", "P3"), f"{one.node.name} → {other.node.name}", expected)
    mine = [message for message in said if message.at.src == one.address]
    opens = [message for message in mine if isinstance(message, BgpOpen)]
    signs = [message for message in mine if isinstance(message, BfdControl)]
    agreed: list[BgpOpen | BfdControl] = [*opens, *signs]
    for message in agreed:
        if message.at.vlan != vlan:
            found = f"VLAN {message.at.vlan}" if message.at.vlan is not None else "no tag"
            return claim.failed(f"{found} at {tap}", Evidence(tap, (message.at.packet,)), one.node.name)
    for introduced in opens:
        if introduced.asn != one.routing.asn:
            proof = Evidence(tap, (introduced.at.packet,))
            return claim.failed(f"identifies itself as AS {introduced.asn}", proof, one.node.name)
    if not opens:
        return claim.not_shown(gap or f"it was not seen to open a session at {tap}")
    if bfd is None:
        return claim.passed(f"AS {opens[0].asn}", Evidence(tap, (opens[0].at.packet,)))
    if not signs:
        return claim.failed("no BFD was seen", Evidence(tap), one.node.name)
    last = signs[-1]
    observed = f"AS {opens[0].asn}, BFD every {last.interval_ms:g} ms x {last.multiplier}"
    proof = Evidence(tap, (opens[0].at.packet, last.at.packet))
    if (last.interval_ms, last.multiplier) != (bfd.interval_ms, bfd.multiplier):
        return claim.failed(observed, proof, one.node.name)
    return claim.passed(observed, proof)


def _accepted(evidence: RunEvidence, router: Node) -> Finding:
    """What a peering router tells the cloud: of its customers' announcements, those that it may take."""
    plan, tap = evidence.network.plan, f"{router.name}:{BORDER}"
    customers = _customers(plan, router)
    allowed = [rule for session in customers for rule in session.accept]
    expected = f"takes {', '.join(rule.prefix for rule in allowed) or 'nothing'} and nothing else"
    claim = Claim("peering.accepted", ("P3",), router.name, expected)
    own = next((i.addresses[0].partition("/")[0] for i in router.interfaces if i.name == BORDER), "")
    said, gap = _heard(evidence.run, tap)
    updates = _updates(said, own)
    for update in updates:
        for prefix in update.announced:
            if not allows(allowed, prefix):
                return claim.failed(f"passed {prefix} on", Evidence(tap, (update.at.packet,)), router.name)
    announced = {prefix for update in updates for prefix in update.announced}
    packets = tuple(update.at.packet for update in updates[:3])
    if announced:
        return claim.passed(f"passed {', '.join(sorted(announced))} on", Evidence(tap, packets))
    if said and not _preferred(router, customers):
        return claim.passed("passed nothing on: it prefers another data centre's path to each", Evidence(tap))
    return claim.not_shown(gap or f"nothing that it passed on was seen at {tap}")


def _preferred(router: Node, customers: Sequence[BgpNeighbour]) -> bool:
    """Whether a peering router itself leads to one of its customers, when nothing has failed: a way that it
    does not use it does not tell either (RFC 4271 section 9.1.3)."""
    own = {session.address for session in customers}
    learned = router.routing.learned if router.routing is not None else ()
    return any(route.via in own for route in learned)


def _customers(plan: Plan, router: Node) -> list[BgpNeighbour]:
    """A cloud router's sessions with customers."""
    routing = router.routing
    if routing is None or all(interface.name != BORDER for interface in router.interfaces):
        return []
    return [session for session in routing.neighbours if session.asn != routing.asn]


def _updates(said: Said, address: str) -> list[BgpUpdate]:
    return [m for m in said if isinstance(m, BgpUpdate) and m.at.src == address]


def _heard(run: Run, tap: str) -> tuple[Said, str | None]:
    """What was said at a tap, and why it is nothing, if so."""
    source = run.file_of(tap)
    if source is None:
        return (), f"there is no capture of {tap}"
    try:
        return routing_messages(source, lambda name: run.label(source.stem, name) == tap), None
    except DissectionError as error:
        return (), str(error)


def _sides(plan: Plan, near: LinkEnd, far: LinkEnd) -> tuple[_Side, _Side] | None:
    """The routers at both ends; None where they do not speak BGP with each other."""
    ends = [plan.node(near.device), plan.node(far.device)]
    addresses = [
        node.interface(end.interface).addresses[0].partition("/")[0]
        for node, end in zip(ends, (near, far), strict=True)
    ]
    found = []
    for node, address, peer in zip(ends, addresses, reversed(addresses), strict=True):
        sessions = node.routing.neighbours if node.routing is not None else ()
        session = next((s for s in sessions if s.address == peer), None)
        if node.routing is None or session is None:
            return None
        found.append(_Side(node, node.routing, address, session))
    return found[0], found[1]


def _tagged_tap(plan: Plan, line: WanLine) -> tuple[str, int | None]:
    """The tap at the near end of a circuit's cable, where frames carry its VLAN tag, and that tag."""
    link = next(link for link in plan.links if link.name == line.link)
    labels = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    end = _near_end(plan.links, link, line.near)
    ports = {(switch.name, p.interface): p for switch in plan.switches for p in switch.ports}
    tagged = ports[end.device, end.interface].tagged if (end.device, end.interface) in ports else ()
    return labels[end.device, end.interface], tagged[0] if tagged else None


def _near_end(links: Sequence[Link], link: Link, near: LinkEnd) -> LinkEnd:
    """The end of a cable that is at the device which the router's own cable leads to."""
    own = next(cable for cable in links if near in (cable.a, cable.b))
    unit = own.b.device if own.a == near else own.a.device
    return link.a if link.a.device == unit else link.b


CHECKS.declare(
    "peering",
    Check(
        REFERENCE,
        lambda run: check_peering(run.evidence),
        (
            FindingKind(
                "peering.prefixes",
                ("P3",),
                "each side of a private circuit announces what the plan says and nothing else (BGP "
                "updates at the circuit's own tap)",
            ),
            FindingKind(
                "peering.accepted",
                ("P3",),
                "a peering router advertises into the cloud what it may accept from its customers and "
                "nothing else",
            ),
            FindingKind(
                "peering.session",
                ("P1", "P3"),
                "BGP with the right AS numbers, BFD with the policy's interval, tagged with the "
                "circuit's VLAN",
            ),
        ),
    ),
)
