"""Verdicts on incidents by the policy's limits: made of figures alone, without captures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.plans import shipped_plan
from uclab.judge.failover.findings import check_failover
from uclab.judge.failover.quality import spread
from uclab.judge.result.incidents import (
    CallOutcome,
    Fate,
    Flow,
    JudgedIncident,
    LinesUsed,
    Registration,
    Silence,
    Way,
)
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Policy
from uclab.records.run import Direction, Incident

pytestmark = pytest.mark.req("V2")

FAILED, HEALED, ENDED = 1000.0, 1012.0, 1020.0
INCIDENT = Incident(
    "circuit-down", "edge-isp1", ("edge-isp1",), "cut", True, 1, FAILED, HEALED, ENDED, ("c1", "c2"), 2, 10
)
LINES = LinesUsed(
    "shop", ("wan1", "wan2", "wan1"), ("wan1", "wan2", "wan1"), ("wan1", "wan2", "wan1"), "edge"
)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return shipped_plan("smb-dual-wan").policy


def way(flow: Flow, gap: float = 300.0, failback: float = 0.0, *, alive: bool = True) -> Way:
    """One direction with these silences."""
    silences = (Silence(FAILED, FAILED + gap / 1000),) if gap else ()
    returned = FAILED + gap / 1000 < HEALED
    direction: Direction = "caller_to_callee" if flow == "out" else "callee_to_caller"
    return Way(direction, flow, silences, gap, failback, returned, alive, (), FAILED - 3, (4.3,) * 23)


def call(
    number: int, gap: float = 300.0, failback: float = 0.0, fate: Fate = "kept", why: str = ""
) -> CallOutcome:
    """A call with the same silences in both directions."""
    alive = fate != "dropped"
    ways = (way("out", gap, failback, alive=alive), way("in", gap, failback, alive=alive))
    return CallOutcome(f"c{number}", f"desk{number}", "pstn", fate, why, "edge" if why else None, ways)


def judged(*calls: CallOutcome, **changes: object) -> JudgedIncident:
    """A good failover with these calls."""
    good = JudgedIncident(
        INCIDENT,
        calls or (call(1), call(2)),
        300.0,
        "first packet at edge:wan2",
        True,
        False,
        (),
        500.0,
        (LINES,),
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def verdicts(policy: Policy, *incidents: JudgedIncident) -> dict[str, list[Finding]]:
    """Findings by id."""
    found: dict[str, list[Finding]] = {}
    for finding in check_failover(policy, incidents):
        found.setdefault(finding.id.removeprefix("failover."), []).append(finding)
    return found


def failed(policy: Policy, *incidents: JudgedIncident) -> set[str]:
    return {
        name
        for name, findings in verdicts(policy, *incidents).items()
        if any(finding.verdict == "fail" for finding in findings)
    }


def test_a_good_failover_holds(policy: Policy) -> None:
    found = verdicts(policy, judged())
    assert {f.verdict for findings in found.values() for f in findings} == {"pass"}


@pytest.mark.parametrize(
    ("calls", "broken"),
    [
        ((call(1, 3000), call(2, 3000)), {"media-gap"}),
        ((call(1, 300), call(2, 300, 1500), call(3, 300, 1600)), {"failback"}),
        ((call(1), call(2, fate="dropped", why="hung up by desk2: 503")), {"calls-kept"}),
        ((call(1), call(2, fate="silent", why="it did not detect the failure")), {"calls-kept"}),
    ],
)
def test_what_is_broken_fails_alone(policy: Policy, calls: tuple[CallOutcome, ...], broken: set[str]) -> None:
    assert failed(policy, judged(*calls)) == broken


def test_the_median_decides_and_the_longest_is_told(policy: Policy) -> None:
    (out, _) = verdicts(policy, judged(call(1, 300), call(2, 400), call(3, 5000)))["media-gap"]
    assert (out.verdict, out.observed) == ("pass", "median 400 ms, 300 to 5000 (3 values)")
    assert out.evidence.text == "longest in c3:caller_to_callee, 5000 ms"


def test_more_time_is_allowed_where_the_address_changes(policy: Policy) -> None:
    calls = (call(1, 3000), call(2, 3000))
    registrations = (Registration("desk1", 4.0, None),)
    assert failed(policy, judged(*calls, new_address=True, registrations=registrations)) == set()


@pytest.mark.parametrize(
    ("registration", "words"),
    [
        (Registration("desk1", None, 3.0), "not before restoration: desk1"),
        (Registration("desk1", 11.0, None), "late: desk1"),
    ],
)
def test_a_missing_or_late_registration_fails(policy: Policy, registration: Registration, words: str) -> None:
    others = Registration("desk2", 2.0, None)
    one = judged(new_address=True, registrations=(registration, others))
    (finding,) = verdicts(policy, one)["registration"]
    assert (finding.verdict, finding.blame) == ("fail", "desk1")
    assert words in finding.observed


def test_no_detection_fails_detection_and_blames_the_router(policy: Policy) -> None:
    (finding,) = verdicts(policy, judged(detection_ms=None, detected_by=""))["detection"]
    assert (finding.verdict, finding.blame) == ("fail", "edge")
    (finding,) = verdicts(policy, judged(detection_ms=2500.0))["detection"]
    assert finding.verdict == "fail"


def test_detection_is_asked_only_where_another_line_must_take_over(policy: Policy) -> None:
    assert "detection" not in verdicts(policy, judged(moves=False, detection_ms=None))


@pytest.mark.parametrize(
    "used",
    [
        replace(LINES, out=("wan2", "wan2", "wan2")),
        replace(LINES, out=("wan1", "wan1", "wan1")),
        replace(LINES, out=("wan1", "wan2", "wan2")),
        replace(LINES, out=("wan1", None, "wan1")),
        replace(LINES, into=("wan1", "wan2", "wan2")),
    ],
)
def test_another_order_of_lines_fails(policy: Policy, used: LinesUsed) -> None:
    assert failed(policy, judged(lines=(used,))) == {"order"}


def test_a_brown_out_may_be_left_or_not_as_long_as_calls_are_good(policy: Policy) -> None:
    """No plan says that a router must leave a bad line; that voice must be good, the policy says."""
    wanted = ("wan1", None, "wan1")
    for during in ("wan1", "wan2"):
        used = LinesUsed("shop", wanted, ("wan1", during, "wan1"), ("wan1", during, "wan1"), "edge")
        assert failed(policy, judged(lines=(used,), moves=False)) == set()
    bad = tuple(replace(one, mos=(2.0,) * 23) for one in call(1).ways)
    assert failed(policy, judged(replace(call(1), ways=bad))) == {"quality"}


def test_a_brown_out_that_nobody_felt_proves_nothing(policy: Policy) -> None:
    used = LinesUsed("shop", ("wan1", None, "wan1"), ("wan1",) * 3, ("wan1",) * 3, "edge")
    incident = replace(INCIDENT, name="brown-out", how="brown-out")
    (finding,) = verdicts(policy, judged(lines=(used,), moves=False, incident=incident))["quality"]
    assert finding.verdict == "not-shown"
    assert "the brown-out had no effect" in finding.observed
    probe = replace(call(3), fate="probe", ways=tuple(replace(one, mos=(1.0,) * 23) for one in call(3).ways))
    (finding,) = verdicts(policy, judged(call(1), probe, lines=(used,), moves=False, incident=incident))[
        "quality"
    ]
    assert finding.verdict == "not-shown"


def test_the_call_that_was_held_on_purpose_is_not_judged(policy: Policy) -> None:
    probe = call(3, 5000, 5000, fate="probe", why="there is no alternate path")
    assert failed(policy, judged(call(1), probe)) == set()


def test_rounds_are_judged_together_and_each_by_its_own_name(policy: Policy) -> None:
    second = judged(call(1, 900), call(2, 900, fate="dropped", why="gone"))
    second = replace(second, incident=replace(INCIDENT, round=2))
    found = verdicts(policy, judged(), second)
    assert [f.subject for f in found["calls-kept"]] == [
        "circuit-down edge-isp1, round 1",
        "circuit-down edge-isp1, round 2",
    ]
    assert [f.verdict for f in found["calls-kept"]] == ["pass", "fail"]
    assert found["media-gap"][0].observed == "median 600 ms, 300 to 900 (4 values)"


class TestWithoutAlternatePath:
    """Calls must fall silent; what is asked is that they come back."""

    @staticmethod
    def lonely(*calls: CallOutcome) -> JudgedIncident:
        return judged(*calls, incident=replace(INCIDENT, survivable=False))

    @staticmethod
    def silent(number: int, back_after: float) -> CallOutcome:
        return call(number, 12_000 + 1000 * back_after, fate="silent", why="there is no alternate path")

    def test_silence_is_no_failure(self, policy: Policy) -> None:
        found = verdicts(policy, self.lonely(self.silent(1, 0.5), self.silent(2, 0.7)))
        assert set(found) == {"recovery"}
        (finding,) = found["recovery"]
        assert finding.verdict == "pass"
        assert "no alternate path without edge-isp1" in finding.expected
        assert "2 without media until restored" in finding.observed
        assert "back after median 600 ms" in finding.observed

    def test_a_call_that_does_not_come_back_fails(self, policy: Policy) -> None:
        gone = call(2, 20_000, fate="dropped", why="media was gone")
        (finding,) = verdicts(policy, self.lonely(self.silent(1, 0.5), gone))["recovery"]
        assert finding.verdict == "fail"
        assert "desk2 → pstn: media was gone" in finding.observed

    def test_who_hangs_up_meanwhile_need_not_come_back(self, policy: Policy) -> None:
        gone = replace(call(2, 20_000, fate="dropped", why="hung up by desk2"), hung_up=True)
        (finding,) = verdicts(policy, self.lonely(self.silent(1, 0.5), gone))["recovery"]
        assert finding.verdict == "pass"
        (finding,) = verdicts(policy, self.lonely(gone))["recovery"]
        assert finding.verdict == "not-shown"

    def test_phones_must_be_registered_where_another_session_controller_is_left(self, policy: Policy) -> None:
        lost = replace(self.lonely(self.silent(1, 0.5)), registrations=(Registration("desk1", None, None),))
        assert failed(policy, lost) == {"registration"}

    def test_coming_back_late_fails(self, policy: Policy) -> None:
        assert failed(policy, self.lonely(self.silent(1, 10.5))) == {"recovery"}


def test_a_small_site_is_said_to_be_small(policy: Policy) -> None:
    (finding,) = verdicts(policy, judged())["calls-kept"]
    assert finding.observed == "2 kept (the endpoints allow 2 calls at once, not 10)"
    fewer = judged(incident=replace(INCIDENT, asked=6))
    assert "of 6 calls placed, 2 were live" in verdicts(policy, fewer)["calls-kept"][0].observed


def test_a_policy_without_limits_shows_nothing(policy: Policy) -> None:
    found = verdicts(replace(policy, failover=None), judged())
    assert [f.verdict for findings in found.values() for f in findings] == ["not-shown"]


def test_one_value_is_no_distribution() -> None:
    assert spread([312.4]) == "312 ms"
    assert spread([1.0, 2.0, 6.0], "s", 1) == "median 2.0 s, 1.0 to 6.0 (3 values)"
