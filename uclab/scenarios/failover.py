"""The failover scenario (V2): one thing after another is broken and mended again while calls are live."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from uclab.lab.client import CallOrder, LabClient, LabGone
from uclab.plan.codec import to_data
from uclab.plan.incidents import HELD_CALL, WANTED_CALLS, PlannedIncident, chosen_incidents, failover_calls
from uclab.plan.records import CallRecord, Event, Incident
from uclab.plan.types import Call, Plan
from uclab.scenarios.types import Options, Step

QUIET_S = 2.5
"""How long all calls are live before something fails: what is normal is seen first."""
FAILED_S = 12.0
"""How long it stays broken: longer than phones may take to register anew, so that a late one is seen."""
HEALED_S = 8.0
"""How long the calls go on after the mending."""
HOLD_AFTER_FAILURE_S = 4.0
"""When one call is put on hold: an in-dialog request that must be answered over the new path."""
SETUP_S = 4.0
"""Within which calls are answered; one that is not is no live call."""
SPARE_S = 5.0
"""Calls last so much longer than they are watched, because the others may have to be waited for."""
SETTLE_S = 10.0
"""After the mending phones find that their connections are gone: so long until the next calls..."""
REGISTERED_S = 15.0
"""...and at most so much longer until all are registered again."""
UNREGISTERED = ("flow-failed", "registration-failed")
"""Kinds of a phone's events after which it is not registered until it says so."""


def failover(lab: LabClient, plan: Plan, notify: Callable[[Step], None], options: Options) -> None:
    """Every incident of `options` (or all of the plan) `options.repeat` times; records go to
    `incidents.json`."""
    incidents = chosen_incidents(plan, options.incidents)
    file = Path(lab.state()["run_dir"]) / "incidents.json"
    records: list[Incident] = []
    total = len(incidents) * options.repeat
    with EventWatch(lab) as events:
        for turn in range(1, options.repeat + 1):
            for incident in incidents:
                stage = Stage(lab, plan, events, notify, total)
                records.append(stage.play(incident, turn, len(records)))
                stage.settle(records[-1])
                file.write_text(json.dumps([to_data(record) for record in records], indent=1) + "\n")


class EventWatch:
    """Follows the lab's events and lets others wait for what they need."""

    def __init__(self, lab: LabClient) -> None:
        self._lab = lab
        self._events: list[Event] = []
        self._news = threading.Condition()
        self._gone = threading.Event()

    def __enter__(self) -> EventWatch:
        threading.Thread(target=self._follow, name="events of the failover", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        """The thread ends with the lab."""

    def wait_until(self, done: Callable[[Sequence[Event]], bool], since: float, deadline_s: float) -> bool:
        """Wait until `done` holds for the events since a time; False after the deadline."""

        def holds() -> bool:
            return done([event for event in self._events if event.time >= since])

        with self._news:
            return self._news.wait_for(holds, deadline_s)

    def pause_until(self, when: float) -> None:
        """Let the calls go on until that time; raises `LabGone` if the lab ends meanwhile."""
        if self._gone.wait(max(0.0, when - time.time())):
            raise LabGone(f"lab `{self._lab.lab.name}` ended during the scenario")

    def stir(self, _: object = None) -> None:
        """Make who waits look again."""
        with self._news:
            self._news.notify_all()

    def _follow(self) -> None:
        with suppress(LabGone):
            for event in self._lab.events():
                with self._news:
                    self._events.append(event)
                    self._news.notify_all()
        self._gone.set()


class Stage:
    """Plays one incident."""

    def __init__(
        self,
        lab: LabClient,
        plan: Plan,
        events: EventWatch,
        notify: Callable[[Step], None],
        total: int,
    ) -> None:
        self._lab, self._plan, self._events = lab, plan, events
        self._notify, self._total = notify, total
        self._endpoints = {endpoint.name for endpoint in plan.endpoints}

    def play(self, incident: PlannedIncident, turn: int, done: int) -> Incident:
        """Place calls, break, mend, wait for the calls' end."""

        def tell(words: str, record: CallRecord | None = None) -> None:
            named = f"{incident.name} {incident.subject}" + (f" (round {turn})" if turn > 1 else "")
            self._notify(Step(f"{named}: {words}", done, self._total, record, "incidents"))

        calls = failover_calls(self._plan, f"{incident.name}-{turn}", QUIET_S + FAILED_S + HEALED_S + SPARE_S)
        orders = _orders(calls, self._endpoints)
        tell(f"placing {len(calls)} calls")
        with ThreadPoolExecutor(max_workers=max(len(calls), 1)) as callers:
            placed = {order.id: callers.submit(self._lab.call, order) for order in orders}
            for future in placed.values():
                future.add_done_callback(self._events.stir)
            live = self._wait_for_answers(calls, placed)
            tell(f"{len(live)} calls live")
            self._events.pause_until(time.time() + QUIET_S)
            failed_at = time.time()
            self._break(incident)
            tell("broken")
            self._events.pause_until(failed_at + FAILED_S)
            healed_at = time.time()
            for part in incident.parts:
                self._lab.heal(part)
            tell("mended")
            ended = {name: future.result() for name, future in placed.items()}
        lived = tuple(name for name in live if ended[name].established)
        self._notify(Step(f"{incident.name} {incident.subject}", done + 1, self._total, None, "incidents"))
        return Incident(
            name=incident.name,
            subject=incident.subject,
            parts=incident.parts,
            how=incident.how,
            survivable=incident.survivable,
            round=turn,
            failed_at=failed_at,
            healed_at=healed_at,
            ended_at=healed_at + HEALED_S,
            calls=lived,
            asked=len(calls),
            wanted=WANTED_CALLS,
        )

    def settle(self, incident: Incident) -> None:
        """Let phones register anew where the way back made it necessary; who cannot has no next call."""
        self._events.pause_until(incident.healed_at + SETTLE_S)

        def all_registered(events: Sequence[Event]) -> bool:
            last = {
                event.source: event.kind for event in events if event.kind in (*UNREGISTERED, "registered")
            }
            return not any(last.get(phone) in UNREGISTERED for phone in self._endpoints)

        self._events.wait_until(all_registered, 0.0, REGISTERED_S)

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

        self._events.wait_until(settled, began, SETUP_S)
        return tuple(call for call, name in party.items() if name in answered)

    def _break(self, incident: PlannedIncident) -> None:
        limits = self._plan.policy.failover
        figures: dict[str, float | str] = {}
        if incident.how == "brown-out" and limits is not None:
            figures = {"loss": f"+{limits.brown_out_loss_pct:g}", "delay": f"+{limits.brown_out_delay_ms:g}"}
        for part in incident.parts:
            self._lab.fail(part, incident.how, **figures)


def _orders(calls: Sequence[Call], own: Collection[str]) -> list[CallOrder]:
    """The calls as orders. Where there are several, the last that a site's phone placed is put on hold
    while it is broken."""
    placed = [call for call in calls if call.caller in own]
    probe = placed[-1] if len(calls) > 1 and placed else None
    after = QUIET_S + HOLD_AFTER_FAILURE_S
    return [
        CallOrder(c.id, c.caller, c.callee, HELD_CALL, c.seconds, hold=True, hold_after=after)
        if c is probe
        else CallOrder(c.id, c.caller, c.callee, c.kind, c.seconds)
        for c in calls
    ]
