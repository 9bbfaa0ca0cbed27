"""The cloud: data centres with session controller and media relay, the PSTN side, public DNS, certificates
(C1 to C4, V6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from uclab.model.cloud import Datacentre
from uclab.plan.cloud import cloud_servers, strict_sources
from uclab.plan.cloud.datacentres import datacentres, session_controller_name
from uclab.plan.cloud.protection import guard, protection
from uclab.plan.cloud.telephone_network import PSTN, pstn_name, pstn_peer
from uclab.plan.lan import router_ruleset
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.endpoints import topology_endpoints
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.resolve.circuits import BORDER, border_router, peering_router
from uclab.plan.resolve.policies import names_dscp, registration_timing
from uclab.plan.schema.plan import (
    Account,
    Certificate,
    CloudServer,
    ControllerPeer,
    DnsRecord,
    Interface,
    Link,
    LinkEnd,
    MessageGroup,
    NameServer,
    Node,
    NodeKind,
    PortMode,
    PstnPeer,
    Route,
    SessionController,
    Switch,
    SwitchRole,
)
from uclab.plan.wan import internet_exchanges
from uclab.plan.wan.datacentre_peering import build_peering
from uclab.plan.wan.internet import CORE, NAME_SERVER, WEB, core_interface, core_link

DATACENTRE_SIDE = "lan"
"""A border router's interface towards its data centre."""


@dataclass(frozen=True)
class CloudParts:
    """What the cloud adds to the plan."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    switches: tuple[tuple[Switch, ...], ...]
    """One tuple a data centre."""
    session_controllers: tuple[SessionController, ...]
    pstn_peers: tuple[PstnPeer, ...]
    certificates: tuple[Certificate, ...]
    name_servers: tuple[NameServer, ...]
    cloud_servers: tuple[CloudServer, ...]


def build_cloud(
    context: Context, accounts: tuple[Account, ...], pstn_tone_hz: int, first_dpid: int
) -> CloudParts:
    """Every data centre has a session controller with all accounts; the PSTN is behind the first one."""
    topology = context.topology
    nodes: list[Node] = []
    links: list[Link] = []
    switches: list[tuple[Switch, ...]] = []
    controllers: list[SessionController] = []
    further: list[CloudServer] = []
    for number, dc in enumerate(datacentres(topology)):
        servers = _servers(context, dc, with_pstn=number == 0)
        bench = BridgeBuilder(dc.name, first_dpid + number)
        router = _border_router(context, dc)
        private = build_peering(context, dc)
        links.append(core_link(router.name, CORE))
        here = [*servers, *private.servers, *cloud_servers.nodes(context, dc)]
        plugs = [LinkEnd(router.name, DATACENTRE_SIDE), *(LinkEnd(server.name, "eth0") for server in here)]
        nodes += [router, *servers, *private.router, *here[len(servers) :]]
        further += cloud_servers.servers(context, dc)
        _plug_in(bench, f"{dc.name}-sw", plugs)
        links += bench.links
        switches.append(bench.switches())
        controllers.append(_session_controller(context, dc, number, accounts))
    links += _backbone(context)
    peer = pstn_peer(context, pstn_tone_hz)
    certificates = tuple(
        Certificate(
            name=controller.certificate,
            dns_names=(controller.host_name, controller.domain),
            addresses=(controller.address,),
        )
        for controller in controllers
    )
    shown = (*certificates, Certificate(peer.certificate, (peer.host_name,), (peer.address,)))
    return CloudParts(
        nodes=tuple(nodes),
        links=tuple(links),
        switches=tuple(switches),
        session_controllers=tuple(controllers),
        pstn_peers=(peer,),
        certificates=(*shown, *map(cloud_servers.certificate, further)),
        name_servers=(_name_server(context, controllers, peer, further),),
        cloud_servers=tuple(further),
    )


def _plug_in(bench: BridgeBuilder, switch: str, plugs: list[LinkEnd]) -> None:
    """The data centre's own switch: one VLAN, not under a controller."""
    bench.add_switch(switch, SwitchRole.DATACENTRE)
    for number, plug in enumerate(plugs, start=1):
        port = bench.add_port(switch, number, PortMode.ACCESS, vlan=1, trust_dscp=True, peer=plug.device)
        bench.add_link(f"{plug.device}-{switch}", plug, port, "datacentre")


def _border_router(context: Context, dc: Datacentre) -> Node:
    name = border_router(dc.name)
    own = context.addresses.datacentres[dc.name].router
    inner = [
        Interface(other, context.mac(name, other), (str(address),))
        for other, address in _neighbours(context, name)
    ]
    return Node(
        name=name,
        kind=NodeKind.CLOUD_ROUTER,
        site=dc.name,
        interfaces=(
            core_interface(context, dc.name, name),
            Interface(DATACENTRE_SIDE, context.mac(name, DATACENTRE_SIDE), (str(own),)),
            *inner,
            *internet_exchanges.interfaces(context, dc.name),
        ),
        routes=(Route(DEFAULT, str(context.addresses.core[dc.name][0].ip)),),
        forwarding=True,
        nameservers=context.nameservers,
        routing=internet_exchanges.datacentre_routing(context, dc),
    )


def _neighbours(context: Context, router: str) -> list[tuple[str, IPv4Interface]]:
    """The cloud's routers that are cabled with one of them, and its own address there."""
    found = []
    for (one, other), (first, second) in context.addresses.cloud.items():
        found += [(other, first)] if one == router else [(one, second)] if other == router else []
    return found


def _backbone(context: Context) -> list[Link]:
    """Cables between the routers of the cloud: a border router's interface is named for the other end."""
    peering_routers = {peering_router(dc.name) for dc in datacentres(context.topology)}
    return [
        Link(f"{a}-{b}", LinkEnd(a, b), LinkEnd(b, BORDER if b in peering_routers else a), "backbone")
        for a, b in context.addresses.cloud
    ]


def _servers(context: Context, dc: Datacentre, with_pstn: bool) -> tuple[Node, ...]:
    own = context.addresses.datacentres[dc.name]
    name = f"{dc.name}-sbc"
    policy = context.policy
    controller = Node(
        name=name,
        kind=NodeKind.SERVER,
        site=dc.name,
        interfaces=(
            Interface("eth0", context.mac(name, "eth0"), (str(own.session_controller), str(own.media))),
        ),
        routes=(Route(DEFAULT, str(own.router.ip)),),
        nameservers=context.nameservers,
        nftables=guard(protection(context.profile.protection, context.topology), _tls_ports(context)),
    )
    trunk = context.profile.signalling.sips_ports.trunk
    pstn = replace(
        controller,
        name=PSTN,
        interfaces=(Interface("eth0", context.mac(PSTN, "eth0"), (str(own.pstn),)),),
        nftables=router_ruleset.device_marking(
            trunk, policy.media_ports, policy.signalling_dscp, policy.voice_dscp, names_dscp(policy)
        ),
    )
    return (controller, pstn) if with_pstn else (controller,)


def _session_controller(
    context: Context, dc: Datacentre, number: int, accounts: tuple[Account, ...]
) -> SessionController:
    own, ports = context.addresses.datacentres[dc.name], context.profile.signalling.sips_ports
    peers = tuple(
        ControllerPeer(
            host_name=session_controller_name(context.topology, n),
            address=str(context.addresses.datacentres[other.name].session_controller.ip),
            port=ports.trunk,
        )
        for n, other in enumerate(datacentres(context.topology))
        if n != number
    )
    node = f"{dc.name}-sbc"
    return SessionController(
        name=node,
        node=node,
        address=str(own.session_controller.ip),
        media_address=str(own.media.ip),
        domain=context.topology.cloud.domain,
        host_name=session_controller_name(context.topology, number),
        tls_ports=_tls_ports(context),
        trunk_port=ports.trunk,
        media_ports=context.policy.media_ports,
        certificate=session_controller_name(context.topology, number),
        accounts=accounts,
        trunk_peer=(pstn_name(context), ports.trunk),
        dscp_signalling=context.policy.signalling_dscp,
        dscp_media=context.policy.voice_dscp,
        registration=registration_timing(context.profile),
        peers=peers,
        min_tls_version=context.policy.min_tls_version,
        protection=protection(context.profile.protection, context.topology),
        region=next(r.name for r in context.topology.cloud.regions if dc in r.datacentres),
        strict_sites=strict_sources.fixed_sites(context),
        strict_servers=strict_sources.fixed_servers(context),
        groups=_groups(context),
    )


def _groups(context: Context) -> tuple[MessageGroup, ...]:
    numbers = {endpoint.name: str(endpoint.number) for endpoint in topology_endpoints(context.topology)}
    return tuple(
        MessageGroup(
            group.name, str(group.number), group.members, tuple(numbers[name] for name in group.members)
        )
        for group in context.topology.cloud.groups
    )


def _tls_ports(context: Context) -> tuple[int, ...]:
    ports = context.profile.signalling.sips_ports
    return tuple(sorted({ports.desk_phone, ports.softclient}))


def _name_server(
    context: Context, controllers: list[SessionController], peer: PstnPeer, further: list[CloudServer]
) -> NameServer:
    domain = context.topology.cloud.domain
    records = [DnsRecord(c.host_name, "A", c.address) for c in controllers]
    records += [
        DnsRecord(f"_sips._tcp.{domain}", "SRV", f"{10 * number} 0 {c.tls_ports[0]} {c.host_name}")
        for number, c in enumerate(controllers)
    ]
    records += [
        DnsRecord(domain, "A", controllers[0].address),
        DnsRecord(peer.host_name, "A", peer.address),
        DnsRecord("www.internet.test", "A", str(context.addresses.core[WEB][1].ip)),
    ]
    records += map(cloud_servers.record, further)
    address = str(context.addresses.core[NAME_SERVER][1].ip)
    return NameServer(
        name=NAME_SERVER,
        node=NAME_SERVER,
        address=address,
        records=tuple(records),
        dscp=names_dscp(context.policy),
    )
