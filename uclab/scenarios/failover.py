"""The failover scenario (V2): one thing after another is broken and restored while calls are live."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from uclab.access.record_files import write_record
from uclab.lab.client import CallOrder, LabClient, MessageOrder
from uclab.plan.schema.plan import Call, Plan
from uclab.plan.traffic.incidents import (
    HELD_CALL,
    WANTED_CALLS,
    PlannedIncident,
    chosen_incidents,
    failover_calls,
)
from uclab.plan.traffic.messages import failover_messages
from uclab.records.run import CallRecord, Event, Incident
from uclab.records.scenario import Asked, AskedCall, AskedIncident, AskedMessages
from uclab.scenarios.event_watch import EventWatch
from uclab.scenarios.types import Options, ScenarioProgress

UNREGISTERED = ("flow-failed", "registration-failed")
"""Kinds of a phone's events after which it is not registered until it says so."""


@dataclass(frozen=True)
class Pace:
    """How long everything takes, seconds."""

    quiet_s: float = 2.5
    """All calls are live before something fails: what is normal is seen first."""
    failed_s: float = 12.0
    """It stays broken: longer than phones may take to re-register, so that a late one is seen."""
    healed_s: float = 8.0
    """The calls go on after restoration."""
    flap_up_s: float = 1.5
    flap_down_s: float = 1.0
    """A line that flaps is back for so long, and away again: too short to be of use, long enough to be fallen
    for."""
    hold_after_s: float = 4.0
    """From the failure to the hold of one call: a request within a dialog, over the new path."""
    setup_s: float = 4.0
    """Calls are answered within this time; one that is not is no live call."""
    spare_s: float = 5.0
    """Calls last longer than they are watched, because the others may have to be waited for."""
    settle_s: float = 10.0
    """After the restoration phones find that their connections are gone: until the next incident's
    calls..."""
    registered_s: float = 15.0
    """...and at most so much longer until all are registered again."""
    look_s: float = 0.25
    """Between two looks at who is."""
    message_s: float = 2.0
    """From one message to the next."""

    def flapping_s(self, incident: PlannedIncident) -> float:
        """How long it comes and goes."""
        return incident.flaps * (self.flap_up_s + self.flap_down_s)

    def call_s(self, incident: PlannedIncident) -> float:
        """Length of a call."""
        return self.quiet_s + self.failed_s + self.flapping_s(incident) + self.healed_s + self.spare_s


PACE = Pace()


def failover(
    lab: LabClient,
    plan: Plan,
    notify: Callable[[ScenarioProgress], None],
    options: Options,
    pace: Pace = PACE,
) -> None:
    """Every incident of `options` (or all of the plan) `options.repeat` times; records go to
    `incidents.json`."""
    incidents = chosen_incidents(plan, options.incidents)
    file = Path(lab.state()["run_dir"]) / "incidents.json"
    records: list[Incident] = []
    total = len(incidents) * options.repeat
    stage = IncidentRunner(lab, plan, EventWatch(lab), notify, total, pace)
    for turn in range(1, options.repeat + 1):
        for incident in incidents:
            records.append(stage.play(incident, turn, len(records)))
            write_record(file, records)
            if len(records) < total:
                stage.settle(records[-1])


def asked_of_failover(plan: Plan, options: Options, pace: Pace = PACE) -> Asked:
    """The incidents that `failover` plays, and the calls that it places meanwhile."""
    incidents = chosen_incidents(plan, options.incidents)
    played = [(turn, incident) for turn in range(1, options.repeat + 1) for incident in incidents]
    own = {endpoint.name for endpoint in plan.endpoints}
    orders = (
        order
        for turn, planned_incident in played
        for order in _orders(calls_through(plan, planned_incident, turn, pace), own, pace)
    )
    return Asked(
        tuple(AskedCall(o.id, o.caller, o.callee, o.kind, o.length_s, o.transfer_to) for o in orders),
        tuple(AskedIncident(incident.name, incident.subject, turn) for turn, incident in played),
        messages=tuple(
            asked for turn, incident in played for asked in messages_through(plan, incident, turn)
        ),
    )


def calls_through(plan: Plan, incident: PlannedIncident, turn: int, pace: Pace) -> tuple[Call, ...]:
    """The calls that are live while something is broken."""
    return tuple(failover_calls(plan, f"{incident.name}-{turn}", pace.call_s(incident)))


def messages_through(plan: Plan, incident: PlannedIncident, turn: int) -> tuple[AskedMessages, ...]:
    """The messages that are written while something is broken: those that cannot be delivered are to wait."""
    return failover_messages(plan, f"{incident.name}-{turn}")


class IncidentRunner:
    """Plays incidents."""

    def __init__(
        self,
        lab: LabClient,
        plan: Plan,
        events: EventWatch,
        notify: Callable[[ScenarioProgress], None],
        total: int,
        pace: Pace,
    ) -> None:
        self._lab, self._plan, self._events = lab, plan, events
        self._notify, self._total, self._pace = notify, total, pace
        self._endpoints = {endpoint.name for endpoint in plan.endpoints}

    def play(self, incident: PlannedIncident, turn: int, done: int) -> Incident:
        """Place calls, break, restore, wait for the calls' end."""

        def tell(message: str) -> None:
            named = f"{incident.name} {incident.subject}" + (f" (round {turn})" if turn > 1 else "")
            self._notify(ScenarioProgress(f"{named}: {message}", done, self._total, None, "incidents"))

        calls = calls_through(self._plan, incident, turn, self._pace)
        orders = _orders(calls, self._endpoints, self._pace)
        tell(f"placing {len(calls)} calls")
        messages = messages_through(self._plan, incident, turn)
        callers = ThreadPoolExecutor(max_workers=max(len(calls) + len(messages), 1))
        try:
            placed = {order.id: callers.submit(self._lab.call, order) for order in orders}
            for future in placed.values():
                future.add_done_callback(self._events.stir)
            live = self._wait_for_answers(calls, placed)
            tell(f"{len(live)} calls live")
            written = [callers.submit(self._lab.messages, self._in_pace(asked)) for asked in messages]
            failed_at, healed_at, stays_at = self._break_and_restore(incident, tell)
            ended = {name: future.result() for name, future in placed.items()}
            for order in written:
                order.result()
        finally:  # when interrupted, calls end with the lab
            callers.shutdown(wait=False, cancel_futures=True)
        lived = tuple(name for name in live if ended[name].established)
        self._notify(
            ScenarioProgress(f"{incident.name} {incident.subject}", done + 1, self._total, None, "incidents")
        )
        return Incident(
            name=incident.name,
            subject=incident.subject,
            parts=incident.parts,
            how=incident.how,
            survivable=incident.survivable,
            round=turn,
            failed_at=failed_at,
            healed_at=healed_at,
            ended_at=stays_at + self._pace.healed_s,
            calls=lived,
            asked=len(calls),
            wanted=WANTED_CALLS,
            flaps=incident.flaps,
        )

    def _in_pace(self, asked: AskedMessages) -> MessageOrder:
        return MessageOrder(
            asked.id, asked.sender, asked.recipient, asked.count, every_s=self._pace.message_s
        )

    def _break_and_restore(
        self, incident: PlannedIncident, tell: Callable[[str], None]
    ) -> tuple[float, float, float]:
        """When it broke, when it was restored, and since when it stays so."""
        self._events.pause_until(time.time() + self._pace.quiet_s)
        failed_at = time.time()
        self._break(incident)
        tell("broken")
        self._events.pause_until(failed_at + self._pace.failed_s)
        healed_at = stays_at = time.time()
        self._restore(incident)
        for flap in range(1, incident.flaps + 1):
            self._events.pause_until(stays_at + self._pace.flap_up_s)
            self._break(incident)
            tell(f"failed again ({flap} of {incident.flaps})")
            self._events.pause_until(stays_at + self._pace.flap_up_s + self._pace.flap_down_s)
            stays_at = time.time()
            self._restore(incident)
        tell("restored")
        return failed_at, healed_at, stays_at

    def settle(self, incident: Incident) -> None:
        """Let phones re-register where failback made it necessary; who cannot has no next call."""
        self._events.pause_until(incident.ended_at - self._pace.healed_s + self._pace.settle_s)
        deadline = time.time() + self._pace.registered_s
        while time.time() < deadline and any(
            endpoint.get("doubt") for endpoint in self._lab.state()["endpoints"]
        ):
            self._events.pause_until(time.time() + self._pace.look_s)

        def all_registered(events: Sequence[Event]) -> bool:
            last = {
                event.source: event.kind for event in events if event.kind in (*UNREGISTERED, "registered")
            }
            return not any(last.get(phone) in UNREGISTERED for phone in self._endpoints)

        self._events.wait_until(all_registered, 0.0, self._pace.registered_s)

    def _wait_for_answers(
        self, calls: Sequence[Call], placed: dict[str, Future[CallRecord]]
    ) -> tuple[str, ...]:
        """The calls that were answered; the others have failed, or failed to be answered in time."""
        began = time.time() - 0.5
        party = {call.id: call.caller if call.caller in self._endpoints else call.callee for call in calls}
        answered: set[str] = set()

        def settled(events: Sequence[Event]) -> bool:
            answered.update(event.source for event in events if event.kind == "call-established")
            return all(placed[call].done() or name in answered for call, name in party.items())

        self._events.wait_until(settled, began, self._pace.setup_s)
        return tuple(call for call, name in party.items() if name in answered)

    def _restore(self, incident: PlannedIncident) -> None:
        for part in incident.parts:
            self._lab.heal(part)

    def _break(self, incident: PlannedIncident) -> None:
        limits = self._plan.policy.failover
        figures: dict[str, float | str] = {}
        if incident.how == "brown-out" and limits is not None:
            figures = {"loss": f"+{limits.brown_out_loss_pct:g}", "delay": f"+{limits.brown_out_delay_ms:g}"}
        for part in incident.parts:
            self._lab.fail(part, incident.how, **figures)


def _orders(calls: Sequence[Call], own: Collection[str], pace: Pace) -> list[CallOrder]:
    """The calls as orders. Where there are several, the last that a site's phone placed is put on hold
    while it is broken."""
    placed = [call for call in calls if call.caller in own]
    probe = placed[-1] if len(calls) > 1 and placed else None
    after = pace.quiet_s + pace.hold_after_s
    return [
        CallOrder(c.id, c.caller, c.callee, HELD_CALL, c.seconds, hold=True, hold_after=after)
        if c is probe
        else CallOrder(c.id, c.caller, c.callee, c.kind, c.seconds)
        for c in calls
    ]
