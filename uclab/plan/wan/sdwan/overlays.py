"""Which tunnels there are, with all their addresses, ports and marks."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from uclab.model import topology as model
from uclab.model.sdwan import SdWanPolicy
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.addresses import SHARED
from uclab.plan.resolve.circuits import CUSTOMER_SIDE, line_interfaces
from uclab.plan.resolve.names import free_name
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.overlay import Overlay, PathClass, SteeringRules, Tunnel, TunnelEnd
from uclab.plan.schema.plan import Certificate, Link, LinkEnd
from uclab.plan.wan.internet import CORE

FIRST_PORT = 1194
"""OpenVPN's own by IANA's registry; each tunnel of the lab has one more."""
TUNNELS = IPv4Network((int(SHARED.network_address) + (2 << 16), 16))
"""Addresses inside tunnels (RFC 6598), apart from transit links and circuits between sites."""


def build_overlays(context: Context) -> tuple[Overlay, ...]:
    """All overlays; ports and marks are counted through the whole lab. PlanError without rules in the
    policy."""
    overlays: list[Overlay] = []
    count = 0
    taken: dict[str, list[str]] = {}
    for site in context.topology.sites:
        if site.sd_wan is None:
            continue
        used = taken.setdefault(site.sd_wan.gateway, ["lo", CORE, CUSTOMER_SIDE])
        tunnels = tuple(
            _tunnel(context, site, path, count + number, used)
            for number, path in enumerate(site.sd_wan.underlays)
        )
        count += len(tunnels)
        names = (certificate_name(context, site.router.name), certificate_name(context, site.sd_wan.gateway))
        overlays.append(Overlay(site.name, site.sd_wan.gateway, tunnels, _rules(context), names))
    return tuple(overlays)


def tunnel_links(overlays: tuple[Overlay, ...]) -> tuple[Link, ...]:
    """Tunnels as cables: for taps in them and the way of packets through them."""
    return tuple(
        Link(
            f"{tunnel.near.device}-{tunnel.far.interface}",
            LinkEnd(tunnel.near.device, tunnel.near.interface),
            LinkEnd(tunnel.far.device, tunnel.far.interface),
            "tunnel",
        )
        for overlay in overlays
        for tunnel in overlay.tunnels
    )


def overlay_certificates(context: Context, overlays: tuple[Overlay, ...]) -> tuple[Certificate, ...]:
    """One for each edge and each gateway: tunnels are authenticated both ways."""
    names = dict.fromkeys(name for overlay in overlays for name in overlay.certificates)
    return tuple(Certificate(name, (name,), ()) for name in names)


def certificate_name(context: Context, device: str) -> str:
    """Host name of an end of tunnels."""
    return f"{device}.sdwan.{context.topology.cloud.domain}"


def _tunnel(context: Context, site: model.Site, path: str, number: int, used: list[str]) -> Tunnel:
    assert site.sd_wan is not None
    edge, gateway = site.router.name, site.sd_wan.gateway
    lines = line_interfaces(site)
    inner = IPv4Network((TUNNELS[4 * number], 30))
    own = free_name(f"ov-{path}", ("lo", "lan", *lines.values()))
    used.append(free_name(f"{site.name}-{path}", used))
    near_address, far_address = (IPv4Interface(f"{inner[host]}/30") for host in (1, 2))
    return Tunnel(
        path=path,
        near=TunnelEnd(
            edge, own, context.mac(edge, own), str(near_address),
            lines[path], str(context.addresses.wan[site.name, path][0].ip),
        ),
        far=TunnelEnd(
            gateway, used[-1], context.mac(gateway, used[-1]), str(far_address),
            CORE, str(context.addresses.core[gateway][1].ip),
        ),
        port=FIRST_PORT + number,
        mark=number + 1,
    )  # fmt: skip


def _rules(context: Context) -> SteeringRules:
    policy: SdWanPolicy | None = context.profile.sd_wan
    if policy is None:
        raise PlanError(f"policy {context.profile.policy} has no `sd_wan`: overlays need it")
    return SteeringRules(
        classes=tuple(
            PathClass(c.name, c.dscps, c.max_delay_ms, c.max_jitter_ms, c.max_loss_pct)
            for c in policy.classes
        ),
        probe_interval_ms=policy.probe_interval_ms,
        window_s=policy.window_s,
        leave_after_s=policy.leave_after_s,
        return_after_s=policy.return_after_s,
        probe_dscp=context.policy.voice_dscp,
    )
