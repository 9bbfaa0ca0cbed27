"""A judgement with something of everything, for tests of what reports make of it."""

from __future__ import annotations

from dataclasses import replace

from testbed.plans import shipped_plan
from uclab.judge.result.interference import Interference
from uclab.judge.result.judgement import Evidence, Finding, Judgement
from uclab.judge.result.media import HopRecord, JudgedCall, Ladder, LadderMessage, MediaQuality, Series, Walk

REPORT_PLAN = shipped_plan("small-office")
QUALITY = MediaQuality(
    packets=250, lost=1, loss_pct=0.4, jitter_ms=0.9, delay_ms=21.5, max_gap_ms=40.0, r_factor=92.0, mos=4.38
)
HELD = Finding("media.srtp", ("C9",), "desk1 → desk2", "SRTP", "SRTP, 250 packets authenticated", "pass")
BROKEN = Finding(
    "qos.dscp", ("C8", "Q1"), "call desk-desk caller_to_callee", "EF <everywhere>", "DSCP 0 after edge",
    "fail",
    Evidence("edge:wan1", (17, 18), "46 before"), blame="edge",
)  # fmt: skip
UNSEEN = replace(HELD, subject="soft1 → pstn", observed="no media seen", verdict="not-shown")


def report_judgement() -> Judgement:
    """One call, hop by hop, with its ladder and plots; findings of every verdict; a lab that was changed."""
    call = JudgedCall("c1", "desk1", "desk2", "desk-desk", True, 212.0, 5.0, QUALITY, None)
    hops = (HopRecord("desk1:eth0", 46, None, None, 0.0, 250, 0), HopRecord("sw1:1", 46, 5, 10, 80.0, 250, 0))
    messages = (
        LadderMessage(1.0, "desk1", "fra1-sbc", "INVITE sip:102@ucaas.test"),
        LadderMessage(1.1, "fra1-sbc", "desk2", "INVITE sip:102@ucaas.test"),
        LadderMessage(1.2, "desk2", "fra1-sbc", "200 OK (INVITE)"),
    )
    series = (
        Series("delay_ms", "c1:caller_to_callee", "", 1.0, 1.0, (21.0, None, 22.0)),
        Series("kbps", "edge:wan1", "EF", 1.0, 1.0, (80.0, 91.0), "out"),
    )
    heard = Finding("audio.heard", ("D3",), "c1", "desk1 calls desk2: both are heard", "both", "pass")
    other = replace(heard, subject="c2", expected="desk2 calls soft1: both are heard")
    unasked = Finding(
        "qos.trust", ("C8",), "PCs", "PCs are not trusted", "no PC sent anything", "not-applicable"
    )
    return Judgement(
        (HELD, BROKEN, UNSEEN, heard, other, unasked),
        (call,),
        (Walk("c1", "caller_to_callee", hops),),
        series,
        (Ladder("c1", messages),),
        interferences=(
            Interference(0.5, "fault", "dscp-cleared", ""),
            Interference(2.0, "command", "fw", "nft flush ruleset"),
        ),
    )
