"""The telephone network of a campaign: a load generator that plays the PSTN peer, at its node and address,
with its certificate (D11, C3, C4).

It takes the place of the phone that is there otherwise, so that every call in or out passes the real trunk.
Like the generators of sites it has a management cable of its own to the campaign's leader.
"""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.lan.endpoints import direct_number, tones
from uclab.plan.load.load_placement import MOST_GENERATORS, LoadGenerator, LoadPlan, management_cable
from uclab.plan.load.record import LoadUser, Pool, Registrar, TrunkEnd
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import Account, Plan, PstnPeer, SessionController

FIRST_LINE = 800_001
"""Ends of telephone numbers outside."""


def with_outside(load_plan: LoadPlan, lines: int) -> LoadPlan:
    """The load with a generator that has up to `lines` (1..) telephone numbers outside; as it is where the
    plan has no telephone network."""
    plan = load_plan.plan
    if not plan.pstn_peers or not _controllers(plan, plan.pstn_peers[0]):
        return load_plan
    number = len(load_plan.generators)
    if number >= MOST_GENERATORS:
        raise PlanError(
            f"{number} load generators leave no room for the telephone network's: {MOST_GENERATORS - 1} are"
            " possible beside it"
        )
    peer = plan.pstn_peers[0]
    numbers = outside_numbers(peer.numbers, lines)
    users = tuple(
        LoadUser(
            Account(telephone_number, peer.host_name, "", telephone_number, telephone_number),
            peer.address,
            hz,
        )
        for telephone_number, hz in zip(numbers, tones(len(numbers)), strict=True)
    )
    node = plan.node(peer.node)
    plan, leader_address = management_cable(plan, load_plan.leader, node, number)
    return replace(load_plan, plan=plan, outside=LoadGenerator(peer.node, node.site, leader_address, users))


def outside_numbers(own: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Up to `count` telephone numbers: the peer's own, then made-up ones that are no subscriber's number.

    Where the own numbers have too few digits for more, those have to do.
    """
    subscribers = direct_number(own, FIRST_LINE)
    taken = (*own, subscribers) if subscribers else own
    more = (direct_number(taken, FIRST_LINE + number) for number in range(count - len(own)))
    return (*own[:count], *(number for number in more if number))


def played(load_plan: LoadPlan, plan: Plan) -> Plan:
    """What is brought up: without the phone whose part a load generator plays."""
    return replace(plan, pstn_peers=plan.pstn_peers[1:]) if load_plan.outside else plan


def outside_pool(load_plan: LoadPlan, folder: str, pki: str) -> Pool | None:
    """What the generator in the telephone network is told; `pki`: the folder of the lab's certificates."""
    if load_plan.outside is None:
        return None
    peer = load_plan.plan.pstn_peers[0]
    controllers = _controllers(load_plan.plan, peer)
    accounts = [user.account for generator in load_plan.generators for user in generator.users]
    first = controllers[0]
    return Pool(
        generator=load_plan.outside.node,
        domain=first.domain,
        registrars=(),
        ca_file=f"{pki}/ca.pem",
        dscp_signalling=peer.endpoint.dscp_signalling,
        dscp_media=peer.endpoint.dscp_media,
        registration=peer.endpoint.registration,
        users=load_plan.outside.users,
        colleagues=tuple(account.user for account in accounts),
        outside=(),
        records=f"{folder}/{load_plan.outside.node}",
        direct=tuple(account.e164 or account.user for account in accounts),
        trunk=TrunkEnd(
            host_name=peer.host_name,
            port=peer.port,
            controller=Registrar(first.host_name, first.address, first.trunk_port),
            callers=tuple(controller.host_name for controller in controllers),
            certificate=f"{pki}/{peer.certificate}.pem",
            key=f"{pki}/{peer.certificate}.key",
        ),
    )


def _controllers(plan: Plan, peer: PstnPeer) -> tuple[SessionController, ...]:
    """Session controllers whose trunk leads to that peer."""
    wanted = (peer.host_name, peer.port)
    return tuple(controller for controller in plan.session_controllers if controller.trunk_peer == wanted)
