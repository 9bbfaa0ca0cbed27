"""What the cloud bears of one address, and what comes back by itself when it dies: parts of the policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uclab.model.schema_types import StrictModel


class Protection(StrictModel):
    """What a session controller lets one address do, so that nobody takes the others' place (C1).

    A site's phones share their router's public address (NAT): limits grow with the accounts that the plan has
    behind the busiest address. Whoever says nothing, or tries passwords, is sent away.
    """

    connections_per_account: int = Field(default=3, ge=1, le=100)
    """TLS connections that an address may have open for each account behind it: one in use, and those of
    before a failover, which nobody has given up yet."""
    connections_spare: int = Field(default=16, ge=0, le=10_000)
    """Connections that every address may have beyond."""
    new_connections_per_s: int = Field(default=20, ge=1, le=100_000)
    """New connections a second that every address may open on the long run..."""
    new_connections_per_account: float = Field(default=0.5, ge=0, le=100)
    """...and so many a second more for each account behind it. As many as it may have open, it may open at
    once."""
    silent_s: int = Field(default=5, ge=1, le=600)
    """How long a connection may stand without a request, seconds: TCP alone, a handshake that stops, TLS with
    nothing said. Whoever has said something may be silent as long as a registration lasts."""
    handshakes_per_s: int = Field(default=200, ge=1, le=100_000)
    """TLS handshakes and registrations a second that a session controller is counted on for: when all phones
    of an address come at once, as after a failover, the last of them waits so much longer."""
    silent_connections: int = Field(default=10, ge=1, le=100_000)
    """Connections on which an address may have said nothing for a second, at once, before it is called an
    attack; and one more for each account behind it."""
    failed_guesses: int = Field(default=5, ge=1, le=1000)
    """Wrong passwords for one account, or unknown accounts, from one address; and so many more for each
    account behind the address, from it altogether."""
    guesses_s: int = Field(default=300, ge=1, le=86_400)
    """Seconds in which they are counted."""
    ban_s: int = Field(default=300, ge=1, le=86_400)
    """How long then no password of that address is looked at for that account (or, beyond the second limit,
    for any account that has not shown the right one from there), seconds."""


RestartedPart = Literal["service", "controller", "router", "phone"]


class Restarts(StrictModel):
    """What a site's operator or the provider would see come back by itself after it has died, and how (D3).

    A `service` is a container of the cloud, a `controller` a site's or an exchange's SDN controller, a
    `router` the routing daemons and line watch of a device (all of them, as FRR's watchfrr does), a `phone`
    an endpoint. What is not named stays dead. Whatever comes back is a failure all the same (`lab.alive`).
    """

    parts: tuple[RestartedPart, ...] = ("service", "controller", "router", "phone")
    attempts: int = Field(default=3, ge=1, le=100)
    """How often one program is started again; after so many ends it stays dead."""
    wait_s: float = Field(default=1.0, ge=0, le=600)
    """From the end to the first new start, seconds; doubled with each further one."""
    wait_max_s: float = Field(default=30.0, ge=0, le=3600)
    """Longest such wait, seconds."""
