"""Which senders' media a relay takes from one place alone, as the policy's `strict_source` asks: those whose
address does not change while a call lasts (C2, C7).

A site with several lines has another address behind each: if a relay did not follow it, a call would fall
silent with the line. A site with one line has one address, and what comes from elsewhere is not its phones'.
"""

from __future__ import annotations

from uclab.model import topology as model
from uclab.plan.lan.sites import Context


def fixed_sites(context: Context) -> tuple[str, ...]:
    """Addresses and prefixes that the sites with one line have towards the cloud, in CIDR form; none where
    the policy wants no such thing."""
    if context.profile.media.strict_source == "never":
        return ()
    found = [_outer(context, site) for site in context.topology.sites if _has_one_way(context, site)]
    return tuple(dict.fromkeys(found))


def fixed_servers(context: Context) -> tuple[str, ...]:
    """Addresses of those who signal from the cloud itself: session controllers and the telephone network."""
    if context.profile.media.strict_source == "never":
        return ()
    places = context.addresses.datacentres.values()
    own = [place.session_controller for place in places] + [place.pstn for place in places]
    return tuple(f"{address.ip}/32" for address in own)


def _has_one_way(context: Context, site: model.Site) -> bool:
    """Whether a site's packets reach the cloud by one line alone, also behind its hub. An overlay steers
    between paths, whatever lines there are."""
    if len(site.connections) != 1 or site.sd_wan is not None:
        return False
    hub = _hub(context, site)
    return hub is None or _has_one_way(context, hub)


def _hub(context: Context, site: model.Site) -> model.Site | None:
    sites = {other.name: other for other in context.topology.sites}
    return sites.get(site.connections[0].to)


def _outer(context: Context, site: model.Site) -> str:
    """What the cloud sees of a site with one way: what the last router on it translates to, or the site's
    own addresses."""
    line, last = site.connections[0], site
    while (hub := _hub(context, last)) is not None:
        line, last = hub.connections[0], hub
    to_provider = (last.name, line.name) in context.addresses.wan
    if to_provider and last.router.nat:
        return f"{context.addresses.wan[last.name, line.name][0].ip}/32"
    if not to_provider and last.public_prefix is not None:
        return str(last.public_prefix)
    return str(site.prefix)
