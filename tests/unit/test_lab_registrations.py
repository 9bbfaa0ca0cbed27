"""What a lab says of registrations after it broke or restored the way to the cloud, and how long calls
wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from endpoints_emu.events import PhoneEvent, PhoneEventKind
from testbed.plans import shipped_plan
from uclab.lab.doubts import Doubts
from uclab.lab.registrations import Registrations
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("V2")

REGISTERED_AT = 1000.0


@dataclass
class Clock:
    now: float = REGISTERED_AT + 100

    def __call__(self) -> float:
        return self.now


@dataclass
class SilentPhone:
    """A phone that says what the test has it say."""

    endpoint: Any
    registered_at: tuple[str, ...] = ("sip.ucaas.test",)
    events: Any = field(default_factory=lambda: SimpleNamespace(history=[]))

    @property
    def name(self) -> str:
        return str(self.endpoint.name)

    def register(self, when: float) -> None:
        self.registered_at = ("sip.ucaas.test",)
        self.events.history.append(PhoneEvent(when, self.name, PhoneEventKind.REGISTERED))

    def lose(self, when: float) -> None:
        self.registered_at = ()
        self.events.history.append(PhoneEvent(when, self.name, PhoneEventKind.FLOW_FAILED))


class Office:
    """The phones of a plan, all registered, and a clock."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock()
        self.phones = {e.name: SilentPhone(e) for e in plan.endpoints}
        for phone in self.phones.values():
            phone.register(REGISTERED_AT)
        phones: Any = self.phones
        self.registrations = Registrations(plan, phones, Doubts(plan, self.clock))

    def callable(self) -> set[str]:
        return {state["name"] for state in self.registrations.states() if state["registered"]}

    def why(self) -> set[str]:
        return {state["doubt"] for state in self.registrations.states()}


@pytest.fixture(scope="module")
def dual() -> Plan:
    return shipped_plan("smb-dual-wan")


@pytest.fixture
def office(dual: Plan) -> Office:
    return Office(dual)


def test_behind_a_moved_line_nobody_counts_as_registered_until_it_is_again(office: Office) -> None:
    # given phones that are all registered
    assert office.callable() == set(office.phones)
    # when their line fails, and none has detected it yet
    office.registrations.path_changed(["edge-isp1"], "edge-isp1 has failed", False)
    # then none is said to be registered, and why
    assert office.callable() == set()
    assert office.why() == {"edge-isp1 has failed"}
    # and who re-registers is
    office.clock.now += 3
    office.phones["desk1"].register(office.clock.now)
    assert office.callable() == {"desk1"}


def test_who_would_have_detected_by_now_has_kept_its_connection(office: Office, dual: Plan) -> None:
    # given a line that fails on which a connection can live on (another way with the same address)
    office.registrations.path_changed(["edge-isp1"], "edge-isp1 has failed", False)
    # when as much time has passed as a keep-alive takes to detect it, then its silence is proof
    timing = dual.endpoints[0].registration
    office.clock.now += timing.lost_s
    assert office.callable() == set()
    office.clock.now += timing.probe_s
    assert office.callable() == set(office.phones)


def test_a_registration_before_traffic_moves_back_is_no_proof(office: Office, dual: Plan) -> None:
    # given a restored line to which the router goes back only when it has been good for a while
    office.registrations.path_changed(["edge-isp1"], "edge-isp1 is back", True)
    (watch,) = dual.line_watches
    # when a phone registers before that, then its connection is still to be lost
    office.clock.now += watch.return_after_s / 2
    office.phones["desk1"].register(office.clock.now)
    assert office.callable() == set()
    office.clock.now += watch.return_after_s
    office.phones["desk1"].register(office.clock.now)
    assert office.callable() == {"desk1"}


def test_a_cable_of_one_phone_concerns_that_phone_alone(office: Office) -> None:
    office.registrations.path_changed(["desk1-sw1"], "desk1-sw1 has failed", False)
    assert office.callable() == set(office.phones) - {"desk1"}


@pytest.mark.parametrize("link", ["dns-inet", "web-inet"])
def test_what_no_registration_passes_casts_no_doubt(office: Office, link: str) -> None:
    office.registrations.path_changed([link], f"{link} has failed", False)
    assert office.callable() == set(office.phones)


def test_another_sites_line_casts_no_doubt() -> None:
    plan = shipped_plan("hub-and-spoke")
    office = Office(plan)
    office.registrations.path_changed(["b1edge-hub"], "b1edge-hub has failed", False)
    in_doubt = set(office.phones) - office.callable()
    assert in_doubt == {e.name for e in plan.endpoints if plan.node(e.node).site == "branch1"} != set()


def test_a_call_waits_for_a_lost_registration(office: Office) -> None:
    async def scene() -> str | None:
        desk = office.phones["desk1"]
        desk.lose(office.clock.now)
        parties: Any = (desk, office.phones["desk2"])
        waiting = asyncio.create_task(office.registrations.wait(parties))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        desk.register(office.clock.now)
        return await waiting

    assert asyncio.run(scene()) is None


def test_a_call_says_who_cannot_be_reached_and_why(office: Office, dual: Plan) -> None:
    # given a policy that allows a moment for a registration, and a phone that stays away
    assert dual.policy.failover is not None
    hasty = replace(dual.policy, failover=replace(dual.policy.failover, max_registration_s=0.05))
    office = Office(replace(dual, policy=hasty))
    office.phones["desk2"].lose(office.clock.now)
    parties: Any = (office.phones["desk1"], office.phones["desk2"])
    # when it is to be called
    why = asyncio.run(office.registrations.wait(parties))
    # then the call is not placed, for a reason
    assert why is not None
    assert why.startswith("desk2 cannot be reached: it is not registered")


def test_who_never_was_registered_is_not_waited_for(office: Office) -> None:
    stranger = office.phones["desk1"]
    stranger.registered_at = ()
    stranger.events.history.clear()
    parties: Any = (stranger,)
    assert asyncio.run(office.registrations.wait(parties)) is None
