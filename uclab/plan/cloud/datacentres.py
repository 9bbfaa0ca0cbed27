"""Data centres of a topology, and the names of their session controllers."""

from __future__ import annotations

from uclab.model import topology as model
from uclab.model.cloud import Datacentre


def datacentres(topology: model.Topology) -> tuple[Datacentre, ...]:
    """All data centres of all regions, in order."""
    return tuple(dc for region in topology.cloud.regions for dc in region.datacentres)


def session_controller_name(topology: model.Topology, number: int) -> str:
    """Host name of the session controller of data centre `number`; the first one has the plain name."""
    name = "sip" if number == 0 else f"sip-{datacentres(topology)[number].name}"
    return f"{name}.{topology.cloud.domain}"


def session_controller_names(topology: model.Topology) -> tuple[str, ...]:
    """Host names of all session controllers, in the order in which phones turn to them."""
    return tuple(session_controller_name(topology, n) for n in range(len(datacentres(topology))))
