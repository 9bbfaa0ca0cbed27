"""Servers of further services: what each takes of the plan whatever it is, and what its service adds."""

from __future__ import annotations

import json

from uclab.kinds.cloud_service import CLOUD_SERVICES
from uclab.model.cloud import Datacentre, RequestedServer
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.resolve.addresses import servers_at
from uclab.plan.schema.plan import Certificate, CloudServer, DnsRecord, Interface, Node, NodeKind, Plan, Route


def servers(context: Context, dc: Datacentre) -> tuple[CloudServer, ...]:
    """The servers that stand in a data centre."""
    return tuple(_server(context, dc, asked) for asked in servers_at(context.topology, dc))


def _server(context: Context, dc: Datacentre, asked: RequestedServer) -> CloudServer:
    host_name = f"{asked.name}.{context.topology.cloud.domain}"
    settings = CLOUD_SERVICES[asked.service].settings
    chosen = settings.model_validate(asked.settings).model_dump(mode="json") if settings is not None else {}
    return CloudServer(
        name=asked.name,
        service=asked.service,
        node=asked.name,
        address=str(context.addresses.datacentres[dc.name].further[asked.name].ip),
        host_name=host_name,
        certificate=host_name,
        settings=tuple((key, json.dumps(value)) for key, value in chosen.items()),
    )


def nodes(context: Context, dc: Datacentre) -> tuple[Node, ...]:
    """Their devices."""
    own = context.addresses.datacentres[dc.name]
    return tuple(
        Node(
            name=name,
            kind=NodeKind.SERVER,
            site=dc.name,
            interfaces=(Interface("eth0", context.mac(name, "eth0"), (str(address),)),),
            routes=(Route(DEFAULT, str(own.router.ip)),),
            nameservers=context.nameservers,
        )
        for name, address in own.further.items()
    )


def certificate(server: CloudServer) -> Certificate:
    """What it shows who connects."""
    return Certificate(server.certificate, (server.host_name,), (server.address,))


def record(server: CloudServer) -> DnsRecord:
    """Its name."""
    return DnsRecord(server.host_name, "A", server.address)


def completed(plan: Plan) -> Plan:
    """The plan with what each server's service asks of it beside that."""
    for server in plan.cloud_servers:
        planning = CLOUD_SERVICES[server.service].load_planning()
        if planning is not None:
            plan = planning(plan, server)
    return plan
