"""What a data centre has for its private circuits: a peering router, and a web server behind which overload
of a circuit can come from (P1 to P4)."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.model.cloud import Datacentre
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.resolve import queues
from uclab.plan.resolve.circuits import BORDER, border_router, peering_router
from uclab.plan.schema.plan import EgressQueue, Impairment, Interface, LinkEnd, Node, NodeKind, Route
from uclab.plan.wan import bgp_sessions


@dataclass(frozen=True)
class PeeringParts:
    """What they add to the plan; empty for a data centre without circuits."""

    router: tuple[Node, ...] = ()
    servers: tuple[Node, ...] = ()


def web_server(datacentre: str) -> str:
    """Name of a data centre's web server."""
    return f"{datacentre}-web"


def build_peering(context: Context, dc: Datacentre) -> PeeringParts:
    """The peering router with an interface for each circuit, and the web server."""
    circuits = [c for c in context.circuits if c.target == dc.name]
    if not circuits:
        return PeeringParts()
    name = peering_router(dc.name)
    border, own = context.addresses.cloud[border_router(dc.name), name]
    interfaces = [Interface(BORDER, context.mac(name, BORDER), (str(own),))]
    shaped: list[EgressQueue] = []
    impaired: list[Impairment] = []
    for circuit in circuits:
        _, far = context.addresses.circuits[circuit.site, circuit.name]
        interface, profile = circuit.far_interface, context.line(circuit.line)
        interfaces.append(Interface(interface, context.mac(name, interface), (str(far),)))
        shaped.append(queues.provider_queue(interface, profile, context.profile.wan_queues))
        arrives_at = LinkEnd(circuit.near_router, circuit.near_interface)
        seed = f"{circuit.site}/{circuit.name}/down"
        impaired.append(queues.impairment(interface, profile.down, seed, arrives_at))
    router = Node(
        name=name,
        kind=NodeKind.CLOUD_ROUTER,
        site=dc.name,
        interfaces=tuple(interfaces),
        routes=(Route(DEFAULT, str(border.ip)),),
        forwarding=True,
        queues=tuple(shaped),
        impairments=tuple(impaired),
        nameservers=context.nameservers,
        routing=bgp_sessions.peering_routing(context, dc),
    )
    return PeeringParts((router,), (_web_server(context, dc),))


def _web_server(context: Context, dc: Datacentre) -> Node:
    own, name = context.addresses.datacentres[dc.name], web_server(dc.name)
    return Node(
        name=name,
        kind=NodeKind.SERVER,
        site=dc.name,
        interfaces=(Interface("eth0", context.mac(name, "eth0"), tuple(str(a) for a in own.downloads)),),
        routes=(Route(DEFAULT, str(own.router.ip)),),
        nameservers=context.nameservers,
    )
