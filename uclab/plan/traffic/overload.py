"""Who overloads a site's preferred line: bulk traffic both ways, marked as voice although nobody asked it
to be (C8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS
from uclab.plan.lan import drill_rulesets
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.addresses import DOWNLOADS
from uclab.plan.resolve.circuits import Circuit
from uclab.plan.schema.plan import BulkTraffic, Node
from uclab.plan.wan import internet
from uclab.plan.wan.datacentre_peering import web_server

OVERLOAD_PCT = 110
"""Bulk traffic is sent at this share of the line's rate: with the calls, about a fifth
too much. Where voice has no queue of its own it loses as much: far beyond all limits, yet it can still be
heard."""
INTERNET_PORT = 5201
"""iperf3's own; each flow has one more."""
CLOUD_PORT = 443
"""A PC may use the cloud's web servers, also by HTTP/3 (UDP)."""


def bulk(context: Context) -> tuple[BulkTraffic, ...]:
    """Each site's last PC overloads its preferred line both ways; a softclient's where there is no other PC.

    Over a line to a provider it talks to a public server, over a private circuit to the data centre's web
    server. A site behind a hub does not: what all of them share is the hub's line.
    """
    flows: list[BulkTraffic] = []
    for site in context.topology.sites:
        pcs = [endpoint.pc for endpoint in site.endpoints if endpoint.pc]
        softclients = [e.name for e in site.endpoints if ENDPOINT_KINDS[e.kind].device == "computer"]
        preferred = next((c for c in context.circuits if c.site == site.name and c.place == 0), None)
        if not (pcs or softclients) or (preferred is not None and preferred.kind == "site"):
            continue
        source = (pcs or softclients)[-1]
        line = context.line(site.connections[0])
        server, targets, ports = _target(context, preferred, len(flows))
        ways: tuple[tuple[Literal["up", "down"], int], ...] = (
            ("up", line.up.rate_kbps),
            ("down", line.down.rate_kbps),
        )
        for (way, rate_kbps), target, port in zip(ways, targets, ports, strict=True):
            flows.append(
                BulkTraffic(
                    f"{site.name}-{way}", source, server, target, rate_kbps * OVERLOAD_PCT // 100, way, port
                )
            )
    return tuple(flows)


def _target(
    context: Context, preferred: Circuit | None, before: int
) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    """The server behind a site's preferred line, and address and port for each direction."""
    if preferred is None:
        web = str(context.addresses.core[internet.WEB][1].ip)
        return internet.WEB, (web, web), (INTERNET_PORT + before, INTERNET_PORT + before + 1)
    downloads = context.addresses.datacentres[preferred.target].downloads
    first = DOWNLOADS * [c for c in context.circuits if c.target == preferred.target].index(preferred)
    own = tuple(str(address.ip) for address in downloads[first : first + DOWNLOADS])
    return web_server(preferred.target), own, (CLOUD_PORT, CLOUD_PORT)


def greedy(context: Context, nodes: tuple[Node, ...], flows: tuple[BulkTraffic, ...]) -> tuple[Node, ...]:
    """The sources of bulk mark it as voice: a verdict on the trust boundary needs someone who abuses it
    (C8)."""
    targets: dict[str, list[str]] = {}
    for flow in flows:
        if flow.target_address not in targets.setdefault(flow.source_node, []):
            targets[flow.source_node].append(flow.target_address)
    dscp = context.policy.voice_dscp
    return tuple(
        replace(node, nftables=drill_rulesets.misbehaving_marker(_to(targets[node.name]), dscp))
        if node.name in targets
        else node
        for node in nodes
    )


def _to(addresses: list[str]) -> str:
    return f"ip daddr {addresses[0]}" if len(addresses) == 1 else f"ip daddr {{ {', '.join(addresses)} }}"
