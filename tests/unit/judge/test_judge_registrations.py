"""Registration is a state over the whole run: who lost it is named, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from uclab.capture.sip import Flow, SipMessage
from uclab.judge.checks.registrations import presences
from uclab.judge.checks.signalling import check_registered
from uclab.judge.evidence.run import Run
from uclab.judge.judging import build_evidence
from uclab.judge.measure.flows import FlowTable
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import FailoverLimits, Plan
from uclab.records.run import Event, Incident

UP, DOWN = 100.0, 200.0
PORTS = {"desk1": 40001, "desk2": 40002}
LAB = (Event(UP, "lab", "up"), Event(DOWN, "lab", "going-down"))
REGISTERED = tuple(Event(95.0, phone, "registered", "200 OK (sip.ucaas.test)") for phone in PORTS)
LIMITS = FailoverLimits(1000, 1000, 5000, 1000, 10.0, 8, 120)


@cache
def plan() -> Plan:
    whole = reference_plan(*PORTS)
    return replace(whole, policy=replace(whole.policy, failover=LIMITS))


def registers(phone: str, at: float, expires_s: int | None = 300, status: int | None = 200) -> SipMessage:
    """A 200 OK to REGISTER as the session controller's tap shows it, or the request."""
    controller = plan().session_controllers[0].address
    there, here = (controller, 5096), ("203.0.113.2", PORTS[phone])
    src, dst = (here, there) if status is None else (there, here)
    start = "REGISTER sip:ucaas.test SIP/2.0" if status is None else f"SIP/2.0 {status} OK"
    call_id, cseq = f"r-{phone}", f"{at:.0f} REGISTER"
    return SipMessage(Flow(1, at, *src, *dst), start, call_id, cseq, "1", "1", expires_s=expires_s)


def findings(
    events: Sequence[Event] = (), messages: Sequence[SipMessage] = (), incidents: Sequence[Incident] = ()
) -> dict[str, Finding]:
    told = tuple(sorted((*LAB, *REGISTERED, *events), key=lambda event: event.time))
    run = Run(plan(), Path(), events=told, incidents=tuple(incidents))
    evidence: RunEvidence = build_evidence(run)
    flows = FlowTable()
    tap = evidence.network.controller_taps[0]
    for number, (phone, port) in enumerate(PORTS.items()):
        own = evidence.network.first_tap[phone]
        flows.opened += [(own, 0, port, 0, 5096, number), (tap, 0xCB007102, port, 0, 5096, number)]
    evidence = replace(
        evidence,
        seen=replace(evidence.seen, flows=flows),
        signalling=replace(evidence.signalling, messages=tuple(messages)),
    )
    known = presences(evidence)
    phones = [one for one in evidence.network.site_endpoints if one.name in PORTS]
    return {one.name: check_registered(evidence, one, known) for one in phones}


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.verdict for name, one in found.items()}


@pytest.mark.req("C1.1")
def test_who_stays_registered_passes() -> None:
    found = findings(messages=[registers("desk1", 95.1), registers("desk2", 95.1)])
    assert verdicts(found) == {"desk1": "pass", "desk2": "pass"}
    assert found["desk1"].observed == "200 OK to REGISTER, since 00:01:35.0"


@pytest.mark.req("C1.1")
def test_who_loses_it_and_never_comes_back_is_named_with_the_time() -> None:
    # given a phone whose connection fails for good, half a minute before the end
    found = findings([Event(170.0, "desk1", "flow-failed", "sip.ucaas.test: connection reset")])
    # then it is named, since when, and the one that kept its own is not
    assert verdicts(found) == {"desk1": "fail", "desk2": "pass"}
    assert (
        "lost at 00:02:50.0 (flow-failed: sip.ucaas.test: connection reset), never back"
        in found["desk1"].observed
    )
    assert "for the last 30.0 s" in found["desk1"].observed
    assert found["desk1"].blame == "desk1"


@pytest.mark.req("C1.1")
def test_where_all_lose_it_at_once_no_phone_is_blamed() -> None:
    found = findings([Event(170.0, phone, "flow-failed", "reset") for phone in PORTS])
    assert verdicts(found) == {"desk1": "fail", "desk2": "fail"}
    assert found["desk1"].blame is None


@pytest.mark.req("C1.1")
def test_who_comes_back_unasked_has_a_gap_that_is_said() -> None:
    lost = Event(130.0, "desk1", "registration-failed", "no answer")
    found = findings([lost, Event(160.0, "desk1", "registered", "200 OK (sip.ucaas.test)")])
    assert found["desk1"].verdict == "fail"
    assert found["desk1"].observed.endswith("back after 30.0 s")


@pytest.mark.req("C1.1")
def test_a_registration_that_runs_out_is_lost_although_the_phone_does_not_say_so() -> None:
    found = findings(messages=[registers("desk1", 95.0, expires_s=60), registers("desk2", 95.0)])
    assert verdicts(found) == {"desk1": "fail", "desk2": "pass"}
    assert "it expired and was not renewed" in found["desk1"].observed


@pytest.mark.req("C1.1")
def test_a_registration_that_is_renewed_in_time_goes_on() -> None:
    renewals = [registers("desk1", at, expires_s=60) for at in (95.0, 140.0, 190.0)]
    assert findings(messages=[*renewals, registers("desk2", 95.0)])["desk1"].verdict == "pass"


@pytest.mark.req("C1.1")
def test_a_registration_that_is_taken_back_is_lost() -> None:
    messages = [
        registers("desk1", 95.0),
        registers("desk1", 150.0, expires_s=0, status=None),
        registers("desk1", 150.0, expires_s=None),
        registers("desk2", 95.0),
    ]
    assert "taken back" in findings(messages=messages)["desk1"].observed


@pytest.mark.req("C1.1")
def test_what_the_captures_do_not_show_of_the_endpoints_word_is_said() -> None:
    again = Event(150.0, "desk1", "registered", "200 OK (sip.ucaas.test)")
    found = findings([again], [registers("desk1", 95.0), registers("desk2", 95.0)])
    assert "reported 1 registrations that the captures do not show" in found["desk1"].observed


def incident(failed_at: float, healed_at: float) -> Incident:
    return Incident(
        "circuit-down", "x", ("x",), "cut", True, 1, failed_at, healed_at, healed_at + 8, (), 1, 1
    )


def lost_and_back(lost: float, back: float | None) -> list[Event]:
    events = [Event(lost, "desk1", "flow-failed", "sip.ucaas.test: silent")]
    return events + ([Event(back, "desk1", "registered", "200 OK (sip.ucaas.test)")] if back else [])


@pytest.mark.req("C1.1", "V2")
@pytest.mark.parametrize(
    ("lost", "back", "verdict"),
    [
        (125.0, 130.0, "pass"),  # back while it is broken: another way was found
        (125.0, 140.0, "pass"),  # back soon after restoration
        (125.0, 175.0, "fail"),  # much later
        (125.0, None, "fail"),
        (110.0, 130.0, "fail"),  # lost before anything was broken
        (170.0, 172.0, "fail"),  # long after it was restored
    ],
)
def test_what_was_broken_on_purpose_explains_a_gap_within_the_policys_time(
    lost: float, back: float | None, verdict: str
) -> None:
    assert findings(lost_and_back(lost, back), incidents=[incident(120.0, 132.0)])["desk1"].verdict == verdict


@pytest.mark.req("C1.1", "V2")
def test_what_was_failed_by_hand_explains_a_gap_too() -> None:
    broken = [
        Event(120.0, "edge", "failed-on-purpose", links=("edge-isp1", "edge-isp2")),
        Event(132.0, "edge-isp1", "healed", links=("edge-isp1",)),
        Event(132.5, "edge-isp2", "healed", links=("edge-isp2",)),
    ]
    assert findings([*broken, *lost_and_back(125.0, 138.0)])["desk1"].verdict == "pass"
    assert findings([*broken, *lost_and_back(125.0, 180.0)])["desk1"].verdict == "fail"
