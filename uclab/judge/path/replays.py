"""Whether somebody who kept packets of a call sends them again (`media.injected`, C7).

SRTP drops them at their end (RFC 3711 section 3.3.2), but a relay may take them for a sign of life. A packet
that comes twice at once is none of this: that is what a switch or a line does.
"""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Hop
from uclab.judge.path.hop_trace import blame_between, order_hops
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint

EXPECTED = "each packet of media is sent once"


def check_replayed(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each direction of a call of which packets passed a second time, much later."""
    for call, direction, sender, receiver in evidence.call_directions():
        stream = evidence.stream(call, direction)
        if stream is None:
            continue
        number = evidence.seen.media.streams.index(stream)
        hops = [
            hop for (stream_number, _, _), hop in evidence.seen.media.hops.items() if stream_number == number
        ]
        if any(hop.replayed for hop in hops):
            claim = Claim("media.injected", ("C7",), f"{call.id}:{direction}", EXPECTED)
            yield _replayed(evidence, claim, hops, sender, receiver)


def _replayed(
    evidence: RunEvidence, claim: Claim, hops: list[Hop], sender: Endpoint, receiver: Endpoint
) -> Finding:
    before = None
    ordered = order_hops(evidence.network, hops, sender.name, receiver.name)
    for at in ordered:
        if at.replayed:
            once = f", each once at {before.tap}" if before is not None else ""
            observed = f"{at.replayed} packets a second time at {at.tap}, at least half a second later{once}"
            blame = blame_between(evidence.network, before.tap if before else None, at.tap)
            return claim.failed(observed, Evidence(at.tap, leg=at.leg), blame)
        before = at
    raise AssertionError("no hop of those that were looked at has a packet twice")
