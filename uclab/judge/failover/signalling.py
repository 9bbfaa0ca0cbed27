"""Signalling through an incident: new addresses, new registrations, requests within dialogs, ends of calls
(V2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from uclab.capture.dissect import SipMessage
from uclab.judge.evidence.network import text
from uclab.judge.failover.media import END_NS, ns, streams_of
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.incidents import Registration
from uclab.records.run import CallRecord, Direction, Incident

OUTSIDE_DIALOGS = ("ACK", "BYE", "CANCEL", "PRACK")
"""Requests that say nothing of a dialog's life: without answer of their own, or its end."""
MEDIA_CHANGES = ("INVITE", "UPDATE")
END_S = 0.2
"""A call that ends so shortly before the watch does was not dropped."""


@dataclass(frozen=True)
class Addresses:
    """Where the cloud sees one direction of a call come from, or where it sends it to."""

    before: str
    """The last that came up before the failure."""
    new: tuple[str, ...]
    """Others that came up between failure and restoration."""
    at_end: tuple[str, ...]
    """Those in use at the end of the watch."""
    kept_on: bool
    """The old one was still in use a second after the failure."""


def addresses(
    evidence: RunEvidence, incident: Incident, call: CallRecord, direction: Direction
) -> Addresses | None:
    """The far addresses of a direction's media at the session controllers: of its sender where that is at a
    site, else of its receiver. None where no media was seen there before the failure."""
    at_sites = {endpoint.name for endpoint in evidence.network.site_endpoints}
    sender = evidence.network.endpoint_called(call.caller if direction == "caller_to_callee" else call.callee)
    leg = "up" if sender in at_sites else "down"
    seen: dict[int, tuple[int, int]] = {}
    for ssrc in {stream.ssrc for stream in streams_of(evidence, call, direction)}:
        for flow in evidence.media_flows.get(ssrc, []):
            if flow.key.tap in evidence.network.controller_taps and evidence.leg(flow) == leg:
                far = flow.key.src if leg == "up" else flow.key.dst
                first, last = seen.get(far, (flow.first_ns, flow.last_ns))
                seen[far] = min(first, flow.first_ns), max(last, flow.last_ns)
    failed, healed, ended = (ns(t) for t in (incident.failed_at, incident.healed_at, incident.ended_at))
    old = [far for far, (first, _) in seen.items() if first < failed]
    if not old:
        return None
    before = max(old, key=lambda far: seen[far][0])
    new = sorted((first, far) for far, (first, _) in seen.items() if failed <= first < healed)
    at_end = [far for far, (_, last) in seen.items() if last >= ended - END_NS]
    return Addresses(
        text(before),
        tuple(text(far) for _, far in new),
        tuple(map(text, at_end)),
        seen[before][1] > failed + END_NS,
    )


def answered_in_dialog(
    evidence: RunEvidence, call: CallRecord, since: float, until: float
) -> list[tuple[float, str]]:
    """Time and method of each request within the call's dialog that was answered in that time (2xx at the
    session controller), from or to a site's endpoint."""
    found = []
    opening = ""
    for message in evidence.signalling.messages:
        if message.call_id != call.sip_call_id or message.status is None or not 200 <= message.status < 300:
            continue
        if not opening and message.method == "INVITE":
            opening = message.cseq
        elif message.method in OUTSIDE_DIALOGS or message.cseq == opening:
            continue
        elif since <= message.at.time < until and _of_a_site(evidence, message):
            found.append((message.at.time, message.method))
    return found


def _of_a_site(evidence: RunEvidence, message: SipMessage) -> bool:
    at_sites = {endpoint.name for endpoint in evidence.network.site_endpoints}
    ends = ((message.at.src, message.at.sport), (message.at.dst, message.at.dport))
    return any(evidence.endpoint_at_controller(address, port) in at_sites for address, port in ends)


def hung_up(evidence: RunEvidence, incident: Incident, call: CallRecord) -> str | None:
    """Who said that the call had ended before the watch was over, and why; None where nobody did."""
    for event in evidence.run.events:
        of_this_call = bool(call.sip_call_id) and event.about == call.sip_call_id
        meanwhile = incident.failed_at <= event.time < incident.ended_at - END_S
        if event.kind == "call-closed" and of_this_call and meanwhile:
            reason = event.detail.removeprefix(call.sip_call_id or "").strip() or "no reason given"
            return f"{event.source} after {event.time - incident.failed_at:.1f} s: {reason}"
    return None


def registrations(
    evidence: RunEvidence, incident: Incident, sites: Collection[str]
) -> Iterator[Registration]:
    """The phones of these sites, each with the time of its new registration.

    It counts when the registrar answered 200 OK on a connection that was not there before the failure; where
    signalling could not be decrypted, the phone's own event must do.
    """
    ways = evidence.network.ways
    for endpoint in evidence.network.site_endpoints:
        if endpoint.registers and ways.site_of[endpoint.node] in sites:
            times = _new_registrations(evidence, incident, endpoint.name)
            first = next((t for t in times if t < incident.healed_at), None)
            back = next((t for t in times if incident.healed_at <= t < incident.ended_at), None)
            yield Registration(
                endpoint.name,
                None if first is None else round(first - incident.failed_at, 3),
                None if back is None else round(back - incident.healed_at, 3),
            )


def _new_registrations(evidence: RunEvidence, incident: Incident, phone: str) -> list[float]:
    answers = [
        message
        for message in evidence.signalling.messages
        if message.method == "REGISTER"
        and message.status == 200
        and evidence.endpoint_at_controller(message.at.dst, message.at.dport) == phone
    ]
    connections = {(m.at.src, m.at.dst, m.at.dport) for m in answers if m.at.time < incident.failed_at}
    new = []
    for message in answers:
        connection = (message.at.src, message.at.dst, message.at.dport)
        if message.at.time >= incident.failed_at and connection not in connections:
            connections.add(connection)
            new.append(message.at.time)
    if not evidence.signalling.messages:
        new = [e.time for e in evidence.run.events if e.source == phone and e.kind == "registered"]
    return sorted(t for t in new if t >= incident.failed_at)
