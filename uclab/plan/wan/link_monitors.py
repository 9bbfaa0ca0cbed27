"""Which lines a site's router watches, by asking whom (N5, V2): plain lines to providers, where there are
several. On a private circuit BFD does it, in an overlay its controller."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model import topology as model
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.paths.reachability import Line
from uclab.plan.resolve.circuits import line_interfaces
from uclab.plan.schema.plan import LineWatch, Node, Plan, WatchedLine
from uclab.plan.wan.internet import PUBLIC_SERVERS

NETWORK_CONTROL = 48
"""CS6 (RFC 4594): what a router says for the network's own sake, so that an overload is no failure."""


def build_watches(context: Context, routers: tuple[Node, ...]) -> tuple[LineWatch, ...]:
    """The watch of each site's router that has something to watch."""
    sites = {site.router.name: site for site in context.topology.sites}
    return tuple(
        watch
        for router in routers
        if router.name in sites and (watch := _watch(context, sites[router.name], router)) is not None
    )


def _watch(context: Context, site: model.Site, router: Node) -> LineWatch | None:
    rules = site.router.line_watch
    lines = tuple(_lines(context, site, router))
    if rules is None or site.sd_wan is not None or len(lines) < 2:
        return None
    return LineWatch(
        router=router.name,
        lines=lines,
        # two, so that the loss of one server is not taken for the loss of every line
        targets=tuple(str(context.addresses.core[server][1].ip) for server in PUBLIC_SERVERS),
        dscp=NETWORK_CONTROL,
        interval_ms=rules.interval_ms,
        lost_after=rules.lost_after,
        return_after_s=rules.return_after_s,
    )


def _lines(context: Context, site: model.Site, router: Node) -> Iterator[WatchedLine]:
    names = line_interfaces(site)
    metrics = {route.via: route.metric for route in router.routes if route.prefix == DEFAULT}
    for line in site.connections:
        if (site.name, line.name) in context.addresses.wan:
            _, far = context.addresses.wan[site.name, line.name]
            yield WatchedLine(names[line.name], str(far.ip), metrics[str(far.ip)])


def watched(plan: Plan, line: Line) -> bool:
    """Whether the router watches that line, and waits before it goes back to it."""
    return any(
        watch.router == line.near and line.tap.endswith(f":{watched_line.interface}")
        for watch in plan.line_watches
        for watched_line in watch.lines
    )
