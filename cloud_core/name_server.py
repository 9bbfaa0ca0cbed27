"""The lab's public DNS server (V6): unbound with the plan's records."""

from __future__ import annotations

from pathlib import Path

from cloud_core.containers import SERVICE_ID, ContainerSpec, Mount
from cloud_core.probes import name_server_answers
from cloud_core.rendering import render, write_configuration
from cloud_core.service import CloudRun, Service, image
from uclab.plan.schema.plan import NameServer
from uclab.runtime.node import NodeRuntime

TTL_S = 60


def name_servers(run: CloudRun) -> list[Service]:
    """All public name servers."""
    return [
        make_name_server(server, run.runtimes[server.node], run.run_dir) for server in run.plan.name_servers
    ]


def make_name_server(server: NameServer, node: NodeRuntime, run_dir: Path) -> Service:
    """unbound with the plan's records."""
    folder = run_dir / "services" / server.name
    text = render("dns/unbound.conf.j2", server=server, records=zone_records(server), ttl_s=TTL_S)
    configuration = write_configuration(folder / "unbound.conf", text, group=SERVICE_ID)
    spec = ContainerSpec(
        name=server.name,
        image=image("dns"),
        arguments=("-d", "-p", "-c", "/lab/unbound.conf"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(Mount(configuration, "/lab/unbound.conf"),),
        capabilities=("NET_BIND_SERVICE",),
    )
    return Service(spec, server.node, lambda: name_server_answers(node, server), "answer to a DNS query")


def zone_records(server: NameServer) -> list[dict[str, str]]:
    """The plan's records as a zone file writes them: host names are absolute (RFC 1035 section 5.1)."""
    return [
        {
            "name": record.name.rstrip("."),
            "type": record.type,
            "value": record.value.rstrip(".") + "." if record.type == "SRV" else record.value,
        }
        for record in server.records
    ]
