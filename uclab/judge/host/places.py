"""Where the lab's programs stand that a finding has to do with, and when: by network namespace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uclab.judge.evidence.host_pressure import Starved
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord

LONG_S = 1.0
"""Less cannot bring registrations, calls and failovers to miss limits that are seconds."""


def longest(found: Sequence[Starved], least_s: float = 0.0) -> Starved | None:
    """The program that waited longest, if it waited for so long."""
    return found[0] if found and found[0].waited_s >= least_s else None


def spaces_of(network: PlannedNetwork, device: str) -> set[str]:
    """The network namespaces in which a device's programs run: its own, and its switches' engines."""
    engines = {
        switch.engine
        for switch in network.plan.switches
        if device in (switch.name, network.owner(switch.name))
    }
    return {device, *engines, *(e.node for e in network.endpoints if e.name == device)}


def way_of(evidence: RunEvidence, endpoints: Iterable[Endpoint]) -> set[str]:
    """The namespaces that the media of these endpoints passes, and the session controllers'."""
    paths = [path for e in endpoints if (path := evidence.network.path_of.get(e.name)) is not None]
    taps = [evidence.network.taps.get(hop.tap) for path in paths for hop in path.hops]
    return {t.namespace for t in taps if t is not None} | {
        c.node for c in evidence.network.plan.session_controllers
    }


def call_of(evidence: RunEvidence, name: str) -> CallRecord | None:
    """The call of that id."""
    return next((call for call in evidence.run.calls if call.id == name), None)


def call_time_s(call: CallRecord) -> tuple[float, float]:
    """From its answer to its end, in seconds since the epoch."""
    begin = call.answered_at or call.started_at
    return begin, call.ended_at if call.ended_at is not None else begin + LONG_S


def party_of(evidence: RunEvidence, name: str) -> Endpoint | None:
    """Who is meant by a name, a number or an account."""
    wanted = evidence.network.endpoint_called(name)
    return next((endpoint for endpoint in evidence.network.endpoints if endpoint.name == wanted), None)


def lab_time_s(evidence: RunEvidence) -> tuple[float, float]:
    """From the first look at the machine to the last."""
    samples = evidence.host.samples
    return (samples[0].begin, samples[-1].end) if samples else (0.0, 0.0)
