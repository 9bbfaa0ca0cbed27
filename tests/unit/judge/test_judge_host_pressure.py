"""What a busy machine explains, and what it does not: waits of a program explain what that program had to do
at that time, and no more harm than they can have done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.frames import Packet
from testbed.made_up_network import Leg
from testbed.plans import shipped_plan
from testbed.world import World
from uclab.judge.evidence.host_pressure import HostPressure
from uclab.judge.evidence.run import load_run
from uclab.judge.host.reasons import by_host
from uclab.judge.judging import build_evidence, judge
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import CallWindow
from uclab.judge.result.judgement import Finding, Judgement
from uclab.plan.capacity.experiment_record import Admission, MeasuringRecord
from uclab.plan.load.record import G711
from uclab.records.host_pressure import HostSample, LateLine, Waited
from uclab.records.run import Event, HeardAudio

SECONDS = 4


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunEvidence, Judgement]:
    """A call in which the router loses a quarter of what desk1 says, and desk1 does not hear desk2 in 42 % of
    the time although all of it arrives; nothing is known of the machine."""
    plan = shipped_plan("small-office")
    phones = tuple(e for e in plan.endpoints if e.name.startswith("desk"))
    world = World(tmp_path_factory.mktemp("run"), replace(plan, endpoints=phones, bulk=()))
    numbers = iter([True, False, False, False] * 1000)

    def lossy(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        gone = packet.dport == 20100 and tap == "edge:wan1" and leg == "up" and next(numbers)
        return None if gone else packet

    world.alter = lossy
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    call = world.call("desk1", "desk2", SECONDS)
    world.calls[0] = replace(call, callee_to_caller=HeardAudio(440, heard=False, level_db=-12.0, share=0.58))
    run = load_run(world.write())
    return build_evidence(run), judge(run)


def sampled(evidence: RunEvidence, *waited: Waited, later_s: float = 0.0) -> RunEvidence:
    """The evidence with looks at the machine: each program waited for so long in each second of the call."""
    begin = (evidence.run.calls[0].answered_at or 0.0) + later_s
    samples = tuple(
        HostSample(begin + second, begin + second + 1, 0.0, 0.0, 50.0, waited)
        for second in range(SECONDS + 1)
    )
    return replace(evidence, run=replace(evidence.run, pressure=samples))


def finding(judgement: Judgement, name: str, subject: str) -> Finding:
    (found,) = (f for f in judgement.findings if f.id == name and f.subject == subject)
    return found


@pytest.mark.req("C8", "D3")
def test_on_a_quiet_machine_a_fault_is_a_fault(judged: tuple[RunEvidence, Judgement]) -> None:
    evidence, judgement = judged
    for known in (evidence, sampled(evidence)):
        audio, quality = (
            finding(judgement, "audio.heard", "c1"),
            finding(judgement, "quality.voice", "c1:caller_to_callee"),
        )
        explained = by_host(known, (), (audio, quality))
        assert [(f.verdict, f.blame) for f in explained.findings] == [("fail", "desk1"), ("fail", "edge")]
        assert explained.sentence == ""


@pytest.mark.req("D3")
def test_a_phone_whose_program_was_starved_is_not_blamed_for_what_it_did_not_hear(
    judged: tuple[RunEvidence, Judgement],
) -> None:
    # given a machine that did not serve desk1's program in the call
    evidence, judgement = judged
    busy = sampled(evidence, Waited("desk1", "baresip", 420.0))
    # when what it did not hear is explained
    explained = by_host(busy, (), (finding(judgement, "audio.heard", "c1"),))
    # then it is not shown, with the figure and what would help
    (found,) = explained.findings
    assert (found.verdict, found.blame) == ("not-shown", None)
    assert "baresip of desk1 waited 1." in found.observed
    assert "run fewer labs at once" in found.observed
    assert explained.sentence.startswith("The machine was too busy: baresip of desk1 waited")
    assert "1 finding is not shown" in explained.sentence


@pytest.mark.req("D3")
@pytest.mark.parametrize(
    ("waited", "later_s"),
    [
        (Waited("desk1", "baresip", 420.0), 60.0),
        (Waited("soft1", "agent", 900.0), 0.0),
        (Waited("desk1", "dumpcap", 900.0), 0.0),
        (Waited("desk1", "baresip", 60.0), 0.0),
        (Waited("desk1", "baresip", 101.0), 0.0),
    ],
    ids=["at another time", "another program", "only the capture", "a trifle", "too little to explain it"],
)
def test_other_waits_excuse_nobody(
    judged: tuple[RunEvidence, Judgement], waited: Waited, later_s: float
) -> None:
    evidence, judgement = judged
    explained = by_host(
        sampled(evidence, waited, later_s=later_s), (), (finding(judgement, "audio.heard", "c1"),)
    )
    assert explained.findings[0].verdict == "fail"
    assert explained.findings[0].blame == "desk1"


@pytest.mark.req("C8")
@pytest.mark.parametrize(
    ("waited", "verdict"),
    [
        (Waited("edge", "delay_line", 300.0), "not-shown"),
        (Waited("edge", "delay_line", 105.0), "fail"),
        (Waited("isp1", "delay_line", 900.0), "fail"),
        (Waited("ovs-1", "ovs-vswitchd", 900.0), "not-shown"),
        (Waited("ovs-1", "ovs-vswitchd", 105.0), "fail"),
        (Waited("edge", "bgpd", 900.0), "fail"),
    ],
    ids=[
        "its line",
        "its line, but too little",
        "another line",
        "a switch, which sends in bursts",
        "a switch, but too little",
        "a program that moves no packet",
    ],
)
def test_losses_are_explained_by_the_waits_of_whoever_moves_the_packets_there(
    judged: tuple[RunEvidence, Judgement], waited: Waited, verdict: str
) -> None:
    evidence, judgement = judged
    (found,) = by_host(
        sampled(evidence, waited), (), (finding(judgement, "quality.voice", "c1:caller_to_callee"),)
    ).findings
    assert found.verdict == verdict
    assert found.blame == ("edge" if verdict == "fail" else None)


@pytest.mark.req("C1.1")
@pytest.mark.parametrize(
    ("observed", "verdict"),
    [("no registration was seen", "not-shown"), ("registration-failed: 403 Forbidden", "fail")],
)
def test_registrations_are_explained_by_a_starved_registrar_but_for_refusals(
    judged: tuple[RunEvidence, Judgement], observed: str, verdict: str
) -> None:
    evidence, _ = judged
    missed = Finding("signalling.registered", ("C1",), "desk1", "registered", observed, "fail", blame="desk1")
    busy = sampled(evidence, Waited("fra1-sbc", "kamailio", 800.0))
    assert by_host(busy, (), (missed,)).findings[0].verdict == verdict
    assert by_host(sampled(evidence), (), (missed,)).findings[0].verdict == "fail"


@pytest.mark.req("C1.1")
@pytest.mark.parametrize(("lasts_s", "verdict"), [(5.0, "not-shown"), (60.0, "fail")])
def test_a_lost_registration_is_explained_for_no_longer_than_a_program_waited(
    judged: tuple[RunEvidence, Judgement], lasts_s: float, verdict: str
) -> None:
    # given a phone that lost its registration so long before the end, and a registrar that waited for 4 s
    evidence = sampled(judged[0], Waited("fra1-sbc", "kamailio", 800.0))
    lost_at = max(event.time for event in evidence.run.events)
    events = [event for event in evidence.run.events if event.kind != "going-down"]
    events.append(Event(lost_at, "desk1", "registration-failed", "timeout"))
    events.append(Event(lost_at + lasts_s, "lab", "going-down", ""))
    evidence = replace(evidence, run=replace(evidence.run, events=tuple(events)))
    missed = Finding("signalling.registered", ("C1",), "desk1", "", "never back", "fail", blame="desk1")

    # when it is asked whether the machine explains that
    explained = by_host(evidence, (), (missed,))

    # then only as long as the waits may have lasted
    assert explained.findings[0].verdict == verdict


@pytest.mark.req("D3")
def test_what_was_not_shown_anyway_is_told_with_the_machines_part(
    judged: tuple[RunEvidence, Judgement],
) -> None:
    evidence, _ = judged
    silent = Finding("quality.voice", ("C8",), "c1:caller_to_callee", "", "no media was sent", "not-shown")
    explained = by_host(sampled(evidence, Waited("desk1", "baresip", 500.0)), (), (silent,))
    assert "no media was sent; baresip of desk1 waited" in explained.findings[0].observed
    assert "1 finding is not shown" in explained.sentence


@pytest.mark.req("C8", "D11")
@pytest.mark.parametrize(("waited_ms", "told"), [(300.0, True), (105.0, False)])
def test_a_campaigns_quality_that_bursts_leave_open_is_told_with_the_machines_part(
    judged: tuple[RunEvidence, Judgement], waited_ms: float, told: bool
) -> None:
    # given a lossy direction, that a line's program waited, and a verdict that its losses left open
    evidence = sampled(judged[0], Waited("edge", "delay_line", waited_ms))
    first_ns = evidence.seen.media.streams[0].first_ns
    window = CallWindow("c1", 0, 1, first_ns, first_ns, first_ns + SECONDS * 10**9)
    windowed = [replace(one, window=window) for one in evidence.seen.media.streams]
    evidence = replace(
        evidence, seen=replace(evidence.seen, media=replace(evidence.seen.media, streams=windowed))
    )
    opened = Finding("load.quality", ("C8",), "voice from desk1", "", "25 % lost", "not-shown")
    # when it is judged, then the machine is named where its waits explain the losses
    (finding,) = by_host(evidence, (), (opened,)).findings
    assert ("delay_line of edge waited" in finding.observed) is told


def test_waits_are_counted_within_the_time_alone_and_not_below_a_tenth() -> None:
    pressure = HostPressure(
        (
            HostSample(0.0, 1.0, 0.0, 0.0, None, (Waited("a", "x", 400.0), Waited("a", "y", 90.0))),
            HostSample(1.0, 2.0, 0.0, 0.0, None, (Waited("a", "x", 200.0), Waited("b", "z", 900.0))),
        )
    )
    (only,) = pressure.starved({"a"}, 0.5, 2.0)
    assert (only.program, round(only.waited_s, 3), only.of_s) == ("x", 0.4, 1.5)
    assert only.words() == "x of a waited 0.4 s for a processor in 1.5 s"
    assert pressure.starved({"a"}, 0.0, 2.0, programs=("z",)) == []


def test_a_line_that_was_late_by_its_own_account_waited() -> None:
    late = (LateLine("edge", 10, 400.0), LateLine("edge", 10, 300.0), LateLine("edge", 12, 30.0))
    (only,) = HostPressure((), late).starved({"edge"}, 9.0, 14.0)
    assert (only.program, only.waited_s) == ("delay_line", 0.4)
    assert HostPressure((), late).starved({"edge"}, 11.5, 14.0) == []
    assert HostPressure((), late).starved({"isp1"}, 9.0, 14.0) == []


def test_a_machine_that_stood_still_starved_every_program() -> None:
    # given processors that were given to others, and a watch that was late without waiting for a processor
    stolen = HostPressure((HostSample(0.0, 1.0, 0.0, 40.0, None),))
    late = HostPressure((HostSample(0.0, 1.5, 500.0, 0.0, None),))
    assert "the machine stalled for 0.4 s" in stolen.starved({"a"}, 0.0, 1.0)[0].words()
    assert "the machine stalled for 0.5 s" in late.starved({"a"}, 0.0, 1.5)[0].words()
    # but one that had to wait itself says nothing of others
    waiting = HostSample(0.0, 1.5, 500.0, 0.0, None, (Waited("", "supervisor", 480.0),))
    assert HostPressure((waiting,)).starved({"a"}, 0.0, 1.5) == []


@pytest.mark.req("W6")
@pytest.mark.parametrize(
    ("waited", "verdict"),
    [
        (Waited("", "sdwan_service", 400.0), "not-shown"),
        (Waited("edge", "path_probe", 400.0), "not-shown"),
        (Waited("", "sdwan_service", 120.0), "fail"),
        (Waited("desk1", "baresip", 900.0), "fail"),
    ],
    ids=["who steers", "who measures the paths", "too little", "a phone"],
)
def test_steering_that_came_late_is_explained_by_whoever_measures_and_steers(
    judged: tuple[RunEvidence, Judgement], waited: Waited, verdict: str
) -> None:
    # given a site with an overlay, and the same call there
    evidence, _ = judged
    overlay = shipped_plan("sd-wan").overlays[0]
    plan = replace(evidence.network.plan, overlays=(overlay,))
    known = replace(sampled(evidence, waited), network=replace(evidence.network, plan=plan))
    late = Finding("sdwan.steering", ("W6",), overlay.site, "in time", "still on wan1", "fail", blame="edge")
    # when voice stayed on a bad path too long
    (found,) = by_host(known, (), (late,)).findings
    # then only programs that have to do with it excuse it
    assert found.verdict == verdict


@pytest.mark.req("Q2")
@pytest.mark.parametrize(
    ("waited", "verdict"),
    [
        (Waited("desk2", "generator", 400.0), "not-shown"),
        (Waited("edge", "delay_line", 400.0), "not-shown"),
        (Waited("desk1", "generator", 120.0), "fail"),
        (Waited("isp2", "delay_line", 900.0), "fail"),
    ],
    ids=["a generator", "the line", "too little", "somebody else"],
)
def test_measured_capacity_is_explained_by_starved_generators_and_their_way(
    judged: tuple[RunEvidence, Judgement], waited: Waited, verdict: str
) -> None:
    evidence, _ = judged
    begin = evidence.run.calls[0].answered_at or 0.0
    record = MeasuringRecord("office", "wan1", G711, 87.2, (), "desk1", "desk2", 3, "both", False, 1.0)
    placed = tuple(Admission(number, begin + number, 200) for number in (1, 2, 3))
    load = replace(evidence.run.load, measuring=record, admissions=placed)
    known = sampled(evidence, waited)
    known = replace(known, run=replace(known.run, load=load))
    few = Finding("capacity.measured", ("Q2",), "office/wan1", "as computed", "2 of 9", "fail", blame="edge")
    assert by_host(known, (), (few,)).findings[0].verdict == verdict
