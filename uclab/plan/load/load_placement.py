"""A plan with a load_plan: load generators in the voice VLANs of its sites, each with many users who have an
address and an account of their own (D11).

A load generator is a device like a phone: behind an access port of the voice VLAN, through the same switches,
firewall and line. It is steered over a management network apart from the one under test, as load generators
of real test beds are: a cable of its own to the campaign's leader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_interface

from uclab.plan.cloud.protection import guard
from uclab.plan.lan.endpoints import direct_number, tones
from uclab.plan.load.record import G711, LoadUser, Pool, PoolCodec, Registrar
from uclab.plan.resolve.names import free_name, mac_address, password, port_interface
from uclab.plan.resolve.plan_edits import with_new_port, with_node
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import (
    Account,
    Interface,
    Link,
    LinkEnd,
    Node,
    NodeKind,
    Plan,
    PortMode,
    Route,
    SessionController,
    SwitchPort,
    SwitchRole,
    Tap,
    Vlan,
)

LEADER = "campaign"
"""The node where the campaign is led from; it has no way into the network under test."""
MANAGEMENT = IPv4Network("192.0.2.0/24")
"""Addresses of the management network (TEST-NET-1, RFC 5737): a /30 for each load generator."""
MOST_GENERATORS = MANAGEMENT.num_addresses // 4
FIRST_EXTENSION = 700_001
"""Extensions of users; six digits, so that they cannot meet those of a topology (at most five)."""


@dataclass(frozen=True)
class LoadGenerator:
    """A node full of users, and where the campaign's leader is for it."""

    node: str
    site: str
    leader_address: str
    users: tuple[LoadUser, ...]


@dataclass(frozen=True)
class LoadPlan:
    """The plan with its load generators."""

    plan: Plan
    leader: str
    generators: tuple[LoadGenerator, ...]
    outside: LoadGenerator | None = None
    """The one that plays the telephone network (`uclab.plan.load.pstn_load`)."""

    @property
    def all_generators(self) -> tuple[LoadGenerator, ...]:
        """Those at sites, and the one in the telephone network."""
        return (*self.generators, *((self.outside,) if self.outside else ()))


def with_load(plan: Plan, users: int, generators: int) -> LoadPlan:
    """`users` (1..) on `generators` (1..64) load generators, spread over all sites that have a voice VLAN.

    PlanError where the plan has no place for them: the message says what would have.
    """
    if not 1 <= generators <= MOST_GENERATORS:
        raise PlanError(f"{generators} load generators: 1 to {MOST_GENERATORS} are possible")
    if users < generators:
        raise PlanError(f"{users} users on {generators} load generators: each needs one user at least")
    places = places_for_generators(plan)
    made: list[LoadGenerator] = []
    leader = free_node_name(plan, LEADER)
    plan = replace(plan, nodes=(*plan.nodes, Node(leader, NodeKind.SERVER, "campaign", ())))
    tone_hz = tones(users)
    for number in range(generators):
        share = range(users * number // generators, users * (number + 1) // generators)
        plan, generator = _add(plan, places[number % len(places)], leader, number, share, tone_hz)
        made.append(generator)
    return LoadPlan(with_accounts(plan, made), leader, tuple(made))


def with_accounts(plan: Plan, generators: Sequence[LoadGenerator]) -> Plan:
    """The plan whose session controllers know the generators' users."""
    accounts = tuple(user.account for generator in generators for user in generator.users)
    sites: Counter[str] = Counter()
    for generator in generators:
        sites[generator.site] += len(generator.users)
    more = max(sites.values(), default=0)
    controllers = tuple(_with_more(controller, accounts, more) for controller in plan.session_controllers)
    for session_controller in controllers:
        if session_controller.protection is not None:
            rules = guard(session_controller.protection, session_controller.tls_ports)
            plan = with_node(plan, replace(plan.node(session_controller.node), nftables=rules))
    return replace(plan, session_controllers=controllers)


def _with_more(
    controller: SessionController, accounts: tuple[Account, ...], behind: int
) -> SessionController:
    """The session controller with more accounts, so many of them behind the busiest address."""
    limits = controller.protection
    return replace(
        controller,
        accounts=(*controller.accounts, *accounts),
        protection=limits.with_more(behind) if limits is not None else None,
    )


def pools(load_plan: LoadPlan, folder: str, ca_file: str, codec: PoolCodec = G711) -> tuple[Pool, ...]:
    """What each load generator is told. Its records are to lie in `folder`. PlanError where no endpoint
    registers, whose settings users could have."""
    plan = load_plan.plan
    phone = next((endpoint for endpoint in plan.endpoints if endpoint.registers), None)
    if phone is None:
        raise PlanError(f"topology {plan.topology} has no endpoint whose settings users could have")
    controllers = {controller.host_name: controller for controller in plan.session_controllers}
    return tuple(
        Pool(
            generator=generator.node,
            domain=phone.account.domain,
            registrars=tuple(
                Registrar(name, controllers[name].address, phone.registrar_port) for name in phone.registrars
            ),
            ca_file=ca_file,
            dscp_signalling=phone.dscp_signalling,
            dscp_media=phone.dscp_media,
            registration=phone.registration,
            users=generator.users,
            colleagues=tuple(
                user.account.user for generator in load_plan.generators for user in generator.users
            ),
            outside=tuple(line.account.user for line in load_plan.outside.users) if load_plan.outside else (),
            records=f"{folder}/{generator.node}",
            codec=codec,
        )
        for generator in load_plan.generators
    )


def as_judged(load_plan: LoadPlan) -> Plan:
    """The plan for the judge: each generator counts as an endpoint, so that what it sends and receives is
    followed from there on."""
    phone = next(endpoint for endpoint in load_plan.plan.endpoints if endpoint.registers)
    generators = tuple(
        replace(
            phone,
            name=generator.node,
            node=generator.node,
            kind="softclient",
            account=generator.users[0].account,
            tone_hz=generator.users[0].tone_hz,
        )
        for generator in load_plan.generators
    )
    return replace(load_plan.plan, endpoints=(*load_plan.plan.endpoints, *generators))


def places_for_generators(plan: Plan) -> list[Vlan]:
    """Voice VLANs of sites with an access switch under a controller."""
    wired = {s.site for s in plan.switches if s.role is SwitchRole.ACCESS and s.controlled}
    found = [vlan for vlan in plan.vlans if vlan.role == "voice" and vlan.site in wired]
    if not found:
        raise PlanError(
            f"topology {plan.topology} has no place for load generators: they sit in the voice VLAN of a"
            " site with an access switch"
        )
    return found


def _add(
    plan: Plan, vlan: Vlan, leader: str, number: int, share: range, tone_hz: Sequence[int]
) -> tuple[Plan, LoadGenerator]:
    """The plan with one more load generator."""
    name = free_node_name(plan, f"load{number + 1}")
    addresses = free_addresses(plan, vlan, len(share))
    users = tuple(
        LoadUser(account_of(plan, extension), str(address.ip), tone_hz[extension])
        for extension, address in zip(share, addresses, strict=True)
    )
    mac = mac_address(plan.topology, name, "eth0")
    node = Node(
        name=name,
        kind=NodeKind.PC,
        site=vlan.site,
        interfaces=(Interface("eth0", mac, tuple(map(str, addresses))),),
        routes=(Route("0.0.0.0/0", vlan.gateway),),
        nameservers=tuple(server.address for server in plan.name_servers),
    )
    plan = _known_to_gateway(plan, vlan, mac, addresses)
    plan, plugged = plug_in(plan, vlan, name, mac)
    plan = replace(plan, nodes=(*plan.nodes, node), links=(*plan.links, plugged))
    plan, leader_address = management_cable(plan, leader, node, number)
    return plan, LoadGenerator(name, vlan.site, leader_address, users)


def management_cable(plan: Plan, leader: str, node: Node, number: int) -> tuple[Plan, str]:
    """The plan with a management cable from a node to the leader; the leader's address on it."""
    near, far = _management(number)
    here = f"mgmt{number + 1}"
    steered = Interface(here, mac_address(plan.topology, leader, here), (str(far),))
    own = Interface("mgmt0", mac_address(plan.topology, node.name, "mgmt0"), (str(near),))
    at_leader = plan.node(leader)
    plan = with_node(plan, replace(at_leader, interfaces=(*at_leader.interfaces, steered)))
    plan = with_node(plan, replace(node, interfaces=(*node.interfaces, own)))
    cable = Link(f"{leader}-{node.name}", LinkEnd(leader, here), LinkEnd(node.name, "mgmt0"), "lan")
    return replace(plan, links=(*plan.links, cable)), str(far.ip)


def account_of(plan: Plan, number: int) -> Account:
    extension = FIRST_EXTENSION + number
    return Account(
        user=str(extension),
        domain=plan.session_controllers[0].domain,
        password=password(plan.topology, str(extension)),
        display=f"user {extension}",
        e164=direct_number([n for peer in plan.pstn_peers for n in peer.numbers], extension),
    )


def plug_in(plan: Plan, vlan: Vlan, node: str, mac: str) -> tuple[Plan, Link]:
    """An access port of the voice VLAN behind all others of the site's emptiest access switch."""
    able = [s for s in plan.switches if (s.site, s.role) == (vlan.site, SwitchRole.ACCESS) and s.controlled]
    switch = min(able, key=lambda switch: len(switch.ports))
    number = max((port.number for port in switch.ports), default=0) + 1
    interface = port_interface(switch.name, switch.dpid, number)
    port = SwitchPort(
        number, interface, PortMode.ACCESS, vlan.id, trust_dscp=True, allowed=((vlan.id, mac),), peer=node
    )
    link = Link(f"{node}-{switch.name}", LinkEnd(node, "eth0"), LinkEnd(switch.name, interface), "lan")
    taps = (
        Tap(f"{node}:eth0", node, "eth0", node, False),
        Tap(f"{switch.name}:{number}", switch.engine, interface, switch.name, False),
    )
    return replace(with_new_port(plan, switch.name, port), taps=(*plan.taps, *taps)), link


def free_addresses(plan: Plan, vlan: Vlan, count: int) -> list[IPv4Interface]:
    """Addresses of the VLAN that nobody has."""
    subnet = IPv4Network(vlan.subnet)
    taken = {ip_interface(cidr).ip for node in plan.nodes for i in node.interfaces for cidr in i.addresses}
    taken |= {IPv4Address(vlan.gateway)}
    free = [address for address in subnet.hosts() if address not in taken]
    if len(free) < count:
        raise PlanError(
            f"site {vlan.site}: VLAN {vlan.name} ({subnet}) has room for {len(free)} users, {count} are to"
            " sit there; give it a larger subnet, or spread the users over more sites with more --workers"
        )
    return [IPv4Interface(f"{address}/{subnet.prefixlen}") for address in free[:count]]


def _management(number: int) -> tuple[IPv4Interface, IPv4Interface]:
    """Both ends of a generator's management cable: its own, the leader's."""
    start = int(MANAGEMENT.network_address) + 4 * number
    return IPv4Interface((start + 2, 30)), IPv4Interface((start + 1, 30))


def _known_to_gateway(plan: Plan, vlan: Vlan, mac: str, addresses: Sequence[IPv4Interface]) -> Plan:
    """The VLAN's gateway knows all users' MAC address from the start: a kernel learns 1,024 neighbours at
    most, all namespaces together (`gc_thresh3`), and what it was told does not count."""

    def with_neighbours(node: Node) -> Node:
        ports = [
            i.name for i in node.interfaces for cidr in i.addresses if cidr.partition("/")[0] == vlan.gateway
        ]
        known = tuple((port, str(address.ip), mac) for port in ports for address in addresses)
        return replace(node, neighbours=(*node.neighbours, *known)) if known else node

    return replace(plan, nodes=tuple(map(with_neighbours, plan.nodes)))


def free_node_name(plan: Plan, wanted: str) -> str:
    """That name, or one like it, that no node or switch has."""
    return free_name(wanted, {node.name for node in plan.nodes} | {switch.name for switch in plan.switches})
