"""Who can be called now: what phones say of their registrations, and what the lab doubts of it (V2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from endpoints_emu.phone import Phone, PhoneEventKind
from uclab.lab.doubts import Doubts
from uclab.plan.schema.plan import Plan
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until


class Registrations:
    """The registrations of a lab's phones."""

    def __init__(self, plan: Plan, phones: Mapping[str, Phone], doubts: Doubts | None = None) -> None:
        """`phones` by name; those that come later are seen as well."""
        self._plan = plan
        self._phones = phones
        self._doubts = doubts or Doubts(plan)

    def path_changed(self, links: Iterable[str], reason: str, restored: bool) -> None:
        """As `Doubts.path_changed`."""
        self._doubts.path_changed(links, reason, restored)

    def states(self) -> list[dict[str, Any]]:
        """Every endpoint of the plan: whether it can be called; and, where it takes itself for registered but
        that is not certain, why."""
        return [
            {
                "name": endpoint.name,
                "kind": endpoint.kind,
                "number": endpoint.account.user,
                "registered": self._registered(endpoint.name) and self._doubt(endpoint.name) is None,
                "doubt": self._doubt(endpoint.name) if self._registered(endpoint.name) else None,
            }
            for endpoint in self._plan.endpoints
        ]

    async def wait(self, phones: Iterable[Phone]) -> str | None:
        """Wait until phones that have lost their registration, or may have, are registered; returns why one
        is not by the policy's time for it.

        A phone that never was is not waited for: what it lacks does not come by waiting.
        """
        for phone in phones:
            if not phone.endpoint.registers or last_registered(phone) is None:
                continue
            try:
                await wait_until(
                    lambda phone=phone: self._reachable(phone),  # type: ignore[misc]
                    what=f"registration of {phone.name}",
                    deadline_s=self._doubts.settled_in_s(phone.name) + self._registration_s(phone),
                    every_s=0.1,
                )
            except NotReady as error:
                why = self._doubt(phone.name) if phone.registered_at else "it is not registered"
                return f"{phone.name} cannot be reached: {why} ({error})"
        return None

    def _registered(self, name: str) -> bool:
        phone = self._phones.get(name)
        return phone is not None and bool(phone.registered_at)

    def _doubt(self, name: str) -> str | None:
        phone = self._phones.get(name)
        return self._doubts.of(name, last_registered(phone)) if phone is not None else None

    async def _reachable(self, phone: Phone) -> bool | None:
        return True if phone.registered_at and self._doubt(phone.name) is None else None

    def _registration_s(self, phone: Phone) -> float:
        """How long a phone may take to re-register, seconds: as the policy's limits of failover say,
        otherwise the longest that its own waits make of it."""
        if self._plan.policy.failover is not None:
            return self._plan.policy.failover.max_registration_s
        timing = phone.endpoint.registration
        return float(timing.lost_s + timing.retry_max_s + timing.attempt_s * len(phone.endpoint.registrars))


def last_registered(phone: Phone) -> float | None:
    """When the phone was registered last, seconds since the epoch; None where it never was."""
    events = reversed(phone.events.history)
    return next((event.time for event in events if event.kind is PhoneEventKind.REGISTERED), None)
