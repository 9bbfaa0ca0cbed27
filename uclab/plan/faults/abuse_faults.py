"""Deliberate attacks on a session controller, from a server on the internet: what they must not do is take
the phones' place (C1). The lab's phones register and call while they go on."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.schema.attacks import Attack, AttackKind
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Plan
from uclab.plan.wan.internet import WEB

CONNECTIONS, HALF_OPEN, GUESSES = 600, 500, 300


@registered(
    "connection-flood",
    f"a host on the internet keeps {CONNECTIONS} TLS connections to the session controller, silently",
    "abuse.connections",
    may_break=("abuse.half-open",),
    blames="web",
)
def _connection_flood(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    return _attacked(plan, target, "connections", CONNECTIONS)


@registered(
    "half-open-flood",
    f"a host on the internet keeps {HALF_OPEN} TCP connections to the session controller, without TLS",
    "abuse.half-open",
    may_break=("abuse.connections",),
    blames="web",
)
def _half_open_flood(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    return _attacked(plan, target, "half-open", HALF_OPEN)


@registered(
    "password-guessing",
    f"a host on the internet tries {GUESSES} passwords for one account, as fast as it is let",
    "abuse.passwords",
    blames="web",
)
def _password_guessing(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    return _attacked(plan, target, "guesses", GUESSES)


def _attacked(plan: Plan, target: str | None, kind: AttackKind, count: int) -> Plan:
    controllers = {
        session_controller.name: session_controller
        for session_controller in plan.session_controllers
        if session_controller.accounts
    }
    controller = pick(controllers, target, "session controller")
    source = pick({node.name: node for node in plan.nodes}, WEB, "server on the internet").name
    attack = Attack(
        kind=kind,
        source_node=source,
        target_address=controller.address,
        target_port=controller.tls_ports[0],
        host_name=controller.host_name,
        domain=controller.domain,
        count=count,
        user=controller.accounts[0].user,
    )
    return replace(plan, attacks=(*plan.attacks, attack))
