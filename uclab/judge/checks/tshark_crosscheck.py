"""A second opinion on priority tags (`qos.dissector`, D5): tshark must read from packets what the columns
said of them."""

from __future__ import annotations

from uclab.capture.tags import Tags, dissect_tags
from uclab.capture.tshark import DissectionError
from uclab.capture.writer import PcapngWriter
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.wanted import NO_CALL, asked_for
from uclab.judge.evidence.scratch import scratch_file
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding

SAMPLE = 150
"""Media flows of which one packet is dissected, spread over all of them (pyshark reads some 900 packets a
second)."""


def check_dissector(evidence: RunEvidence) -> Finding:
    """Compares DSCP, 802.1p and VLAN of one packet of each of many media flows, at all kinds of taps."""
    expected = "tshark reads the same DSCP, priorities, VLANs and labels as the judge"
    claim = Claim("qos.dissector", ("D5",), "media packets", expected)
    flows = [flow for flow in evidence.flows if flow.frame]
    chosen = flows[:: max(-(-len(flows) // SAMPLE), 1)]
    if not chosen:
        asked = asked_for(evidence.run).calls
        return claim.not_shown("no media was seen") if asked else claim.not_applicable(NO_CALL)
    try:
        tags = _dissected(chosen)
    except DissectionError as error:
        return claim.not_shown(str(error))
    if len(tags) != len(chosen):
        return claim.not_shown(f"tshark read {len(tags)} of {len(chosen)} packets")
    for flow, tag in zip(chosen, tags, strict=True):
        key = flow.key
        fields = (key.dscp, key.pcp, key.vlan, key.service_pcp, key.service_vlan, key.label, key.tc)
        own = Tags(*map(_or_none, fields))
        if own != tag:
            return claim.failed(
                f"tshark reads {tag}, the judge {own}", Evidence(key.tap, tuple(flow.samples))
            )
    taps = {flow.key.tap for flow in chosen}
    return claim.passed(
        f"{len(tags)} packets at {len(taps)} taps agree", Evidence(chosen[0].key.tap, (chosen[0].samples[0],))
    )


def _dissected(flows: list[Flow]) -> list[Tags]:
    with scratch_file() as extract:
        with PcapngWriter(extract, ["media"]) as writer:
            for flow in flows:
                writer.write(0, flow.first_ns, flow.frame)
        return dissect_tags(extract)


def _or_none(value: int) -> int | None:
    return value if value >= 0 else None


CHECKS.declare(
    "dissector",
    Check(
        WITH_CALLS,
        lambda run: [check_dissector(run.evidence)],
        (
            FindingKind(
                "qos.dissector",
                ("D5",),
                "tshark, through pyshark, reads the same DSCP, 802.1p and VLAN from one packet each "
                "of up to 150 media flows as the judge did",
            ),
        ),
    ),
)
