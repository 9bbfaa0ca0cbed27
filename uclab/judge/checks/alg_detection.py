"""Whether any device on the way changes what is said (`signalling.untouched`): a SIP gateway (ALG) rewrites
messages, and breaks those that it cannot read.

Every TCP segment with payload on the ports of SIP is compared at all taps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.segments import SegmentKey
from uclab.judge.path.hop_trace import blame_between
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint

EXPECTED = "signalling arrives byte for byte as it was sent"


def check_untouched(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding an endpoint: its own segments, and those that were sent to it."""
    by_tap: dict[str, list[SegmentKey]] = {}
    for key, taps in evidence.seen.segments.seen.items():
        for tap in taps:
            by_tap.setdefault(tap, []).append(key)
    for endpoint in evidence.network.site_endpoints:
        yield _finding(evidence, endpoint, by_tap.get(evidence.network.first_tap.get(endpoint.name, ""), []))


def _finding(evidence: RunEvidence, endpoint: Endpoint, keys: Sequence[SegmentKey]) -> Finding:
    claim = Claim("signalling.untouched", ("C9", "N2"), endpoint.name, EXPECTED)
    path = evidence.network.path_of.get(endpoint.name)
    planned = [hop.tap for hop in path.hops] if path is not None else []
    changed: list[tuple[str, str, int]] = []
    compared = 0
    for key in keys:
        seen = evidence.seen.segments.seen[key]
        taps = [tap for tap in (planned if key[0] == "up" else reversed(planned)) if tap in seen]
        compared += len(taps) > 1
        for before, tap in pairwise(taps):
            if seen[before][0] != seen[tap][0]:
                changed.append((before, tap, seen[tap][1]))
                break
    if changed:
        before, tap, _ = changed[0]
        share = f"{len(changed)} of {compared} segments"
        observed = f"{share} were changed: as sent up to {before}, changed at {tap}"
        numbers = tuple(n for _, changed_at, n in changed if changed_at == tap)[:3]
        blame = blame_between(evidence.network, before, tap)
        return claim.failed(observed, Evidence(tap, numbers), blame)
    if not compared:
        return claim.not_shown("no signalling was seen at two taps")
    return claim.passed(f"{compared} segments", Evidence(planned[-1]))


CHECKS.declare(
    "untouched",
    Check(
        WITH_CALLS,
        lambda run: check_untouched(run.evidence),
        (
            FindingKind(
                "signalling.untouched",
                ("C9", "N2"),
                "each TCP segment of signalling has the same bytes at every tap, told apart by "
                "sequence number and length, which survive NAT; else the device between is named: a "
                "SIP ALG that rewrites",
            ),
        ),
    ),
)
